"""Findings about batches that a language, or the whole training split, cannot fill."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fairseq_dro.batching.planner import EVEN_FILL
from fairseq_dro.checks.finding import Finding, Severity
from fairseq_dro.doctor.run_settings import RunSettings
from fairseq_dro.wording import counted, listed

Fills = dict[str, float]


def unfilled(
    split: str, total_seconds: float, fills: Fills, fills_of: Callable[[float, int], Fills],
    run: RunSettings,
) -> list[Finding]:  # fmt: skip
    """Languages whose batches hold much less than ``task.batch_seconds``.

    A batch is small where its language has little audio, or where training has less than one update
    asks for: the planner cuts as many batches as an update has, whatever they hold.

    Args:
        total_seconds: audio of the training split.
        fills: mean seconds of the planned batches by group, over ``batch_seconds``.
        fills_of: the same for another ``batch_seconds`` and ``update_freq``.
    """
    short = sorted((name for name in fills if fills[name] < EVEN_FILL[0]), key=fills.get)
    if not short:
        return []
    told = listed([f"{name} {fills[name] * run.batch_seconds:.0f} s" for name in short])
    so = ", whose summed losses look easy to ctc_dro" if run.compares_sums else ""
    what = (
        f"batches that hold much less than task.batch_seconds={run.batch_seconds:g}{so}: "
        f"{counted(len(short), 'language')} ({told})"
    )
    asked = run.multiple_of * run.batch_seconds
    if asked > total_seconds:
        what += (
            f"; an update asks for {run.multiple_of} x {run.batch_seconds:g} s = {asked:.0f} s, "
            f"and {split} has {total_seconds:.0f} s"
        )
    ways = _ways(total_seconds, fills_of, run)
    if run.compares_sums:
        ways.append("criterion.group_loss=per_second")
    fix = f"set {', or '.join(ways)}" if ways else "nothing need be done"
    severity = Severity.WARNING if run.compares_sums else Severity.NOTE
    return [Finding("batch_not_filled", severity, what, fix, len(short))]


def _ways(
    total_seconds: float, fills_of: Callable[[float, int], Fills], run: RunSettings
) -> list[str]:
    """Options with which all languages fill their batches, as planning them shows."""
    found = []
    fewer = max(int(total_seconds / (run.workers * run.batch_seconds)), 1)
    if fewer < run.micro_batches:
        option = f"optimization.update_freq=[{fewer}]"
        if _is_filled(fills_of(run.batch_seconds, fewer)):
            found.append(option)
        else:
            seconds = _filled_seconds(fills_of, run.batch_seconds, fewer)
            found += [f"{option} and task.batch_seconds={seconds}"] if seconds else []
    seconds = _filled_seconds(fills_of, run.batch_seconds, run.micro_batches)
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
