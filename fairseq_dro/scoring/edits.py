"""Edit distance with its parts.

The number of errors is the Levenshtein distance, and is unique. Its split into substitutions,
deletions and insertions is that of one shortest path, the one rapidfuzz finds (jiwer's too);
another tool may split a tie differently, but deletions - insertions is the same for all. Programs
after NIST's sclite weigh a substitution 4 and the others 3, and so find more errors in some pairs:
``count_sclite_edits`` gives their numbers.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from rapidfuzz.distance import Levenshtein

from fairseq_dro.errors import UserError


class EditCounts(NamedTuple):
    """Errors of a hypothesis, or summed over many, in units (characters or words)."""

    substitutions: int = 0
    deletions: int = 0  # units of the reference that the hypothesis lacks
    insertions: int = 0  # units of the hypothesis that the reference lacks
    reference_length: int = 0

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions together."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def error_rate(self) -> float | None:
        """Errors per reference unit, a fraction; above 1 where insertions abound.

        None where the reference is empty: the rate of nothing is not 0 (insertions may be there)
        and no finite number either.
        """
        return self.errors / self.reference_length if self.reference_length else None

    def plus(self, other: EditCounts) -> EditCounts:
        """Counts of both together."""
        # spelled out: this is called for every utterance, several times
        return EditCounts(
            self[0] + other[0], self[1] + other[1], self[2] + other[2], self[3] + other[3]
        )


def count_edits(reference: Sequence[Hashable], hypothesis: Sequence[Hashable]) -> EditCounts:
    """Turn ``reference`` into ``hypothesis`` with the fewest edits and count them by kind.

    An empty reference gives one insertion per hypothesis unit, an empty hypothesis one deletion
    per reference unit.
    """
    if reference == hypothesis:
        return EditCounts(reference_length=len(reference))
    n_errors = {"replace": 0, "delete": 0, "insert": 0}
    for kind, _, _ in Levenshtein.editops(reference, hypothesis).as_list():
        n_errors[kind] += 1
    return EditCounts(
        n_errors["replace"], n_errors["delete"], n_errors["insert"], len(reference)
    )


def count_sclite_edits(
    reference: Sequence[Hashable], hypothesis: Sequence[Hashable]
) -> EditCounts:
    """The alignment of NIST's sclite, by kaldialign: substitutions cost 4, the others 3.

    Raises:
        UserError: kaldialign is not installed.
    """
    try:
        import kaldialign
    except ImportError:
        raise UserError(
            "--alignment sclite needs kaldialign: type `pip install kaldialign`, or leave the "
            "option out."
        ) from None
    found = kaldialign.edit_distance(list(reference), list(hypothesis), sclite_mode=True)
    return EditCounts(found["sub"], found["del"], found["ins"], len(reference))
