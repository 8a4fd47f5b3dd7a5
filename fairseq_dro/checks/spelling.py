"""Findings about spelling: one word written with other units than elsewhere."""

from __future__ import annotations

import unicodedata

import numpy as np

from fairseq_dro.checks import letter_encodings
from fairseq_dro.checks.finding import (
    EXAMPLES,
    SPOILS_FROM,
    Finding,
    Severity,
    counts_by_language,
    in_languages,
    places,
    totals_by_language,
)
from fairseq_dro.checks.scripts import mixed_word, strangers
from fairseq_dro.checks.split_survey import SplitSurvey
from fairseq_dro.wording import counted


def normal_forms(survey: SplitSurvey) -> list[Finding]:
    """Text that is not in Unicode's form NFC: one word, spelt with other units."""
    rows = np.flatnonzero(~survey.is_composed)
    if not len(rows):
        return []
    manifest = survey.manifest
    details = [_first_decomposed(survey.text(row)) for row in rows[:EXAMPLES]]
    return [
        Finding(
            "not_composed",
            _by_share(survey, rows),
            f"text that is not in Unicode form NFC: {counted(len(rows), 'utterance')} of "
            f"{manifest.split}{in_languages(manifest, rows, of_all=True)}",
            "write the labels again with unicodedata.normalize('NFC', text), as `fairseq-dro "
            "prepare` does, and the dictionary from them",
            len(rows),
            places(manifest, rows, manifest.label_type, details),
        )
    ]


def look_alikes(survey: SplitSurvey) -> list[Finding]:
    """Words with letters of two alphabets."""
    rows = np.flatnonzero(survey.is_mixed)
    if not len(rows):
        return []
    manifest = survey.manifest
    details = [_first_mixed_word(survey.text(row)) for row in rows[:EXAMPLES]]
    return [
        Finding(
            "look_alikes",
            _by_share(survey, rows),
            f"words with letters of two alphabets: {counted(len(rows), 'utterance')} of "
            f"{manifest.split}{in_languages(manifest, rows)}",
            "replace the stray letters by those of the language's alphabet, in all splits",
            len(rows),
            places(manifest, rows, manifest.label_type, details),
        )
    ]


def two_encodings(survey: SplitSurvey) -> list[Finding]:
    """One letter written by two code points in one language."""
    return letter_encodings.two_encodings(survey.manifest, survey.letter_kinds)


def _by_share(survey: SplitSurvey, rows: np.ndarray) -> Severity:
    """An error where a language has many of them, else a warning."""
    totals = totals_by_language(survey.manifest)
    share = counts_by_language(survey.manifest, rows) / np.maximum(totals, 1)
    return Severity.ERROR if share.max() >= SPOILS_FROM else Severity.WARNING


def _first_decomposed(text: str) -> str:
    for word in text.split():
        composed = unicodedata.normalize("NFC", word)
        if composed != word:
            codes = " ".join(f"U+{ord(letter):04X}" for letter in word)
            return f"{word!r} is {codes}"
    return repr(text)


def _first_mixed_word(text: str) -> str:
    word = mixed_word(text)
    return f"in {word!r}, {strangers(word)}" if word else repr(text)
