"""Which checkpoint each validation number would choose.

fairseq keeps the checkpoint with the lowest ``checkpoint.best_checkpoint_metric`` among those that
it saves (``fairseq/checkpoint_utils.py:36`` and ``:77``: of equals the later one, in the digits
that it logs). The lowest of many noisy numbers is too low by chance, most of all where the number
hangs on the few utterances of one language, as the worst does: the test split tells what a choice
is worth.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairseq_dro.runs.training_run import LOG_FILE, TrainingRun

CRITERIA = ("loss", "mean_cer", "worst_cer", "cvar_cer", "cer")
"""Values of ``checkpoint.best_checkpoint_metric`` that can be told from a history."""

_SAVED = re.compile(r"Saved checkpoint (.+) \(epoch \d+ @ (\d+) updates")


@dataclass(frozen=True)
class Choice:
    """What one criterion chooses.

    Attributes:
        value: at the chosen update; a fraction, for ``loss`` nats per utterance.
        others: every criterion's number at the chosen update.
        path: the checkpoint file, or None where it was not kept.
        missed: update and value of a lower validation at which no checkpoint was saved, or None.
    """

    criterion: str
    update: int
    value: float
    others: Mapping[str, float]
    path: Path | None
    at_the_end: bool
    missed: tuple[int, float] | None = None


def choices(run: TrainingRun) -> list[Choice]:
    """One choice a criterion, of those validations at which a checkpoint was saved.

    Empty for a run without history. Where no log says what was saved, every validation counts.
    """
    series = {name: _series(run.validations, name) for name in CRITERIA}
    updates = [int(record["update"]) for record in run.validations]
    saved = saved_files(run.folder / LOG_FILE)
    candidates = [i for i, update in enumerate(updates) if not saved or update in saved]
    found, missed = {}, {}
    for name, values in series.items():
        logged = {i: _logged(name, value) for i, value in enumerate(values) if value == value}
        known = [index for index in candidates if index in logged]
        if known:
            lowest = min(logged[index] for index in known)
            found[name] = max(index for index in known if logged[index] == lowest)
            best = min(logged, key=lambda index: values[index])
            missed[name] = (updates[best], values[best]) if logged[best] < lowest else None
    best = run.best_checkpoint_metric
    return [
        Choice(
            criterion=name,
            update=updates[index],
            value=series[name][index],
            others={other: values[index] for other, values in series.items()},
            path=_kept_file(
                run, updates[index], saved,
                is_best=best in found and found[best] == index,
                is_last=index == candidates[-1],
            ),
            at_the_end=index == len(updates) - 1,
            missed=missed[name],
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
    """A criterion's number at each validation; NaN where the line does not tell."""
    found = [record.get("loss_nats" if criterion == "loss" else criterion) for record in history]
    return [math.nan if value is None else float(value) for value in found]


def _logged(criterion: str, value: float) -> float:
    """In the digits that fairseq compares: bits or per cent, three decimals."""
    return round(value / math.log(2) if criterion == "loss" else 100 * value, 3)


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
