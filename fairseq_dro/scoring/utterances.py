"""Score one utterance: from two texts to a record."""

from __future__ import annotations

from collections.abc import Mapping

from fairseq_dro.scoring.edits import count_edits
from fairseq_dro.scoring.lower import lower_form
from fairseq_dro.scoring.records import Record
from fairseq_dro.scoring.text import (
    normalize,
    scored_characters,
    scored_words,
    split_language_tokens,
)


def score_utterance(
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
) -> Record:
    """Score one hypothesis; both texts may begin with a language token.

    Args:
        lowers: score the lower form of both (``scoring.lower``), and keep them as written too.
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
        characters=count_edits(
            scored_characters(reference, language), scored_characters(hypothesis, language)
        ),
        words=count_edits(scored_words(reference), scored_words(hypothesis)),
        score=score,
        speaker=speaker,
        corpus=corpus,
        columns=columns or {},
        as_written=as_written,
    )
