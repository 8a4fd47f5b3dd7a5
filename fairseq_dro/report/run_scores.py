"""The test numbers of one run: those of ``scores.json``, with texts compared anew.

Whatever counts the records hold, texts are compared as ``score`` and ``compare`` do: records of
another version or tool are then counted alike on every page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairseq_dro.group_by import BY_LANGUAGE, GroupBy
from fairseq_dro.scoring.convention import Convention
from fairseq_dro.scoring.rates import sum_up
from fairseq_dro.scoring.records import Record
from fairseq_dro.scoring.summary import summarise


class RunScores:
    """Scores of one decoded split.

    Args:
        records: its utterances.
        by: what a group is.

    Attributes:
        records: the utterances with the counts of ``Convention()``.
        numbers: see ``summary.summarise``.
        cer: by group, fractions; without groups that have no reference character.
        worst: the group of the highest CER; empty where no group has a rate.
    """

    def __init__(self, records: Sequence[Record], by: GroupBy = BY_LANGUAGE) -> None:
        convention = Convention()
        self.by = by
        self.records = [convention.score(record) for record in records]
        scores = sum_up(self.records, convention, by, self.group_of)
        self.cer, self.worst = scores.cer, scores.worst_language() or ""
        self.numbers = summarise(scores)

    def group_of(self, record: Record) -> str:
        """Name of the group; ``all`` for an utterance that has none."""
        return self.by.group_of(record) or "all"

    @property
    def groups(self) -> Mapping[str, Mapping[str, Any]]:
        """The numbers of each group."""
        return self.numbers["languages"]

    @property
    def looping(self) -> dict[str, float]:
        """Share of texts that repeat themselves, by group; empty where the model writes no case."""
        written = self.numbers.get("as_written", {}).get("languages", {})
        return {name: row["share_looping"] for name, row in written.items()}

    @property
    def null_band(self) -> tuple[float, float] | None:
        """Where the highest CER would lie if all groups were equally hard."""
        worst = (self.numbers["disparity"] or {}).get("worst")
        return None if worst is None else (worst["null_low"], worst["null_high"])

    @property
    def few_speakers(self) -> dict[str, int]:
        """Groups with speakers that are too few to be drawn from, with their number at most."""
        found = {name: row["few_speakers"] for name, row in self.groups.items()}
        return {name: n for name, n in found.items() if n}
