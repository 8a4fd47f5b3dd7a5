"""Watch a run: error rate and weight of each language, update n of N, time left.

Reads the files of the run folder and changes none, so it can be started and ended (Ctrl-C) at any
time, on any machine that sees the folder. On a terminal the table is renewed until the run ends;
elsewhere, or with --once, it is printed once.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from fairseq_dro.errors import UserError
from fairseq_dro.runs.decodable import run_meant_by
from fairseq_dro.watch.seen_run import SeenRun


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="RUN", help="run folder (hydra.run.dir)")
    parser.add_argument(
        "--every", type=float, default=2.0, metavar="SECONDS",
        help="between two looks at the files (default: 2)",
    )
    parser.add_argument("--once", action="store_true", help="print the table once")


def run(args: argparse.Namespace) -> int:
    """Show the table until the run ends.

    Raises:
        UserError: there is no such folder, or nothing of a run in it.
    """
    if not args.folder.is_dir():
        hint = run_meant_by(args.folder) or "name the hydra.run.dir of a training run."
        raise UserError(f"{args.folder} does not exist: {hint}")
    seen = SeenRun(args.folder)
    seen.look()
    if not seen.is_run:
        hint = run_meant_by(args.folder) or (
            "name the hydra.run.dir of a training run, as its start shows it."
        )
        raise UserError(f"{args.folder} holds nothing of a run yet: {hint}")
    from rich.console import Console
    from rich.live import Live

    from fairseq_dro.watch.table import view

    console = Console()
    if args.once or not console.is_terminal:
        console.print(view(seen, console.width, None))
        return 0
    try:
        with Live(console=console, auto_refresh=False) as live:
            while True:
                live.update(view(seen, console.width, console.height), refresh=True)
                if not seen.is_going:
                    return 0
                time.sleep(max(0.1, args.every))
                seen.look()
    except KeyboardInterrupt:
        return 0
