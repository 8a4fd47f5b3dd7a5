"""Findings about batches that a language, or the whole training split, cannot fill."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from fairseq_dro.batching.planner import EVEN_FILL
from fairseq_dro.checks.finding import Finding, Severity
from fairseq_dro.wording import counted, listed

Fills = Mapping[str, float]
"""Mean seconds of the planned batches by group, over ``batch_seconds``."""


@dataclass(frozen=True)
class Update:
    """What an update asks for.

    Attributes:
        batch_seconds: ``task.batch_seconds``.
        micro_batches: of each worker, ``optimization.update_freq``.
    """

    batch_seconds: float
    workers: int
    micro_batches: int

    @property
    def n_batches(self) -> int:
        return self.workers * self.micro_batches


def uneven(fills: Fills) -> Fills:
    """The groups whose batches hold much less or more than they should, so losses do not compare.

    A group with little audio has batches with small sums, which look easy to CTC-DRO.
    """
    least, most = EVEN_FILL
    return {name: fill for name, fill in fills.items() if not least <= fill <= most}


def not_filled(
    split: str, total_seconds: float, fills: Fills, fills_of: Callable[[float, int], Fills],
    update: Update, *, compares_sums: bool,
) -> list[Finding]:  # fmt: skip
    """Languages whose batches hold much less than ``task.batch_seconds``.

    A batch is small where its language has little audio, or where training has less than one update
    asks for: the planner cuts as many batches as an update has, whatever they hold.

    Args:
        total_seconds: audio of the training split.
        fills_of: fills with another ``batch_seconds`` and ``update_freq``.
        compares_sums: q moves by the sums of batches, whatever they hold.
    """
    short = sorted((name for name, fill in uneven(fills).items() if fill < 1), key=fills.get)
    if not short:
        return []
    told = listed([f"{name} {fills[name] * update.batch_seconds:.0f} s" for name in short])
    so = ", whose summed losses look easy to ctc_dro" if compares_sums else ""
    what = (
        f"batches that hold much less than task.batch_seconds={update.batch_seconds:g}{so}: "
        f"{counted(len(short), 'language')} ({told})"
    )
    asked = update.n_batches * update.batch_seconds
    if asked > total_seconds:
        what += (
            f"; an update asks for {update.n_batches} x {update.batch_seconds:g} s = "
            f"{asked:.0f} s, and {split} has {total_seconds:.0f} s"
        )
    ways = _ways(total_seconds, fills_of, update)
    if compares_sums:
        ways.append("criterion.group_loss=per_second")
    fix = f"set {', or '.join(ways)}" if ways else "nothing to do"
    severity = Severity.WARNING if compares_sums else Severity.NOTE
    return [Finding("batch_not_filled", severity, what, fix, len(short))]


def _ways(
    total_seconds: float, fills_of: Callable[[float, int], Fills], update: Update
) -> list[str]:
    """Options with which all languages fill their batches, as planning them shows."""
    found = []
    fewer = max(int(total_seconds / (update.workers * update.batch_seconds)), 1)
    if fewer < update.micro_batches:
        option = f"'optimization.update_freq=[{fewer}]'"
        if _is_filled(fills_of(update.batch_seconds, fewer)):
            found.append(option)
        else:
            seconds = _filled_seconds(fills_of, update.batch_seconds, fewer)
            found += [f"{option} and task.batch_seconds={seconds}"] if seconds else []
    seconds = _filled_seconds(fills_of, update.batch_seconds, update.micro_batches)
    return found + ([f"task.batch_seconds={seconds}"] if seconds else [])


def _filled_seconds(
    fills_of: Callable[[float, int], Fills], batch_seconds: float, micro_batches: int
) -> int | None:
    """The largest of some ``batch_seconds`` that all languages fill.

    Planned, for a language of few utterances fills batches of half the size no better.
    """
    least = min(fills_of(batch_seconds, micro_batches).values()) * batch_seconds
    for tried in np.floor(least * np.array([1.4, 1, 0.7, 0.5])).astype(int).tolist():
        if tried >= 1 and _is_filled(fills_of(tried, micro_batches)):
            return tried
    return None


def _is_filled(fills: Fills) -> bool:
    return min(fills.values()) >= EVEN_FILL[0]
