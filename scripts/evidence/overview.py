"""The first table of the page: a line for each setting, its best ERM against its best DRO."""

from __future__ import annotations

from committed import best_on_dev, runs_made
from plan import SETTINGS, Run

UPDATE_SECONDS = 32
Record = dict  # comparison.json


def overview(records: dict[str, tuple[Record, dict[str, int]]]) -> list[str]:
    """Of each setting the ERM and the DRO arm with the lowest mean CER on dev speech at seed 1.

    Args:
        records: by setting, what ``compare`` found, and the try of each arm that it compared.
    """
    lines = [
        "| setting | languages | minutes heard, with repeats | runs | ERM: mean, worst CER, % | "
        "arm of DRO that is best on dev | seeds | mean, points | worst, points |",
        "|---|--:|--:|--:|--:|---|--:|--:|--:|",
    ]
    for setting, (record, chosen) in records.items():
        plan, erm = SETTINGS[setting], record["arms"][0]
        dro = {arm["name"]: arm for arm in record["arms"] if is_dro(setting, arm["name"])}
        if not dro:  # ERM alone was run yet
            continue
        best = best_on_dev(Run(setting, name, chosen[name], 1) for name in dro).arm
        other = dro[best]
        (against,) = (one for one in record["differences"] if one["arm"] == best)
        measures = erm["measures"]
        cells = [
            setting, str(len(plan.languages)), f"{plan.updates * UPDATE_SECONDS / 60:.0f}",
            str(len(runs_made(setting))),
            f"{100 * measures['mean']:.1f}, {100 * measures['worst']:.1f} "
            f"({', '.join(erm['worst_groups'])})",
            best, f"{len(erm['runs'])} and {len(other['runs'])}",
            *(interval(against["measures"][name]) for name in ("mean", "worst")),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def is_dro(setting: str, arm: str) -> bool:
    """Whether q moves under the arm."""
    objective = next(iter(SETTINGS[setting].arms[arm].values()))["criterion.objective"]
    return objective.endswith("_dro")


def interval(found: dict) -> str:
    """``-1.9 (-3.8 to +0.0)``, in points."""
    low, high = 100 * found["low"], 100 * found["high"]
    return f"{100 * found['difference']:+.1f} ({low:+.1f} to {high:+.1f})"
