"""How much training the test numbers of a run come from, and whether arms had as much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fairseq_dro.report.alarms import Alarm
from fairseq_dro.runs.durations import in_one_unit
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


def unequal_training(arms: Mapping[str, Sequence[TrainingRun]]) -> Alarm | None:
    """Runs whose test numbers come from unequal amounts of training.

    Args:
        arms: runs by arm. A seed that stopped early counts, though the means may be equal.
    """
    amounts = {name: [training_amount(run) for run in runs] for name, runs in arms.items()}
    of_all = [amount for own in amounts.values() for amount in own]
    if not any(map(_differ, zip(*of_all))):
        return None
    told = [f"{name} after {_in_words(own)}" for name, own in amounts.items()]
    return Alarm(
        "unequal training",
        f"The runs were decoded after unequal training: {'; '.join(told)}. A difference may come "
        "from training longer and not from the objective.",
    )


def _differ(values: Sequence[float | None]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and max(known) > (1 + _TOLERANCE) * min(known)


def _in_words(amounts: Sequence[Amount]) -> str:
    """Of one arm: one value, or the least and the most of its runs."""
    parts = []
    forms = "{:,} updates".format, lambda seconds: f"{in_one_unit(seconds)} of audio"
    for text, values in zip(forms, zip(*amounts)):
        known = [value for value in values if value is not None]
        if known:
            parts.append(" to ".join(dict.fromkeys((text(min(known)), text(max(known))))))
    return " and ".join(parts) or "an unknown amount"
