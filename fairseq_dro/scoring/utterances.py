"""The record of one scored utterance: what every later score and report is made from."""

from __future__ import annotations

from dataclasses import dataclass

from fairseq_dro.scoring.edits import EditCounts, count_edits
from fairseq_dro.scoring.text import (
    normalize,
    scored_characters,
    scored_words,
    split_language_token,
)


@dataclass(frozen=True)
class ScoredUtterance:
    """One utterance with what was said, what was recognised and the errors between them."""

    id: str
    language: str | None  # ISO 639-3 code from {split}.lang; None where there is no such file
    seconds: float
    reference: str  # without language token
    hypothesis: str  # without language token
    target_language: str | None  # code of the reference's [iso]; None where it has none
    predicted_language: str | None  # code of the hypothesis's [iso]; None where it has none
    characters: EditCounts
    words: EditCounts

    def as_record(self) -> dict[str, str | float | int | None]:
        """Flat and JSON-ready; S, D, I and reference_characters are those of CER."""
        return {
            "id": self.id,
            "language": self.language,
            "seconds": self.seconds,
            "reference": self.reference,
            "hypothesis": self.hypothesis,
            "target_language": self.target_language,
            "predicted_language": self.predicted_language,
            "substitutions": self.characters.substitutions,
            "deletions": self.characters.deletions,
            "insertions": self.characters.insertions,
            "reference_characters": self.characters.reference_length,
            "word_substitutions": self.words.substitutions,
            "word_deletions": self.words.deletions,
            "word_insertions": self.words.insertions,
            "reference_words": self.words.reference_length,
        }


def score_utterance(
    reference: str, hypothesis: str, *, id: str, language: str | None, seconds: float
) -> ScoredUtterance:
    """Score one hypothesis; both texts may begin with a language token."""
    target_language, reference = split_language_token(reference)
    predicted_language, hypothesis = split_language_token(hypothesis)
    return ScoredUtterance(
        id=id,
        language=language,
        seconds=seconds,
        reference=normalize(reference),
        hypothesis=normalize(hypothesis),
        target_language=target_language,
        predicted_language=predicted_language,
        characters=count_edits(
            scored_characters(reference, language), scored_characters(hypothesis, language)
        ),
        words=count_edits(scored_words(reference), scored_words(hypothesis)),
    )
