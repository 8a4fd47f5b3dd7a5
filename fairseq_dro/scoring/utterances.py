"""From two texts to a record, and to its errors by the default convention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from fairseq_dro.scoring.convention import Convention
from fairseq_dro.scoring.edits import EditCounts
from fairseq_dro.scoring.lower import lower_form
from fairseq_dro.scoring.records import Record
from fairseq_dro.scoring.text import normalize, split_language_tokens


def score_utterance(reference: str, hypothesis: str, **fields: Any) -> Record:
    """Score one hypothesis by the default convention.

    Args:
        fields: see ``record_of``.
    """
    return Convention().score(record_of(reference, hypothesis, **fields))


class TextErrors(NamedTuple):
    """Errors of one text, without their parts: what a validation adds up."""

    char_errors: int
    characters: int
    word_errors: int
    words: int


def errors_of(record: Record) -> TextErrors:
    """Character and word errors of a record's texts, whatever counts it holds."""
    scored = Convention().score(record)
    return TextErrors(
        scored.characters.errors, scored.characters.reference_length,
        scored.words.errors, scored.words.reference_length,
    )  # fmt: skip


def count_text_errors(reference: str, hypothesis: str, language: str | None = None) -> TextErrors:
    """Character and word errors of one hypothesis, as scores and comparisons count them."""
    return errors_of(record_of(reference, hypothesis, id="", language=language))


def record_of(
    reference: str,
    hypothesis: str,
    *,
    id: str,
    language: str | None,
    seconds: float | None = None,
    score: float | None = None,
    speaker: str | None = None,
    corpus: str | None = None,
    columns: Mapping[str, str] | None = None,
    lowers: bool = False,
    stopped: str | None = None,
) -> Record:
    """The record of one hypothesis, without errors; both texts may begin with a language token.

    Args:
        lowers: take the lower form of both (``scoring.lower``), and keep them as written too.
    """
    target_language, reference, predicted_language, hypothesis = split_language_tokens(
        reference, hypothesis, language
    )
    as_written = None
    if lowers:
        as_written = normalize(reference), normalize(hypothesis)
        reference, hypothesis = (lower_form(text, language) for text in as_written)
    return Record(
        id=id,
        language=language,
        seconds=seconds,
        reference=normalize(reference),
        hypothesis=normalize(hypothesis),
        target_language=target_language,
        predicted_language=predicted_language,
        characters=EditCounts(),
        words=EditCounts(),
        score=score,
        speaker=speaker,
        corpus=corpus,
        columns=columns or {},
        as_written=as_written,
        stopped=stopped,
    )
