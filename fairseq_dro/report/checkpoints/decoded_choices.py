"""Test numbers of several checkpoints of one run, compared as runs are.

Each checkpoint is decoded into a folder of its own below the run's: ``decode_test`` and, by
convention, ``decode_test_worst_cer`` for the one that ``worst_cer`` chose. Whatever lies in a
folder ``decode_test*`` with records is taken.
"""

from __future__ import annotations

from dataclasses import replace

from fairseq_dro.report.arms import Arm
from fairseq_dro.report.checkpoints.choice import CRITERIA, Choice
from fairseq_dro.report.comparison import Comparison, compare_arms
from fairseq_dro.runs.record_file import RECORDS_FILE, read_records
from fairseq_dro.runs.training_run import TrainingRun

_NUMBER_OF = {"mean_cer": "mean", "worst_cer": "worst", "cvar_cer": "cvar_10", "cer": "micro"}


def decoded_choices(run: TrainingRun, prefix: str | None = None) -> Comparison | None:
    """An arm for every decoded folder, by its name; the run's own results folder first.

    Args:
        prefix: what the names begin with; by default that of the run's own.

    Raises:
        UserError: records cannot be read, or the folders hold other utterances or references.
    """
    found = run.folder.glob(f"{prefix or run.results}*/{RECORDS_FILE}")
    places = sorted(
        (path.parent for path in found), key=lambda place: (place.name != run.results, place.name)
    )
    arms = [
        Arm(place.name, [replace(run, folder=place, results=".", utterances=read_records(place))])
        for place in places
    ]
    return compare_arms(arms, by=run.group_by) if arms else None


def decoded_of(decoded: Comparison | None, choice: Choice) -> Arm | None:
    """The folder that holds what a criterion chose, None where it was not decoded.

    By the update that the folder says; of one that says none, by its name.
    """
    arms = decoded.arms if decoded is not None else ()
    updates = {arm.name: arm.runs[0].decoded_from.update for arm in arms}
    said = [arm for arm in arms if updates[arm.name] == choice.update]
    named = [arm for arm in arms
             if updates[arm.name] is None and _criterion(arm.name) == choice.criterion]  # fmt: skip
    return next(iter([*said, *named]), None)


def test_value(decoded: Comparison | None, choice: Choice) -> float | None:
    """The test number of what a criterion chose, by itself; None where it was not decoded."""
    arm, name = decoded_of(decoded, choice), _NUMBER_OF.get(choice.criterion)
    return None if arm is None or name is None else decoded.measures[arm.name][name]


def _criterion(folder: str) -> str:
    endings = [name for name in CRITERIA if folder.endswith(f"_{name}")]
    return max(endings, key=len, default="")  # mean_cer ends with cer as well
