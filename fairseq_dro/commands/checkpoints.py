"""``fairseq-dro checkpoints RUN``: which checkpoint each criterion chooses, and what it is worth.

Lists the update that each value of checkpoint.best_checkpoint_metric would choose from the history
of the run, how to decode it, and the test numbers of all that were decoded. To have several to
choose from, keep them while training:

    checkpoint.save_interval_updates=500 checkpoint.keep_interval_updates=-1
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fairseq_dro.errors import UserError
from fairseq_dro.runs.decodable import RESULTS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="RUN")
    parser.add_argument(
        "--results", default=RESULTS,
        help=f"what the names of decoded folders begin with (default: {RESULTS})",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Print the tables as Markdown.

    Raises:
        UserError: see ``training_run.read_training_run`` and ``decoded_choices``; or the run has no
            history.
    """
    from fairseq_dro.report.blocks import Section
    from fairseq_dro.report.checkpoints.decoded_choices import decoded_choices
    from fairseq_dro.report.markdown import render_markdown
    from fairseq_dro.report.sections.checkpoints import choice_blocks
    from fairseq_dro.runs.training_run import read_training_run

    training_run = read_training_run(args.folder, args.results)
    if not training_run.validations:
        raise UserError(
            f"{args.folder} has no history.jsonl with validations: only runs trained with "
            "criterion group_dro_ctc tell what each criterion would choose."
        )
    blocks = choice_blocks(training_run, decoded_choices(training_run))
    section = Section("checkpoints", "Choosing a checkpoint", blocks)
    sys.stdout.write(render_markdown(training_run.name, str(args.folder), [section]))
    return 0
