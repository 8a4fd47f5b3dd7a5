"""Test numbers of several checkpoints of one run, side by side.

Each checkpoint is decoded into a folder of its own below the run's: ``decode_test`` and, by
convention, ``decode_test_worst_cer`` for the one that ``worst_cer`` chose. Whatever lies in a
folder ``decode_test*`` with records is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fairseq_dro.report.checkpoints.choice import CRITERIA, Choice
from fairseq_dro.report.paired_records import DecodedRun, pair
from fairseq_dro.runs.decoding_source import decoding_source
from fairseq_dro.runs.record_file import RECORDS_FILE, read_records
from fairseq_dro.runs.training_run import TrainingRun
from fairseq_dro.scoring import disparity, paired

NUMBERS = {"mean": disparity.mean, "worst": disparity.worst, "cvar_10": disparity.cvar}
_NUMBER_OF = {"mean_cer": "mean", "worst_cer": "worst", "cvar_cer": "cvar_10", "cer": "micro"}


@dataclass(frozen=True)
class DecodedChoice:
    """One decoded folder; rates are fractions.

    Attributes:
        criterion: that its name ends with, empty where it ends with none.
        update: of the checkpoint that was decoded; None where its ``scores.json`` does not say.
        numbers: ``NUMBERS`` and ``micro``.
        differences: of these from the first folder's, on the same utterances; empty for the first.
    """

    folder: str
    criterion: str
    update: int | None
    numbers: Mapping[str, float]
    worst_group: str
    differences: Mapping[str, paired.Difference]


def decoded_choices(run: TrainingRun, prefix: str | None = None) -> list[DecodedChoice]:
    """Every decoded folder of a run; the run's own results folder first.

    Args:
        prefix: what the names begin with; by default that of the run's own.

    Raises:
        UserError: records cannot be read, or the folders hold other utterances or references.
    """
    found = run.folder.glob(f"{prefix or run.results}*/{RECORDS_FILE}")
    places = sorted(
        (path.parent for path in found), key=lambda place: (place.name != run.results, place.name)
    )
    if not places:
        return []
    arms = [[DecodedRun(str(place), read_records(place))] for place in places]
    blocks = pair(arms, run.group_by).characters
    replicates = paired.resample(blocks) if len(places) > 1 else None
    decoded = []
    for index, place in enumerate(places):
        rates = blocks.rates(index)[0]
        numbers = {name: float(function(rates)) for name, function in NUMBERS.items()}
        numbers["micro"] = float(blocks.errors[index].sum() / blocks.lengths.sum())
        differences = (
            paired.differences_of_functionals(blocks, replicates, NUMBERS, 0, index)
            if index
            else {}
        )
        worst = blocks.languages[int(np.argmax(rates))]
        decoded.append(
            DecodedChoice(
                place.name, _criterion(place.name), decoding_source(place).update, numbers, worst,
                differences,
            )
        )  # fmt: skip
    return decoded


def decoded_of(decoded: Sequence[DecodedChoice], choice: Choice) -> DecodedChoice | None:
    """The folder that holds what a criterion chose, None where it was not decoded.

    By the update that the folder says; of one that says none, by its name.
    """
    for one in decoded:
        if one.update == choice.update:
            return one
    named = (one for one in decoded if one.update is None and one.criterion == choice.criterion)
    return next(named, None)


def test_value(decoded: Sequence[DecodedChoice], choice: Choice) -> float | None:
    """The test number of what a criterion chose, by itself; None where it was not decoded."""
    one = decoded_of(decoded, choice)
    name = _NUMBER_OF.get(choice.criterion)
    return None if one is None or name is None else one.numbers[name]


def _criterion(folder: str) -> str:
    endings = [name for name in CRITERIA if folder.endswith(f"_{name}")]
    return max(endings, key=len, default="")  # mean_cer ends with cer as well
