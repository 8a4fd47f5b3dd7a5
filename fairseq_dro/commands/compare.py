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
    from fairseq_dro.report.compare.arms import Arm
    from fairseq_dro.report.compare.comparison import Comparison
    from fairseq_dro.report.compare.guess_and_seconds import GuessAndSeconds

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
    """Print the tables; with --out write comparison.md and .json and the pictures.

    Raises:
        UserError: see ``arms`` and ``paired_records.pair``.
    """
    from fairseq_dro.report.compare.apart import Eligible
    from fairseq_dro.report.compare.arms import read_arms
    from fairseq_dro.report.compare.comparison import compare_arms
    from fairseq_dro.report.compare.document import as_markdown

    arms = read_arms(args.arms, args.results)
    if len(arms) < 2:
        raise UserError(
            "compare: expected two runs or arms, as `compare RUN RUN` or `compare NAME=RUN,RUN "
            "NAME=RUN,RUN`; `fairseq-dro report RUN` describes a single run."
        )
    for arm in arms:
        if len(arm.runs) > 1:
            logger.info("arm %s: %s", arm.name, ", ".join(str(run.folder) for run in arm.runs))
    eligible = Eligible(args.apart, args.min_seconds, args.min_utterances)
    comparison = compare_arms(arms, *(_from_data(args.data, arms) or ()), eligible=eligible)
    text = as_markdown(comparison, args.title)
    sys.stdout.write(text)
    if args.out is not None:
        try:
            written = _write(comparison, text, args.out)
        except OSError as error:
            raise UserError(
                f"{args.out} cannot be written ({error.strerror}): choose another --out."
            ) from None
        for path in written:
            sys.stdout.write(f"written: {os.path.abspath(path)}\n")
    return 0


def _write(comparison: Comparison, text: str, out: Path) -> Sequence[Path]:
    from fairseq_dro.report.compare.curves_figure import draw_comparison
    from fairseq_dro.report.compare.difference_figure import draw_differences
    from fairseq_dro.report.compare.pareto_figure import draw_pareto

    written: list[Path] = []

    def paths(name: str) -> list[Path]:
        both = [out / f"{name}.png", out / f"{name}.svg"]
        written.extend(both)
        return both

    out.mkdir(parents=True, exist_ok=True)
    pictures = [("comparison", "validation CER and q")]
    draw_comparison(comparison, paths("comparison"))
    draw_pareto(comparison, paths("pareto"))
    pictures.append(("pareto", "mean and worst CER"))
    baseline = comparison.arms[0].name
    for one in comparison.differences:
        name = "differences"
        if len(comparison.differences) > 1:
            name += "_" + re.sub(r"[^\w.-]+", "_", one.name)
        draw_differences(one, baseline, paths(name), comparison.by)
        pictures.append((name, f"differences of CER, {one.name} - {baseline}"))
    links = "\n".join(f"![{alt}]({name}.png)\n" for name, alt in pictures)
    record = json.dumps(comparison.as_record(), ensure_ascii=False, indent=1)
    for name, content in (("comparison.md", f"{text}\n{links}"), ("comparison.json", record)):
        (out / name).write_text(content + "\n", encoding="utf-8")
    return [out / "comparison.md", out / "comparison.json", *written]


def _from_data(data: Path | None, arms: Sequence[Arm]) -> GuessAndSeconds | None:
    """From the folder that was typed, else from the one that the first run names, else as kept when
    it was decoded.

    Raises:
        UserError: the folder that was typed cannot be used. For one that was not typed this is a
            warning, as the comparison itself needs none of it.
    """
    from fairseq_dro.report.compare.arms import group_by_of
    from fairseq_dro.report.compare.guess_and_seconds import GuessAndSeconds, guess_and_seconds

    run, by = arms[0].runs[0], group_by_of(arms)
    if data is not None:
        return guess_and_seconds(data, run, by)
    try:
        if run.data is not None:
            return guess_and_seconds(run.data, run, by)
        named = run.option("task", "data")
        reason = (
            f"{run.folder} does not say where its data are" if named is None
            else f"the data folder of {run.folder}, {named}, is no longer there"
        )  # fmt: skip
    except UserError as error:
        reason = str(error)
    kept = run.decoded_from
    if kept.train_seconds and kept.group_by == by:
        return GuessAndSeconds(kept.constant_guess, kept.train_seconds)
    logger.warning("seconds of training and the constant guess are left out (--data): %s", reason)
    return None
