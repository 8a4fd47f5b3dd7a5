"""``fairseq-dro checkpoints RUN``: which checkpoint each criterion chooses, and what it is worth.

Lists the update that each value of checkpoint.best_checkpoint_metric would choose from the history
of the run, how much of the chosen number is probably luck, how to decode it, and the test numbers
of all that were decoded. To have several to choose from, keep them while training:

    checkpoint.save_interval_updates=500 checkpoint.keep_interval_updates=-1
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fairseq_dro.errors import UserError
from fairseq_dro.runs.decodable import RESULTS

if TYPE_CHECKING:
    from fairseq_dro.report.checkpoints.choice import Choice
    from fairseq_dro.report.checkpoints.decoded_choices import DecodedChoice
    from fairseq_dro.runs.training_run import TrainingRun

_NAMES = {"mean": "mean CER", "worst": "worst CER", "cvar_10": "CVaR 10 %", "micro": "all together"}


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
    from fairseq_dro.report.checkpoints.choice import choices
    from fairseq_dro.report.checkpoints.decoded_choices import decoded_choices
    from fairseq_dro.runs.training_run import read_training_run

    training_run = read_training_run(args.folder, args.results)
    if not training_run.validations:
        raise UserError(
            f"{args.folder} has no history.jsonl with validations: only runs trained with "
            "criterion group_dro_ctc tell what each criterion would choose."
        )
    found, decoded = choices(training_run), decoded_choices(training_run)
    sys.stdout.write(text_of(training_run, found, decoded))
    return 0


def text_of(
    training_run: TrainingRun, found: Sequence[Choice], decoded: Sequence[DecodedChoice]
) -> str:
    """Choices, commands and test numbers as Markdown."""
    from fairseq_dro.report.text_table import layout

    parts = [
        f"# Choosing a checkpoint of {training_run.name}\n",
        layout(_choice_rows(found, decoded)),
        *(f"- {note}" for note in _notes(training_run, found)),
        "",
    ]
    commands = _commands(training_run, found, decoded)
    if commands:
        parts += ["To decode what is not decoded yet:\n", *(f"    {one}" for one in commands), ""]
    if decoded:
        parts += ["## On the test split\n", layout(_decoded_rows(decoded))]
    if len(decoded) > 1:
        parts.append(
            f"- Differences are from {decoded[0].folder}, with 95 % intervals of the choice of "
            "test utterances (paired bootstrap over speakers where they are known, else over "
            "utterances).\n"
        )
    return "\n".join(parts)


def _choice_rows(found: Sequence[Choice], decoded: Sequence[DecodedChoice]) -> list[list[str]]:
    from fairseq_dro.report.checkpoints.decoded_choices import test_value

    header = ["criterion", "update", "its value", "by neighbours", "luck", "wobble"]
    rates = [name for name in ("mean_cer", "worst_cer", "cvar_cer") if found]
    header += [f"{name} there" for name in rates] + ["on test"]
    rows = []
    for one in found:
        tested = test_value(decoded, one)
        values = (one.value, one.expected, one.luck, one.wobble)
        rows.append(
            [
                one.criterion, str(one.update),
                *(_number(one.criterion, value) for value in values),
                *(_number(name, one.others[name]) for name in rates),
                "" if tested is None else _number(one.criterion, tested),
            ]
        )  # fmt: skip
    return [header, *rows]


def _notes(training_run: TrainingRun, found: Sequence[Choice]) -> list[str]:
    from fairseq_dro.report.blocks import counted

    rows = training_run.validations[-1]["languages"].values()
    n_utterances = sum(int(row.get("n_utterances") or 0) for row in rows if isinstance(row, dict))
    notes = [
        f"Validation split {training_run.subset or 'valid'}"
        + (f" ({counted(n_utterances, 'utterance')})" if n_utterances else "")
        + f", {counted(len(training_run.validations), 'validation')}; CER in per cent, loss in "
        "nats an utterance.",
        "*By neighbours*: the value that the validations before and after say; *luck* is how much "
        "lower the chosen one is (the winner's curse); *wobble* is the deviation of a single "
        "value. Choices whose values differ by less than the wobble are alike.",
    ]
    late = [one.criterion for one in found if one.at_the_end]
    if late:
        notes.append(
            f"{', '.join(late)} {'is' if len(late) == 1 else 'are'} lowest at the last validation: "
            "no later one tells luck from learning, and longer training may go lower."
        )
    if len({one.update for one in found}) == 1 and len(found) > 1:
        notes.append("All criteria choose the same checkpoint.")
    return notes


def _commands(
    training_run: TrainingRun, found: Sequence[Choice], decoded: Sequence[DecodedChoice]
) -> list[str]:
    """One command for each chosen checkpoint that is kept, a comment for one that is not."""
    from fairseq_dro.report.checkpoints.decoded_choices import decoded_of
    from fairseq_dro.runs.decoding_command import infer_command

    by_update: dict[int, list[Choice]] = {}
    for one in found:
        by_update.setdefault(one.update, []).append(one)
    commands = []
    for update, chosen in by_update.items():
        if any(decoded_of(decoded, one) is not None for one in chosen):
            continue
        path = next((one.path for one in chosen if one.path is not None), None)
        if path is None:
            commands.append(
                f"# update {update} ({', '.join(one.criterion for one in chosen)}) was not kept: "
                "train with checkpoint.keep_interval_updates=-1"
            )
        else:
            results = training_run.folder / f"{training_run.results}_{chosen[0].criterion}"
            commands.append(infer_command(path, results))
    return commands


def _decoded_rows(decoded: Sequence[DecodedChoice]) -> list[list[str]]:
    names = ["mean", "worst", "cvar_10", "micro"]
    header = ["decoded folder", "update"]
    for name in names:
        header += [_NAMES[name]] + ([f"{_NAMES[name]}, difference"] if len(decoded) > 1 else [])
    rows = []
    for one in decoded:
        row = [one.folder, "" if one.update is None else str(one.update)]
        for name in names:
            told = _number("", one.numbers[name])
            row.append(f"{told} ({one.worst_group})" if name == "worst" else told)
            if len(decoded) > 1:
                row.append(_difference(one, name))
        rows.append(row)
    return [header, *rows]


def _difference(one: DecodedChoice, name: str) -> str:
    if name not in one.differences:
        return ""
    value = one.differences[name]
    low, high = 100 * float(value.low), 100 * float(value.high)
    return f"{100 * float(value.estimate):+.1f} ({low:+.1f} to {high:+.1f})"


def _number(criterion: str, value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{value:.2f}" if criterion == "loss" else f"{100 * value:.1f}"
