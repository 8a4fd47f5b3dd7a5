"""Test numbers of several checkpoints of one run, side by side.

Each checkpoint is decoded into a folder of its own below the run's: ``decode_test`` and, by
convention, ``decode_test_worst_cer`` for the one that ``worst_cer`` chose. Whatever lies in a
folder ``decode_test*`` with records is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fairseq_dro.report.checkpoint_choice import CRITERIA
from fairseq_dro.report.paired_records import DecodedRun, pair
from fairseq_dro.report.record_file import RECORDS_FILE, read_records
from fairseq_dro.report.training_run import TrainingRun
from fairseq_dro.scoring import disparity, paired

NUMBERS = {"mean": disparity.mean, "worst": disparity.worst, "cvar_10": disparity.cvar}
_NUMBER_OF = {"mean_cer": "mean", "worst_cer": "worst", "cvar_cer": "cvar_10", "cer": "micro"}


@dataclass(frozen=True)
class DecodedChoice:
    """One decoded folder; rates are fractions.

    Attributes:
        criterion: that its name ends with, empty where it ends with none.
        numbers: ``NUMBERS`` and ``micro``.
        differences: of these from the first folder's, on the same utterances; empty for the first.
    """

    folder: str
    criterion: str
    numbers: Mapping[str, float]
    worst_group: str
    differences: Mapping[str, paired.Difference]


def decoded_choices(run: TrainingRun) -> list[DecodedChoice]:
    """Every decoded folder of a run; the run's own results folder first.

    Raises:
        UserError: records cannot be read, or the folders hold other utterances or references.
    """
    places = sorted(path.parent for path in run.folder.glob(f"{run.results}*/{RECORDS_FILE}"))
    if not places:
        return []
    arms = [[DecodedRun(str(place), read_records(place))] for place in places]
    by_corpus = bool(run.validations) and (
        run.validations[-1].get("group_by") == "language_and_corpus"
    )
    blocks = pair(arms, by_corpus).characters
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
            DecodedChoice(place.name, _criterion(place.name), numbers, worst, differences)
        )
    return decoded


def test_value(decoded: Sequence[DecodedChoice], criterion: str) -> float | None:
    """The test number of what a criterion chose, by itself; None where it was not decoded."""
    for one in decoded:
        if one.criterion == criterion and criterion in _NUMBER_OF:
            return one.numbers[_NUMBER_OF[criterion]]
    return None


def _criterion(folder: str) -> str:
    endings = [name for name in CRITERIA if folder.endswith(f"_{name}")]
    return max(endings, key=len, default="")  # mean_cer ends with cer as well
