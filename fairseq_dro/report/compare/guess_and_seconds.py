"""What a comparison takes from the data folder: constant guesses, seconds of training speech."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from fairseq_dro.data.groups import groups_of
from fairseq_dro.data.manifest import read_manifest
from fairseq_dro.data.manifest_writer import SAMPLE_RATE
from fairseq_dro.errors import UserError
from fairseq_dro.group_by import GroupBy, suffix_of
from fairseq_dro.report.constant_guess import constant_guesses
from fairseq_dro.runs.training_run import TrainingRun
from fairseq_dro.scoring.records import Record


class GuessAndSeconds(NamedTuple):
    """By group; one that was decoded and not trained on has 0 seconds and no guess.

    Attributes:
        constant_cer: CER of the constant guess, a fraction; empty where units are no text.
        train_seconds: of training speech.
    """

    constant_cer: Mapping[str, float]
    train_seconds: Mapping[str, float]


def guess_and_seconds(data: Path, run: TrainingRun, by: GroupBy) -> GuessAndSeconds:
    """Read the training split that the run names (``dataset.train_subset``, ``task.labels``).

    The guess is scored on what the run was decoded on, whichever split that is.

    Args:
        by: what a group is.

    Raises:
        UserError: the split cannot be read, or has none of the groups that were decoded.
    """
    return guess_and_seconds_of(
        data, run.training_subset, run.label_type, by, run.utterances, run.post_process,
        run=str(run.folder),
    )


def guess_and_seconds_of(
    data: Path,
    split: str,
    label_type: str,
    by: GroupBy,
    records: Iterable[Record],
    post_process: str,
    run: str = "the model",
) -> GuessAndSeconds:
    """Likewise for what was decoded, without a run.

    Args:
        split: the training split.
        run: what was decoded, for the message.

    Raises:
        UserError: see ``guess_and_seconds``.
    """
    manifest = read_manifest(data, split, label_type)
    groups = groups_of(manifest, by)
    decoded: dict[str, list[Record]] = {}
    for record in records:
        group = by.group_of(record)
        if group is not None:
            decoded.setdefault(group, []).append(record)
    seconds = dict.fromkeys(decoded, 0.0)
    for index, group in enumerate(groups):
        if group in seconds:
            seconds[group] += int(manifest.n_samples[index]) / SAMPLE_RATE
    if decoded and not any(seconds.values()):
        raise UserError(
            f"{data}/{split}.{suffix_of(by.columns[0])} has none of the {by.noun}s that "
            f"{run} was decoded on: name the data folder of the run with --data."
        )
    guesses = constant_guesses(
        groups, manifest.languages, manifest.labels, decoded, post_process
    )
    return GuessAndSeconds(guesses, seconds)
