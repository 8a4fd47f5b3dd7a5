"""``fairseq-dro``: one command, one module a sub-command.

A module named here exposes ``add_arguments(parser)`` and ``run(args) -> int``. All of them are
imported to parse any command line, so none imports fairseq or torch at its top.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence

from fairseq_dro.errors import UserError

SUB_COMMANDS = {
    "prepare": ("fairseq_dro.corpora.prepare", "make a data folder"),
    "doctor": ("fairseq_dro.doctor.command", "what would stop or spoil training on a data folder"),
    "random-checkpoint": (
        "fairseq_dro.models.random_checkpoint_command",
        "write an XLS-R-shaped checkpoint of random weights",
    ),
    "watch": ("fairseq_dro.watch.command", "a run as it goes: CER, q, update n of N, time left"),
    "score": (
        "fairseq_dro.report.score.command",
        "error rates of records or text files, with intervals",
    ),
    "report": ("fairseq_dro.report.command", "one page about a run: who is left behind"),
    "compare": (
        "fairseq_dro.report.compare.command",
        "runs side by side: paired tests, levelling down",
    ),
    "checkpoints": (
        "fairseq_dro.report.checkpoints.command",
        "which checkpoint each criterion chooses",
    ),
}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fairseq-dro",
        description="Data folders, reports and comparisons for fairseq fine-tuning on many "
        "languages. Training is fairseq-hydra-train, decoding is fairseq-dro-infer.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module_name, summary) in SUB_COMMANDS.items():
        module = importlib.import_module(module_name)
        command = commands.add_parser(name, help=summary, description=module.__doc__)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point: 0 on success, 2 on a mistake of the user, told in one sentence."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if hasattr(sys.stdout, "reconfigure"):  # a terminal without UTF-8 shows other letters as codes
        sys.stdout.reconfigure(errors="backslashreplace")
    args = build_parser().parse_args(arguments)
    try:
        return args.run(args)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except BrokenPipeError:  # `fairseq-dro ... | head`
        sys.stderr.close()
        return 1


if __name__ == "__main__":
    sys.exit(main())
