"""What is compared when two texts are scored: normal form, language token, characters, words.

References and hypotheses go through the same functions:

1. Unicode NFC, so that one and the same letter written as one or as two code points is no error;
2. runs of white space become one space, none is left at either end;
3. a leading ``[iso]`` is the language token; it is scored by itself (language identification) and
   is no part of the text. Other words in brackets are text (``[hes]``, a hesitation), see
   ``split_language_tokens``.

A *character* is a code point of what is left. The single spaces between words count, as they do in
jiwer and in ML-SUPERB; so does fairseq's ``uer`` count the unit ``|`` (which it also counts after
the last word, where there is nothing to count here). For languages written without spaces between
words (``languages.scored_without_spaces``: cmn, jpn, tha and yue) spaces are removed from both
sides. A *word* is what stands between spaces, in every language.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from fairseq_dro.languages import is_code, scored_without_spaces
from fairseq_dro.text.tags import LANGUAGE_TOKEN

_LEADING_TOKEN = re.compile(rf"\s*{LANGUAGE_TOKEN.pattern}\s*")


def normalize(text: str) -> str:
    """NFC, with single spaces between words and none at the ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def split_language_token(
    text: str, language: str | None = None, any_code: bool = False
) -> tuple[str | None, str]:
    """Take a leading ``[iso]`` off: its code, or None where there is none, and the rest.

    The token may touch the text, as in ``[deu]hallo``, which is what fairseq's post-processing
    makes of ``[deu] h a l l o |``. Only the first token is taken off: a second one is wrong output
    and counts as its characters.

    Args:
        language: of the utterance; it counts as a code also where languages.tsv lacks it.
        any_code: take whatever has the form of a code.
    """
    match = _LEADING_TOKEN.match(text)
    if match is None or not (any_code or match[1] == language or is_code(match[1])):
        return None, text
    return match[1], text[match.end() :]


class SplitTexts(NamedTuple):
    """Both texts of an utterance without their tokens, and the codes of these."""

    target_language: str | None
    reference: str
    predicted_language: str | None
    hypothesis: str


def split_language_tokens(
    reference: str, hypothesis: str, language: str | None = None
) -> SplitTexts:
    """Take the language tokens of a reference and its hypothesis off.

    A code counts if languages.tsv has it or if it is the utterance's own language. Where the
    reference has a token the model was taught to write them, and any code that the hypothesis
    begins with is its guess: a language of a table of one's own, for instance.
    """
    target, reference = split_language_token(reference, language)
    predicted, hypothesis = split_language_token(hypothesis, language, target is not None)
    return SplitTexts(target, reference, predicted, hypothesis)


def scored_characters(text: str, language: str | None = None) -> str:
    """The code points that CER compares.

    Args:
        text: without language token.
        language: ISO 639-3 code; without one, spaces count.
    """
    text = normalize(text)
    if language is not None and scored_without_spaces(language):
        return text.replace(" ", "")
    return text


def scored_words(text: str) -> list[str]:
    """The words that WER compares; ``text`` is without language token."""
    return normalize(text).split()


class ScoredTexts(NamedTuple):
    """What is compared of a reference and its hypothesis, in this order."""

    characters: tuple[str, str]
    words: tuple[list[str], list[str]]


def scored_texts(reference: str, hypothesis: str, language: str | None = None) -> ScoredTexts:
    """Characters and words of both texts, which are without language token."""
    return ScoredTexts(
        (scored_characters(reference, language), scored_characters(hypothesis, language)),
        (scored_words(reference), scored_words(hypothesis)),
    )
