"""Edit distance with its parts.

The number of errors is the Levenshtein distance, and is unique. Its split into substitutions,
deletions and insertions is that of one shortest path, the one rapidfuzz finds (jiwer's too);
another tool may split a tie differently, but deletions - insertions is the same for all. Programs
after NIST's sclite weigh a substitution 4 and the others 3, and so find more errors in some pairs.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from rapidfuzz.distance import Levenshtein

from fairseq_dro.scoring.text import scored_characters, scored_words, split_language_token


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
        return EditCounts(*(mine + theirs for mine, theirs in zip(self, other)))


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
    n_errors = {"replace": 0, "delete": 0, "insert": 0}
    for kind, _, _ in Levenshtein.editops(reference, hypothesis).as_list():
        n_errors[kind] += 1
    return EditCounts(
        n_errors["replace"], n_errors["delete"], n_errors["insert"], len(reference)
    )


def count_text_errors(reference: str, hypothesis: str, language: str | None = None) -> TextErrors:
    """Character and word errors of one hypothesis; language tokens are taken off both sides."""
    _, reference = split_language_token(reference)
    _, hypothesis = split_language_token(hypothesis)
    characters = scored_characters(reference, language)
    words = scored_words(reference)
    return TextErrors(
        Levenshtein.distance(characters, scored_characters(hypothesis, language)),
        len(characters),
        Levenshtein.distance(words, scored_words(hypothesis)),
        len(words),
    )
