"""``fairseq-dro report RUN [--baseline RUN ...]``: who is served well, who is left behind.

RUN is the hydra.run.dir of a training run, also of one that is still going and of one that was
trained with fairseq's own task and criterion. Writes report.html, one page that needs no network,
and report.md, the same tables.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from fairseq_dro.errors import UserError
from fairseq_dro.runs.decodable import RESULTS

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="RUN")
    parser.add_argument(
        "--baseline", type=Path, nargs="+", default=[], metavar="RUN", action="extend",
        help="runs to compare with, decoded on the same test split",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, help="folder for the two files (default: RUN/report)")
    parser.add_argument(
        "--results", default=RESULTS,
        help=f"folder below each run that holds its decoded test split (default: {RESULTS})",
    )  # fmt: skip
    parser.add_argument(
        "--recipe", type=Path, help="recipe to compare the settings with (default: the run's own)"
    )


def run(args: argparse.Namespace) -> int:
    """Write both files and say where they are; alarms go to stdout as well.

    Raises:
        UserError: see ``training_run.read_training_run`` and ``report.make_report``.
    """
    from fairseq_dro.report.markdown import render_markdown
    from fairseq_dro.report.page import render_page
    from fairseq_dro.report.report import make_report, read_report_data

    data = read_report_data(args.folder, args.baseline, args.results)
    report = make_report(data, recipe=args.recipe)
    out = args.out or args.folder / "report"
    try:
        out.mkdir(parents=True, exist_ok=True)
        pages = {
            out / "report.html": render_page(report.title, report.subtitle, report.sections),
            out / "report.md": render_markdown(report.title, report.subtitle, report.sections),
        }
        for path, text in pages.items():
            partial = path.with_name(f"{path.name}.partial")
            partial.write_text(text, encoding="utf-8")
            os.replace(partial, path)
    except OSError as error:
        raise UserError(
            f"{out} cannot be written ({error.strerror}): choose another folder with --out."
        ) from None
    for name, sentence in report.alarms:
        sys.stdout.write(f"{name}: {sentence}\n")
    for path in pages:
        sys.stdout.write(f"written: {os.path.abspath(path)}\n")
    return 0
