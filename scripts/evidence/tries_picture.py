"""Mean against worst CER of every try of every arm, those that were not chosen, too."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean

from committed import choose, seeds
from plan import RECORDS, SETTINGS, Run

from fairseq_dro.report.figures.style import COLOURS, INK, MARKERS, canvas, svg_of

PICTURE = "tries"


def draw_tries(setting: str, folder: Path) -> None:
    """Write ``tries.svg``: a mark is a try at seed 1, which all have; filled if it is compared."""
    arms, of_system = SETTINGS[setting].arms, SETTINGS[setting].system.arms
    with canvas(4.6, 3.8) as figure:
        axis = figure.subplots()
        styles = [(colour, marker) for marker in MARKERS for colour in (INK, *COLOURS)]
        # neighbours differ in both
        styles = [styles[8 * index % len(styles)] for index in range(len(styles))]
        looks = dict(zip(of_system, styles))  # an arm has the same mark in every setting
        for arm, tries in arms.items():
            (colour, marker), compared = looks[arm], choose(setting, arm)
            for attempt in tries:
                if not seeds(setting, arm, attempt):
                    continue
                mean, worst = mean_and_worst(Run(setting, arm, attempt, 1))
                face, label = (colour, arm) if attempt == compared else ("white", None)
                axis.plot(mean, worst, marker, color=colour, markerfacecolor=face, markersize=7,
                          linestyle="none", label=label)  # fmt: skip
        axis.margins(0.12)
        axis.set_title("seed 1 of every try; filled: compared above", loc="left")
        axis.set_xlabel("mean CER over languages, %")
        axis.set_ylabel("CER of the worst language, %")
        figure.legend(loc="outside lower center", ncols=2)
        svg_of(figure, PICTURE, "mean and worst CER of all tries", folder / PICTURE)
    (folder / f"{PICTURE}.png").unlink()


def mean_and_worst(run: Run) -> tuple[float, float]:
    """CER of the decoded test split, per cent, of the languages that count."""
    scores = json.loads((RECORDS / run.name / "decode_test/scores.json").read_text())
    rates = [scores["languages"][code]["cer"] for code in SETTINGS[run.setting].counted]
    return 100 * fmean(rates), 100 * max(rates)
