"""Which checkpoint each validation number would choose, and how much of that is luck.

fairseq keeps the checkpoint with the lowest ``checkpoint.best_checkpoint_metric`` among those that
it saves (``fairseq/checkpoint_utils.py:36`` and ``:77``: of equals the later one, in the digits
that it logs). The lowest of many noisy numbers is too low by chance (the winner's curse), most of
all where the number hangs on the few utterances of one language, as the worst does. How much is
estimated from the history alone: a validation's neighbours in time have nearly the same model, and
were not chosen. At either end of the history there is no estimate, and a number that is lowest at
the last validation may just still be falling.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_dro.runs.training_run import LOG_FILE, TrainingRun
from fairseq_dro.scoring import disparity

CRITERIA = ("loss", "mean_cer", "worst_cer", "cvar_cer", "cer")
"""Values of ``checkpoint.best_checkpoint_metric`` that can be told from a history."""

_NEIGHBOURS = 3  # on each side
_MEDIAN_DEVIATION = 0.6745  # of a normal distribution, in standard deviations
_SAVED = re.compile(r"Saved checkpoint (.+) \(epoch \d+ @ (\d+) updates")


@dataclass(frozen=True)
class Choice:
    """What one criterion chooses.

    Attributes:
        value: at the chosen update; a fraction, for ``loss`` nats per utterance.
        expected: the same number at that update, from the neighbours in time; NaN at an end of the
            history, where they are on one side only.
        wobble: how far a value usually is from what its neighbours say (one standard deviation).
        others: every criterion's number at the chosen update.
        path: the checkpoint file, or None where it was not kept.
    """

    criterion: str
    update: int
    value: float
    expected: float
    wobble: float
    others: Mapping[str, float]
    path: Path | None
    at_the_end: bool

    @property
    def luck(self) -> float:
        """By how much the chosen value is probably too low; NaN where it is not known."""
        return self.expected - self.value


def choices(run: TrainingRun) -> list[Choice]:
    """One choice a criterion, of those validations at which a checkpoint was saved.

    Empty for a run without history. Where no log says what was saved, every validation counts.
    """
    series = {name: _series(run.validations, name) for name in CRITERIA}
    updates = [int(record["update"]) for record in run.validations]
    saved = saved_files(run.folder / LOG_FILE)
    candidates = [i for i, update in enumerate(updates) if not saved or update in saved]
    found = {}
    for name, values in series.items():
        known = [index for index in candidates if not math.isnan(values[index])]
        if known:
            lowest = min(_logged(name, values[index]) for index in known)
            found[name] = max(i for i in known if _logged(name, values[i]) == lowest)
    best = run.best_checkpoint_metric
    return [
        Choice(
            criterion=name,
            update=updates[index],
            value=series[name][index],
            expected=_from_neighbours(updates, series[name], index)[0],
            wobble=_wobble(updates, series[name]),
            others={other: values[index] for other, values in series.items()},
            path=_kept_file(
                run, updates[index], saved,
                is_best=best in found and found[best] == index,
                is_last=index == candidates[-1],
            ),
            at_the_end=index == len(updates) - 1,
        )
        for name, index in found.items()
    ]  # fmt: skip


def saved_files(log: Path) -> dict[int, str]:
    """Update and file name of every checkpoint that fairseq's log says was written."""
    saved: dict[int, str] = {}
    if log.exists():
        with open(log, encoding="utf-8", errors="replace") as stream:
            for line in stream:
                match = _SAVED.search(line)
                if match:
                    saved[int(match[2])] = Path(match[1]).name
    return saved


def _series(history: Sequence[Mapping[str, Any]], criterion: str) -> list[float]:
    return [_value(record, criterion) for record in history]


def _value(record: Mapping[str, Any], criterion: str) -> float:
    """A criterion's number at one validation; NaN where the line does not tell."""
    known = record.get("loss_nats" if criterion == "loss" else criterion)
    if isinstance(known, (int, float)):
        return float(known)
    over_groups: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "mean_cer": disparity.mean, "worst_cer": disparity.worst, "cvar_cer": disparity.cvar,
    }  # fmt: skip
    rows = [row for row in record["languages"].values() if isinstance(row, Mapping)]
    rates = [row["cer"] for row in rows if isinstance(row.get("cer"), (int, float))]
    if criterion not in over_groups or not rates:
        return math.nan
    return float(over_groups[criterion](np.array(rates)))


def _logged(criterion: str, value: float) -> float:
    """In the digits that fairseq compares: bits or per cent, three decimals."""
    return round(value / math.log(2) if criterion == "loss" else 100 * value, 3)


def _from_neighbours(
    updates: Sequence[int], values: Sequence[float], index: int
) -> tuple[float, float]:
    """What the nearest three known values on each side say of the place between.

    A parabola through them, as learning curves are bent; a line where they are fewer than four.

    Returns:
        The value, NaN where one side has none, and its variance in units of a single value's.
    """
    known = [i for i, value in enumerate(values) if not math.isnan(value)]
    before = [i for i in known if i < index][-_NEIGHBOURS:]
    after = [i for i in known if i > index][:_NEIGHBOURS]
    if not before or not after:
        return math.nan, math.nan
    near = [*before, *after]
    place = np.array([updates[i] - updates[index] for i in near], dtype=float)
    powers = np.vander(place / np.abs(place).max(), 3 if len(near) >= 4 else 2)
    weights = np.linalg.pinv(powers)[-1]  # of the constant term, the curve's value at the place
    return float(weights @ [values[i] for i in near]), float(weights @ weights)


def _wobble(updates: Sequence[int], values: Sequence[float]) -> float:
    """Standard deviation of single values about the curve of their neighbours.

    The median over the later half of the history, where a run learns slowly; NaN with fewer than
    three values that have neighbours on both sides.
    """
    off = []
    for index in range(len(values) // 2, len(values)):
        expected, variance = _from_neighbours(updates, values, index)
        if not math.isnan(expected) and not math.isnan(values[index]):
            off.append(abs(values[index] - expected) / math.sqrt(1 + variance))
    return float(np.median(off)) / _MEDIAN_DEVIATION if len(off) >= 3 else math.nan


def _kept_file(
    run: TrainingRun, update: int, saved: Mapping[int, str], *, is_best: bool, is_last: bool
) -> Path | None:
    folder = run.checkpoints
    places = sorted(folder.glob(f"checkpoint_*_{update}.pt"))
    if update in saved:
        name = saved[update]
        if name not in ("checkpoint_best.pt", "checkpoint_last.pt"):  # written over later
            places.append(folder / name)
    places += [folder / "checkpoint_best.pt"] if is_best else []
    places += [folder / "checkpoint_last.pt"] if is_last else []
    return next((place for place in places if place.exists()), None)
