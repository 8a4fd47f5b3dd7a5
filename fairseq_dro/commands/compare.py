"""``fairseq-dro compare RUN RUN ...`` or ``compare NAME=RUN,RUN ...``: runs side by side.

The first is the baseline. Each RUN is the hydra.run.dir of a training run whose test split has been
decoded into RUN/decode_test. Several seeds of one way of training are one arm, NAME=RUN,RUN,RUN:
its numbers are means over its runs, and intervals cover seeds as well as test utterances. Every
other arm is compared with the first by a paired block bootstrap: language by language, and on every
number over languages (or over the groups that the runs were trained with: task.group_by).
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path

from fairseq_dro.errors import UserError
from fairseq_dro.runs.decodable import RESULTS

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "arms", nargs="*", metavar="ARM",
        help="a run folder, or NAME=RUN,RUN: the seeds of one way of training under one name",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, help="folder for tables and pictures (default: none)")
    parser.add_argument(
        "--data", type=Path,
        help="data folder, for seconds and constant guess (default: task.data of the first run)",
    )  # fmt: skip
    parser.add_argument(
        "--results", default=RESULTS, help=f"sub-folder with the records (default: {RESULTS})"
    )
    parser.add_argument(
        "--apart", default="", metavar="GROUP,GROUP",
        help="languages (groups) of too little test speech: their rates are shown, no more",
    )  # fmt: skip
    parser.add_argument("--title", default="Runs side by side", help="headline of the table")


def run(args: argparse.Namespace) -> int:
    """Print the tables; with --out write comparison.html, .md and .json and the pictures.

    Raises:
        UserError: see ``arms``, ``training_facts`` and ``paired_records.pair``.
    """
    from fairseq_dro.report.arms import group_by_of, read_arms
    from fairseq_dro.report.compare.document import sections, subtitle
    from fairseq_dro.report.comparison import compare_arms
    from fairseq_dro.report.markdown import render_markdown
    from fairseq_dro.report.page import render_page
    from fairseq_dro.report.training_facts import facts_of_run, references_of
    from fairseq_dro.report.writing import write_files

    arms = read_arms(args.arms, args.results)
    if len(arms) < 2:
        raise UserError(
            "compare: expected two runs or arms, as `compare RUN RUN` or `compare NAME=RUN,RUN "
            "NAME=RUN,RUN`; `fairseq-dro report RUN` describes a single run."
        )
    by, first = group_by_of(arms), arms[0].runs[0]
    facts, reason = facts_of_run(first, by, references_of(first.utterances, by), args.data)
    if facts is None:
        logger.warning("seconds of training and the constant guess are left out: %s", reason)
    apart = [name.strip() for name in args.apart.split(",") if name.strip()]
    comparison = compare_arms(arms, facts, apart=apart)
    head = args.title, subtitle(comparison)
    sys.stdout.write(render_markdown(*head, sections(comparison)))
    if args.out is not None:
        write_files(args.out, {})  # before the pictures are drawn into it
        parts = sections(comparison, args.out)
        record = json.dumps(comparison.as_record(), ensure_ascii=False, indent=1) + "\n"
        written = write_files(args.out, {
            "comparison.html": render_page(*head, parts),
            "comparison.md": render_markdown(*head, parts),
            "comparison.json": record,
        })  # fmt: skip
        for path in written:
            sys.stdout.write(f"written: {os.path.abspath(path)}\n")
        sys.stdout.write(f"and its pictures, as .png and .svg, in {os.path.abspath(args.out)}\n")
    return 0
