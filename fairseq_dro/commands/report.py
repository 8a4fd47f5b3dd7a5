"""``fairseq-dro report RUN [--baseline RUN ...]``: who is served well, who is left behind.

RUN is the hydra.run.dir of a training run, also of one that is still going and of one that was
trained with fairseq's own task and criterion. Writes report.html, one page that needs no network,
and report.md, the same tables.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from fairseq_dro.runs.decodable import RESULTS


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


def run(args: argparse.Namespace) -> int:
    """Write both files and say where they are; alarms go to stdout as well.

    Raises:
        UserError: see ``report.read_report_data``.
    """
    from fairseq_dro.report.markdown import render_markdown
    from fairseq_dro.report.page import render_page
    from fairseq_dro.report.report import make_report, read_report_data
    from fairseq_dro.report.writing import write_files

    data = read_report_data(args.folder, args.baseline, args.results)
    report = make_report(data)
    page = report.title, report.subtitle, report.sections
    written = write_files(
        args.out or args.folder / "report",
        {"report.html": render_page(*page), "report.md": render_markdown(*page)},
    )
    for name, sentence, command in report.alarms:
        sys.stdout.write(f"{name}: {sentence}\n" + (f"    {command}\n" if command else ""))
    for path in written:
        sys.stdout.write(f"written: {os.path.abspath(path)}\n")
    return 0
