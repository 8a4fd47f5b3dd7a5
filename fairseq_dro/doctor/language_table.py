"""One row a language, or another group: what the training split holds of it and how it is batched.

Shapes: N utterances, G groups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_dro.checks.split_survey import SplitSurvey
from fairseq_dro.data.lines import Categories
from fairseq_dro.group_by import BY_LANGUAGE, GroupBy

SHOWN_WHOLE = 40
"""Languages up to which all rows are shown; of more, the ends of the list."""
SHOWN_AT_ENDS = 12
BATCHES = (
    "batches: in an epoch; each is of one row alone and holds about task.batch_seconds of audio"
)


@dataclass(frozen=True)
class LanguageRow:
    """Numbers of one group in the training split; utterances also in the others."""

    group: str
    name: str
    utterances: int
    hours: float
    mean_seconds: float
    p95_seconds: float
    characters: int
    characters_per_second: float
    batches_per_epoch: int
    utterances_of_others: Mapping[str, int]

    def as_record(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def language_rows(
    survey: SplitSurvey,
    groups: Categories,
    seconds: np.ndarray,
    batches: Mapping[str, int],
    others: Mapping[str, Mapping[str, int]],
    *,
    by: GroupBy = BY_LANGUAGE,
    own_table: Path | None = None,
) -> list[LanguageRow]:
    """Rows by group, the fewest hours first.

    Args:
        seconds: [N] durations.
        batches: batches of an epoch by group.
        others: by split, the utterances of each group.
        by: what a group is.
        own_table: a language table of the folder's own.
    """
    order = np.argsort(groups.codes, kind="stable")
    ends = np.cumsum(np.bincount(groups.codes, minlength=len(groups.names)))
    rows = []
    for name, members in zip(groups.names, np.split(order, ends[:-1])):
        total = float(seconds[members].sum())
        characters = int(survey.n_characters[members].sum())
        rows.append(
            LanguageRow(
                name, by.name_of(name, own_table), len(members), total / 3600,
                float(seconds[members].mean()), float(np.quantile(seconds[members], 0.95)),
                characters, characters / total if total else 0.0, batches.get(name, 0),
                {split: counts.get(name, 0) for split, counts in others.items()},
            )
        )  # fmt: skip
    return sorted(rows, key=lambda row: (row.hours, row.group))


def table_text(
    rows: Sequence[LanguageRow], splits: Sequence[str], *, whole: bool, by: GroupBy = BY_LANGUAGE
) -> str:
    """The table for a terminal; without ``whole``, long ones without their middle."""
    heads = [str(by), "utts", "hours", "mean s", "p95 s", "chars", "chars/s", "batches", *splits]
    cells = [
        [
            " ".join(dict.fromkeys((row.group, row.name)))[:28], str(row.utterances),
            _time(row.hours), f"{row.mean_seconds:.1f}", f"{row.p95_seconds:.1f}",
            str(row.characters), f"{row.characters_per_second:.1f}", str(row.batches_per_epoch),
            *(str(row.utterances_of_others[split]) for split in splits),
        ]
        for row in rows
    ]  # fmt: skip
    left_out = 0
    if not whole and len(cells) > SHOWN_WHOLE:
        left_out = len(cells) - 2 * SHOWN_AT_ENDS
        cells = [*cells[:SHOWN_AT_ENDS], *cells[-SHOWN_AT_ENDS:]]
    widths = [max(map(len, column)) for column in zip(heads, *cells)]
    lines = [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths))
        ).rstrip()
        for line in (heads, *cells)
    ]
    if left_out:
        lines.insert(SHOWN_AT_ENDS + 1, f"... {left_out} more: --all-languages shows them")
    return "\n".join([*lines, BATCHES])


def _time(hours: float) -> str:
    """Minutes below an hour: ``9.5 min``, ``12.3``."""
    return f"{60 * hours:.1f} min" if hours < 1 else f"{hours:.1f}"
