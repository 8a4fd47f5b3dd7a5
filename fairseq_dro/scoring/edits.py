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

from fairseq_dro.scoring.text import scored_texts, split_language_tokens


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


class TextErrors(NamedTuple):
    """Errors of one text, without their parts: what a validation adds up."""

    char_errors: int
    characters: int
    word_errors: int
    words: int


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


SCLITE_LONGEST = (1 << 16) - 1
"""Units of a text that ``count_sclite_edits`` can align."""

_SCLITE_COST = 48  # bits below the cost in a cell: substitutions, deletions, insertions, 16 each
_SUBSTITUTION = 4 << _SCLITE_COST | 1 << 32
_DELETION = 3 << _SCLITE_COST | 1 << 16
_INSERTION = 3 << _SCLITE_COST | 1


def count_sclite_edits(
    reference: Sequence[Hashable], hypothesis: Sequence[Hashable]
) -> EditCounts:
    """The alignment of NIST's sclite: substitutions cost 4, deletions and insertions 3.

    Among steps of equal cost an insertion is taken before a deletion and a deletion before a
    substitution or a match, as kaldialign does in its sclite mode, so that the parts agree as well.
    Slow (milliseconds for a sentence): a table of all prefixes, in Python.

    Raises:
        ValueError: a text has 65,536 units or more.
    """
    if max(len(reference), len(hypothesis)) > SCLITE_LONGEST:
        raise ValueError("a text of 65,536 units or more cannot be aligned as sclite does")
    above = [column * _INSERTION for column in range(len(hypothesis) + 1)]
    for number, unit in enumerate(reference, start=1):
        left = number * _DELETION
        row = [left]
        diagonal = above[0]
        for column, other in enumerate(hypothesis, start=1):
            up = above[column]
            best = left + _INSERTION
            step = up + _DELETION
            if step >> _SCLITE_COST < best >> _SCLITE_COST:
                best = step
            step = diagonal if unit == other else diagonal + _SUBSTITUTION
            if step >> _SCLITE_COST < best >> _SCLITE_COST:
                best = step
            row.append(best)
            left, diagonal = best, up
        above = row
    counts = above[-1]
    low = (1 << 16) - 1
    return EditCounts(counts >> 32 & low, counts >> 16 & low, counts & low, len(reference))


def count_text_errors(reference: str, hypothesis: str, language: str | None = None) -> TextErrors:
    """Character and word errors of one hypothesis; language tokens are taken off both sides."""
    _, reference, _, hypothesis = split_language_tokens(reference, hypothesis, language)
    characters, words = scored_texts(reference, hypothesis, language)
    return TextErrors(
        Levenshtein.distance(*characters), len(characters[0]),
        Levenshtein.distance(*words), len(words[0]),
    )  # fmt: skip
