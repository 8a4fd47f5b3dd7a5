"""``fairseq-dro compare RUN RUN ...`` or ``compare NAME=RUN,RUN ...``: runs side by side.

The first is the baseline. Each RUN is the hydra.run.dir of a training run whose test split has been
decoded into RUN/decode_test. Several seeds of one way of training are one arm, NAME=RUN,RUN,RUN:
its numbers are means over its runs, and intervals cover seeds as well as test utterances. Runs that
are typed without names and differ in nothing but common.seed are one arm, too. Every other arm is
compared with the first by a paired block bootstrap: language by language, and on every number over
languages (or over the groups that the runs were trained with: task.group_by).
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fairseq_dro.errors import UserError
from fairseq_dro.runs.decodable import RESULTS

if TYPE_CHECKING:
    from fairseq_dro.report.comparison import Comparison

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "arms", nargs="*", metavar="ARM",
        help="a run folder, or NAME=RUN,RUN: the seeds of one way of training under one name",
    )  # fmt: skip
    parser.add_argument(
        "--apart", type=lambda text: text.split(","), default=[], metavar="LANGUAGE,LANGUAGE",
        help="languages that are shown, but count in no number over languages, such as the worst",
    )  # fmt: skip
    parser.add_argument(
        "--min-seconds", type=float, default=0.0, metavar="S",
        help="languages with less test speech stand apart (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--min-utterances", type=int, default=0, metavar="N",
        help="languages with fewer test utterances stand apart (default: 0)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, help="folder for tables and pictures (default: none)")
    parser.add_argument(
        "--data", type=Path,
        help="data folder, for seconds and constant guess (default: task.data of the first run)",
    )  # fmt: skip
    parser.add_argument(
        "--results", default=RESULTS, help=f"sub-folder with the records (default: {RESULTS})"
    )
    parser.add_argument("--title", default="Runs side by side", help="headline of the table")


def run(args: argparse.Namespace) -> int:
    """Print the tables; with --out write comparison.html, .md and .json and the pictures.

    Raises:
        UserError: see ``arms``, ``training_facts`` and ``paired_records.pair``.
    """
    from fairseq_dro.report.apart import Eligible
    from fairseq_dro.report.arms import group_by_of, read_arms
    from fairseq_dro.report.compare.document import sections, subtitle
    from fairseq_dro.report.comparison import compare_arms
    from fairseq_dro.report.markdown import render_markdown
    from fairseq_dro.report.training_facts import facts_of_run, references_of

    arms = read_arms(args.arms, args.results)
    if len(arms) < 2:
        raise UserError(
            "compare: expected two runs or arms, as `compare RUN RUN` or `compare NAME=RUN,RUN "
            "NAME=RUN,RUN`; `fairseq-dro report RUN` describes a single run."
        )
    for arm in arms:
        if len(arm.runs) > 1:
            logger.info("arm %s: %s", arm.name, ", ".join(str(run.folder) for run in arm.runs))
    by, first = group_by_of(arms), arms[0].runs[0]
    facts, reason = facts_of_run(first, by, references_of(first.utterances, by), args.data)
    if facts is None:
        logger.warning("seconds of training and the constant guess are left out: %s", reason)
    eligible = Eligible(args.apart, args.min_seconds, args.min_utterances)
    comparison = compare_arms(arms, facts, eligible=eligible)
    head = args.title, subtitle(comparison)
    sys.stdout.write(render_markdown(*head, sections(comparison)))
    if args.out is not None:
        for path in _write(comparison, head, args.out):
            sys.stdout.write(f"written: {os.path.abspath(path)}\n")
    return 0


def _write(comparison: Comparison, head: tuple[str, str], out: Path) -> Sequence[Path]:
    from fairseq_dro.report.blocks import Figure
    from fairseq_dro.report.compare.document import sections
    from fairseq_dro.report.figures.arms_over_updates import draw_arms
    from fairseq_dro.report.figures.differences import draw_differences
    from fairseq_dro.report.figures.pareto import draw_pareto
    from fairseq_dro.report.markdown import render_markdown
    from fairseq_dro.report.page import render_page
    from fairseq_dro.report.writing import write_files

    write_files(out, {})
    pictures: list[Path] = []

    def paths(name: str) -> list[Path]:
        pictures.extend((out / f"{name}.png", out / f"{name}.svg"))
        return pictures[-2:]

    caption = (
        "A large mark is an arm, filled where no other is better in both; small marks are its runs;"
        f" bars: 95 % interval of the difference from {comparison.baseline}."
    )
    svg = draw_pareto(comparison, paths("pareto"))
    drawn = {"pareto": Figure([svg], caption, "mean and worst CER", 440, ["pareto.png"])}
    for one in comparison.differences:
        name = "differences"
        if len(comparison.differences) > 1:
            name += "_" + re.sub(r"[^\w.-]+", "_", one.name)
        svg = draw_differences(one, comparison.baseline, paths(name), comparison.by)
        caption = (
            "Left of 0: fewer errors. Bars are 95 % intervals; verdicts are corrected for the "
            f"number of {comparison.by.noun}s, intervals are not."
        )
        alt = f"differences of CER, {one.name} - {comparison.baseline}"
        drawn[one.name] = Figure([svg], caption, alt, 620, [f"{name}.png"])
    if any(arm.runs[0].validations for arm in comparison.arms):
        svg = draw_arms(comparison, paths("comparison"))
        width = 40 + 330 * len(comparison.arms)
        caption = "Validation CER and weights q over updates; dotted: 1/|G|, where q started."
        drawn["comparison"] = Figure([svg], caption, caption, width, ["comparison.png"])
    parts = sections(comparison, drawn.get)
    record = json.dumps(comparison.as_record(), ensure_ascii=False, indent=1) + "\n"
    written = write_files(out, {
        "comparison.html": render_page(*head, parts),
        "comparison.md": render_markdown(*head, parts),
        "comparison.json": record,
    })  # fmt: skip
    return [*written, *pictures]
