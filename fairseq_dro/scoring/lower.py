"""The form of a text in which models that write case and punctuation are compared."""

from __future__ import annotations

from fairseq_dro.text.tags import without_tags
from fairseq_dro.text.words import speller


def lower_form(text: str, language: str | None = None) -> str:
    """The words of a text in the lower case of its language; digits stay, tags go.

    What ``prepare --text-profile lower`` makes of it, apart from the digits.
    """
    words, _ = speller(language, True, True).words(without_tags(text)[0])
    return words
