"""Which runs are compared as what: each by itself, or several seeds as one arm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fairseq_dro.errors import UserError
from fairseq_dro.group_by import BY_LANGUAGE, GroupBy
from fairseq_dro.runs.decoding_command import decoding_command
from fairseq_dro.runs.record_file import said_to_be_in
from fairseq_dro.runs.training_run import TrainingRun, read_training_run


class Arm(NamedTuple):
    """One way of training: a name and its runs, which differ in their seeds."""

    name: str
    runs: list[TrainingRun]


def read_arms(typed: Sequence[str], results: str) -> list[Arm]:
    """The arms of ``NAME=RUN,RUN`` or ``RUN``, as typed.

    Raises:
        UserError: a name or a run is missing or there twice, or see ``read``.
    """
    arms = []
    for text in typed:
        is_named = "=" in text and not Path(text).exists()
        name, _, folders = text.partition("=") if is_named else ("", "", text)
        if is_named and not (name and all(folders.split(","))):
            raise UserError(
                f"compare: {text}: expected NAME=RUN or NAME=RUN,RUN,RUN (run folders)."
            )
        runs = [read(Path(one), results) for one in (folders.split(",") if name else [folders])]
        arms.append(Arm(name or runs[0].name, runs))
    _require_distinct(arms)
    return arms


def read(folder: Path, results: str) -> TrainingRun:
    """A run whose test split has been decoded.

    Raises:
        UserError: it is no run, or not decoded (see ``training_run.read_training_run``).
    """
    run = read_training_run(folder, results)
    if not run.utterances:
        raise UserError(
            f"{folder / results} holds no records: decode the test split of the run first, with "
            f"`{decoding_command(run, results)}`, or name another "
            f"sub-folder with --results{said_to_be_in(folder)}."
        )
    return run


def group_by_of(arms: Sequence[Arm]) -> GroupBy:
    """What groups are in the first run that has a history; else languages."""
    runs = (run for arm in arms for run in arm.runs if run.validations)
    return next((run.group_by for run in runs), BY_LANGUAGE)


def _require_distinct(arms: Sequence[Arm]) -> None:
    for folder, n in Counter(run.folder.resolve() for arm in arms for run in arm.runs).items():
        if n > 1:
            raise UserError(f"compare: {folder} is named twice; name each run once.")
    for name, n in Counter(arm.name for arm in arms).items():
        if n > 1:
            raise UserError(
                f"compare: two of the runs or arms have the same name, {name}; name them "
                "yourself, as NAME=RUN."
            )
