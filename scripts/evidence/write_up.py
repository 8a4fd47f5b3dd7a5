"""docs/results.md from ``docs/evidence/page.md`` and the records beside it.

A line ``{{SETTING}}`` of the page becomes what was found in that setting: the tries on dev speech
with their cost, the comparison of the chosen arms with the first, and its pictures.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from arms import ERM
from committed import best_on_dev, choose, dev_cer, runs_made, seeds
from overview import Record, interval, overview
from plan import OTHER_VOICES, RECORDS, SETTINGS, Run
from proxies import proxies_table
from tries_picture import PICTURE, draw_tries

from fairseq_dro.report.measures import MEASURES, shown_measures

PAGE = Path("docs/results.md")
PICTURES = {"pareto": "mean and worst CER", "comparison": "CER and q by update"}


def write_up(page: Path = PAGE) -> None:
    """Write the page and, into ``evidence/SETTING/`` beside it, whole comparisons and pictures."""
    source = (RECORDS / "page.md").read_text().splitlines()
    named = [line[2:-2] for line in source if line.startswith("{{") and line.endswith("}}")]
    records: dict[str, tuple[Record, dict[str, int]]] = {}
    parts = {
        setting: found(setting, page.parent / "evidence" / setting, records)
        for setting in named
        if setting in SETTINGS
    }
    parts["overview"] = overview(records)
    unknown = [name for name in named if name not in parts]
    if unknown:
        sys.exit(f"error: {RECORDS / 'page.md'}: {unknown[0]} is no setting of plan.py.")
    lines = [part for line in source
             for part in (parts[line[2:-2]] if line[2:-2] in named else [line])]  # fmt: skip
    page.write_text("\n".join(lines) + "\n")


def found(setting: str, folder: Path, records: dict) -> list[str]:
    """The lines of one setting; a sentence where it has no arm of ERM and another yet.

    Args:
        records: what ``compare`` found is added to it, see `overview`.
    """
    chosen = {arm: choose(setting, arm) for arm in SETTINGS[setting].arms}
    made = {arm: attempt for arm, attempt in chosen.items() if attempt}
    if len(made) < 2 or made.keys().isdisjoint(ERM):
        return ["*Not run yet.*"]
    first = reference(setting, made)
    order = [first, *(arm for arm in made if arm != first)]
    record = compare(setting, {arm: seeds(setting, arm, made[arm]) for arm in order}, folder)
    draw_tries(setting, folder)
    records[setting] = record, made
    pictures = {**PICTURES, PICTURE: "all tries; filled: compared above"}
    links = [f"![{says}](evidence/{setting}/{name}.svg)" for name, says in pictures.items()]
    return [
        *tries_table(setting, chosen), "", *arms_table(record), "", *languages_table(record), "",
        voices(SETTINGS[setting].languages), "",
        f"The whole comparison: [comparison.md](evidence/{setting}/comparison.md).", "", *links, "",
        *proxies_table(setting, runs_made(setting)),
    ]  # fmt: skip


def reference(setting: str, chosen: dict[str, int]) -> str:
    """The arm of ERM that the others are compared with: the better one on dev speech, at seed 1."""
    return best_on_dev(Run(setting, arm, chosen[arm], 1) for arm in chosen if arm in ERM).arm


def tries_table(setting: str, chosen: dict[str, int | None]) -> list[str]:
    """What each try gave on dev speech, and what it cost."""
    lines = [
        "| try | options | dev CER, mean, % | CPU-minutes of training | chosen |",
        "|---|---|--:|--:|---|",
    ]
    for arm, tries in SETTINGS[setting].arms.items():
        for attempt, options in tries.items():
            run = Run(setting, arm, attempt, 1)
            rate, cpu = dev_cer(run), RECORDS / run.name / "cpu_seconds.json"
            words = " ".join(f"`{name}={run.options[name]}`" for name in options)
            if rate is None:
                lines.append(f"| {arm}_{attempt} | {words} | not run yet | | |")
                continue
            seconds = json.loads(cpu.read_text())["training"]  # null: resumed, so not known
            minutes = f"{seconds / 60:.1f}" if seconds else ""
            mark = "yes" if chosen[arm] == attempt and len(tries) > 1 else ""
            lines.append(f"| {arm}_{attempt} | {words} | {100 * rate:.1f} | {minutes} | {mark} |")
    return lines


def compare(setting: str, arms: dict[str, list[Run]], folder: Path) -> Record:
    """What ``fairseq-dro compare`` found; its page and pictures go to the folder."""
    words = [
        f"{arm}=" + ",".join(str(RECORDS / run.name) for run in runs) for arm, runs in arms.items()
    ]
    program = str(Path(sys.executable).with_name("fairseq-dro"))
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as out:
        command = [program, "compare", *words, "--title", setting, "--out", out]
        command += ["--apart", ",".join(SETTINGS[setting].apart)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        for name in PICTURES:
            shutil.copy(Path(out) / f"{name}.svg", folder)
        text = (Path(out) / "comparison.md").read_text()
        record = json.loads((Path(out) / "comparison.json").read_text())
    kept = [line for line in text.splitlines() if not line.startswith("![")]
    (folder / "comparison.md").write_text("\n".join(kept) + "\n")
    return record


def arms_table(record: dict) -> list[str]:
    """Numbers over languages of each arm, and its differences from the first.

    CVaR, the mean of the worst tenth, is left out where that is the worst language.
    """
    n_counted = len(record["arms"][0]["groups"]) - len(record["apart"])
    names = [name for name in ("worst_3", "cvar_10") if name in shown_measures(n_counted)]
    heads = " | ".join(MEASURES[name].title for name in names)
    lines = [
        f"| arm | seeds | mean CER, % | worst | {heads} | mean, points | worst, points | "
        "languages better, worse (Holm) |",
        "|---|--:|--:|--:|" + "--:|" * len(names) + "--:|--:|--:|",
    ]
    differences = {one["arm"]: one for one in record["differences"]}
    for arm in record["arms"]:
        rates = [f"{100 * arm['measures'][name]:.1f}" for name in ("mean", "worst", *names)]
        rates[1] += f" ({', '.join(arm['worst_groups'])})"
        found, against = differences.get(arm["name"]), ["", "", ""]
        if found:
            counts = found["n_groups"]
            against = [interval(found["measures"][name]) for name in ("mean", "worst")]
            against.append(f"{counts['better']}, {counts['worse']}")
        cells = [arm["name"], str(len(arm["runs"])), *rates, *against]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def languages_table(record: dict) -> list[str]:
    """CER of each language under each arm, mean over its runs."""
    arms = record["arms"]
    lines = [
        "| test CER, % | " + " | ".join(arm["name"] for arm in arms) + " |",
        "|---|" + "--:|" * len(arms),
    ]
    for code in arms[0]["groups"]:
        rates = " | ".join(f"{100 * arm['groups'][code]['cer']:.1f}" for arm in arms)
        mark = ", apart" if code in record["apart"] else ""
        lines.append(f"| {code}{mark} | {rates} |")
    return lines


def voices(languages: Sequence[str]) -> str:
    """Whose voices the test speech has, in a sentence."""
    other = [code for code in languages if code in OTHER_VOICES]
    two = " (tok two)" if "tok" in languages else ""
    but = f", but for {' and '.join(other)}, whose test voices are not in training" if other else ""
    return f"Each language has a voice of its own{two}, the same in training and test{but}."
