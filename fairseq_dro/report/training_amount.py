"""How much training the test numbers of a run come from, and whether arms had as much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fairseq_dro.report.alarms import Alarm
from fairseq_dro.report.blocks import duration
from fairseq_dro.runs.training_run import TrainingRun

_TOLERANCE = 0.01  # of updates or seconds; less is how batches happen to be filled


class Amount(NamedTuple):
    """Up to the checkpoint that was decoded; None where it is not known."""

    update: int | None
    audio_seconds: float | None


def training_amount(run: TrainingRun) -> Amount:
    """Of the decoded checkpoint; of one that does not say its update, nothing is known.

    Seconds are those of the last validation until then, in proportion to the updates since.
    """
    update = run.decoded_from.update
    if update is None:
        return Amount(None, None)
    before = [record for record in run.validations if 0 < int(record["update"]) <= update]
    if not before:
        return Amount(update, None)
    rows = before[-1]["languages"].values()
    seconds = [row["train_audio_seconds"] for row in rows if "train_audio_seconds" in row]
    scale = update / int(before[-1]["update"])
    return Amount(update, scale * sum(seconds) if seconds else None)


def unequal_training(arms: Mapping[str, Sequence[TrainingRun]]) -> list[Alarm]:
    """Arms whose test numbers come from unequal amounts of training.

    Args:
        arms: runs by arm; of several runs the mean counts.
    """
    amounts = {name: [training_amount(run) for run in runs] for name, runs in arms.items()}
    updates, seconds = (_means(amounts, field) for field in Amount._fields)
    if not (_differ(updates) or _differ(seconds)):
        return []
    told = []
    for name in updates:
        parts = [f"after {updates[name]:,.0f} updates"]
        parts += [f"{duration(seconds[name])} of audio"] if name in seconds else []
        told.append(f"{name} {' and '.join(parts)}")
    return [
        Alarm(
            "unequal training",
            f"The runs were decoded after unequal training: {'; '.join(told)}. A difference may "
            "come from training longer and not from the objective.",
        )
    ]


def _means(amounts: Mapping[str, Sequence[Amount]], field: str) -> dict[str, float]:
    """By arm, where all its runs are known to it."""
    found = {}
    for name, own in amounts.items():
        values = [getattr(amount, field) for amount in own]
        if values and None not in values:
            found[name] = sum(values) / len(values)
    return found


def _differ(values: Mapping[str, float]) -> bool:
    return bool(values) and max(values.values()) > (1 + _TOLERANCE) * min(values.values())
