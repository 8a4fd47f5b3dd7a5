"""Make what is missing of the runs in ``plan``, then the page; see ``scripts/evidence.sh``.

A run's records are copied to `plan.RECORDS` when its test split is decoded, and the run is never
made again. A run that was killed resumes. Checkpoints are deleted after decoding.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

from committed import choose
from plan import RECORDS, SETTINGS, Run, first_tries, further_seeds
from write_up import PAGE, write_up

OUT = Path(os.environ.get("OUT", "runs/evidence"))
FEATURES = OUT / "data/all/features/whisper"  # hidden layers of the encoder, of all languages
KEPT = ("history.jsonl", "group_weights.jsonl", ".hydra/config.yaml", ".hydra/overrides.yaml")
DECODED = ("utterances.jsonl", "scores.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "words", nargs="*", metavar="SETTING[/ARM]",
        help=f"only runs whose names begin so; settings: {', '.join(SETTINGS)}",
    )  # fmt: skip
    parser.add_argument("--list", action="store_true", help="print the commands, run nothing")
    parser.add_argument("--write-up", action="store_true", help="only rebuild the page")
    parser.add_argument("--page", type=Path, default=PAGE, help=f"default: {PAGE}")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time (default: 1)")
    args = parser.parse_args()
    for word in args.words:
        if not any(run.name.startswith(word) for name in SETTINGS for run in first_tries(name)):
            parser.error(f"{word} begins no run: expected one of {', '.join(SETTINGS)}")
    for setting in [] if args.write_up else SETTINGS:
        tries = named(first_tries(setting), args.words)
        if args.list and tries:
            print(*(shlex.join(command) for command in data_commands(setting)), sep="\n")
        make(tries, args.list, args.jobs)
        chosen = {arm: choose(setting, arm) for arm in SETTINGS[setting].arms}
        made = {arm: attempt for arm, attempt in chosen.items() if attempt}
        make(named(further_seeds(setting, made), args.words), args.list, args.jobs)
    if not args.list:
        write_up(args.page)


def named(runs: Iterable[Run], words: list[str]) -> list[Run]:
    """Runs whose names begin with one of the words; all of them where there is no word."""
    return [run for run in runs if not words or run.name.startswith(tuple(words))]


def make(planned: list[Run], only_list: bool, jobs: int) -> None:
    """Make the runs that have no records yet."""
    if only_list:
        for run in planned:
            print(*(shlex.join(command) for command in commands(run)), sep="\n")
        return
    missing = [
        run for run in planned if not (RECORDS / run.name / "decode_test/scores.json").exists()
    ]
    for setting in dict.fromkeys(run.setting for run in missing):
        prepare(setting)
    waiting = [run for run in missing if "criterion.baseline" in run.options]  # of another run
    for together in ([run for run in missing if run not in waiting], waiting):
        with ThreadPoolExecutor(jobs) as pool:
            for _ in pool.map(lambda run: make_run(run, to_log=jobs > 1), together):
                pass  # raises what a run raised


def data_commands(setting: str) -> list[list[str]]:
    """The data folder of a setting, and hidden layers where its system reads them.

    ``OUT/SETTING.tsv`` holds the rows of ``corpus.tsv`` that the setting keeps (`chosen`).
    """
    plan, corpus = SETTINGS[setting], os.environ.get("CORPUS", "CORPUS")
    names = [setting, *(["all"] if plan.system.from_features else [])]
    commands = [
        ["fairseq-dro", "prepare", "table", str(OUT / "data" / name), "--table",
         str(OUT / f"{name}.tsv"), "--audio-root", corpus, "--text-column", "text",
         "--text-profile", plan.system.text_profile]
        for name in names
    ]  # fmt: skip
    if plan.system.from_features:
        model = ["--model", str(OUT / "whisper")]
        commands.append(["fairseq-dro", "features", str(OUT / "data/all"), *model])
    return commands


def commands(run: Run) -> list[list[str]]:
    """Training, and decoding of the last checkpoint."""
    folder, system = OUT / "runs" / run.name, SETTINGS[run.setting].system
    words = {
        "task.data": str(OUT / "data" / run.setting), "model.whisper_path": str(OUT / "whisper"),
        **run.options, "hydra.run.dir": str(folder),
    }  # fmt: skip
    features = [f"task.features={FEATURES}"] if system.from_features else []
    options = [f"{name}={value}" for name, value in words.items()]
    train = ["fairseq-dro", "train", system.recipe, *options, *features]
    last = str(folder / "checkpoints/checkpoint_last.pt")
    return [train, ["fairseq-dro", "infer", last, *features]]


def make_run(run: Run, to_log: bool) -> None:
    """Train, decode, keep the records, delete the checkpoints."""
    folder, cpu_seconds = OUT / "runs" / run.name, {}
    folder.mkdir(parents=True, exist_ok=True)
    resumes = (folder / "checkpoints").exists()
    for what, command in zip(("training", "decoding"), commands(run), strict=True):
        print("+", shlex.join(command), flush=True)
        cpu_seconds[what] = cpu_seconds_of(command, folder / f"{what}.log" if to_log else None)
    if resumes:  # what was used before is not known
        cpu_seconds["training"] = None
    kept = RECORDS / run.name
    for name in KEPT:
        (kept / name).parent.mkdir(parents=True, exist_ok=True)
        if (folder / name).exists():  # under ERM q does not move
            shutil.copy(folder / name, kept / name)
    (kept / "cpu_seconds.json").write_text(json.dumps(cpu_seconds) + "\n")
    (kept / "decode_test").mkdir(exist_ok=True)
    for name in DECODED:
        shutil.copy(folder / "decode_test" / name, kept / "decode_test" / name)
    shutil.rmtree(folder / "checkpoints")


def cpu_seconds_of(command: list[str], log: Path | None) -> int:
    """Run a command, its output to the terminal or a file, and return the CPU time it took."""
    with log.open("a") if log else nullcontext() as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return round(used.ru_utime + used.ru_stime)


def prepare(setting: str) -> None:
    """Make the data folder of a setting where it is missing."""
    corpus = Path(_required("CORPUS", "the folder with corpus.tsv"))
    weights = Path(_required("WHISPER", "the base model, see scripts/fetch_whisper_base.py"))
    OUT.mkdir(parents=True, exist_ok=True)
    if not (OUT / "whisper").exists():
        (OUT / "whisper").symlink_to(weights.resolve())
    for command in data_commands(setting):
        if command[1] == "prepare":
            data = Path(command[3])
            if (data / "dataset.json").exists():
                continue
            _write_table(corpus, data.name)
        subprocess.run(command, check=True)


def _write_table(corpus: Path, name: str) -> None:
    """The rows that a setting keeps, or all rows of the corpus."""
    with (corpus / "corpus.tsv").open(newline="") as source:
        rows = list(csv.DictReader(source, delimiter="\t", quoting=csv.QUOTE_NONE))
    wanted = chosen(rows, name) if name in SETTINGS else rows
    with (OUT / f"{name}.tsv").open("w", newline="") as kept:
        lines = [rows[0], *(row.values() for row in wanted)]
        kept.writelines("\t".join(line) + "\n" for line in lines)  # the corpus quotes nothing


def chosen(rows: list[dict[str, str]], setting: str) -> list[dict[str, str]]:
    """Rows of the setting's languages; of scarce ones a tenth of the training seconds.

    Which tenth: by the SHA-256 of the file's name, so it does not depend on the order of the table.
    """
    plan, kept = SETTINGS[setting], []
    for language in plan.languages:
        own = [row for row in rows if row["language"] == language]
        train = [row for row in own if row["split"] == "train"]
        if language in plan.scarce:
            train.sort(key=lambda row: hashlib.sha256(row["file"].encode()).hexdigest())
            left = sum(float(row["seconds"]) for row in train) / 10
            while train and left < sum(float(row["seconds"]) for row in train):
                train.pop()
        kept += train + [row for row in own if row["split"] != "train"]
    return kept


def _required(variable: str, what: str) -> str:
    if not os.environ.get(variable):
        sys.exit(f"error: {variable} is not set: type {variable}=FOLDER in front, {what}.")
    return os.environ[variable]


if __name__ == "__main__":
    main()
