"""Tags: what stands in a transcript for something that is no word, and language tokens.

A tag is ``<...>``, ``[...]`` or ``{...}`` whose content begins with a letter (or ``/``), has at
most 40 characters and no bracket of these kinds: ``<unk>``, ``[noise]``, ``[background music]``,
``{cough}``. A language token is the tag of a code, ``[deu]`` or ``[org_jpn]``, at the beginning of
a target.
"""

from __future__ import annotations

import re

TAG = re.compile(
    "|".join(
        rf"{opening}/?[^\W\d][^<>\[\]{{}}|/\n]{{0,39}}(?<!\s)/?{closing}"
        for opening, closing in (("<", ">"), (r"\[", r"\]"), (r"\{", r"\}"))
    )
)
LANGUAGE_TOKEN = re.compile(r"\[([a-z]{3}(?:_[a-z0-9]+)*)\]")
SPECIAL_SYMBOLS = ("<s>", "<pad>", "</s>", "<unk>")
"""fairseq's own (dictionary.py:37): a label that holds one is trained on as what fairseq means."""


def without_tags(text: str) -> tuple[str, int]:
    """The text with a space for each tag, the inner ones first, and how many there were."""
    n_tags, found = 0, _may_hold_tags(text)
    while found:
        text, found = TAG.subn(" ", text)
        n_tags += found
    return text, n_tags


def with_whole_tags(text: str, lowers: bool) -> tuple[str, int]:
    """The text with each tag as one word, spaces inside it as ``_``, and how many there were.

    Args:
        lowers: tags are written in lower case.
    """
    if not _may_hold_tags(text):
        return text, 0

    def whole(match: re.Match) -> str:
        tag = "_".join(match[0].split())
        tag = tag.lower() if lowers else tag
        return " " if tag in SPECIAL_SYMBOLS else f" {tag} "

    return TAG.subn(whole, text)


def is_tag(word: str) -> bool:
    """Whether a word is a tag."""
    return word[:1] in ("<", "[", "{") and TAG.fullmatch(word) is not None


def _may_hold_tags(text: str) -> int:
    return "<" in text or "[" in text or "{" in text
