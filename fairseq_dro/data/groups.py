"""What a group is: a language, or a language in one corpus.

With several corpora a language can be easy in one and hard in another (read speech, telephone
speech); grouped together, the easy one hides the hard one.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import numpy as np

from fairseq_dro.data.lines import Categories

SEPARATOR = "/"


class GroupBy(str, Enum):
    """What utterances of one group have in common."""

    LANGUAGE = "language"
    LANGUAGE_AND_CORPUS = "language_and_corpus"
    """The corpus of each utterance is a line of ``{split}.corpus``."""


def group_names(
    languages: Sequence[str], corpora: Sequence[str], group_by: GroupBy
) -> Categories:
    """The group of each utterance: ``deu``, or ``deu/mls`` by language and corpus.

    Args:
        languages: N ISO 639-3 codes.
        corpora: N corpus names; not read when grouping by language.
    """
    languages = languages if isinstance(languages, Categories) else Categories.of(languages)
    if group_by is GroupBy.LANGUAGE:
        return languages
    corpora = corpora if isinstance(corpora, Categories) else Categories.of(corpora)
    pairs = languages.codes * np.int64(len(corpora.names)) + corpora.codes
    found, codes = np.unique(pairs, return_inverse=True)
    names = [
        f"{languages.names[pair // len(corpora.names)]}{SEPARATOR}"
        f"{corpora.names[pair % len(corpora.names)]}"
        for pair in found.tolist()
    ]
    return Categories(names, codes)


def group_of(language: str | None, corpus: str | None, by_corpus: bool) -> str | None:
    """The group of one decoded utterance, named as ``group_names`` does.

    One of an unknown corpus is in the group of its language; one without language has none.
    """
    if language is None:
        return None
    return f"{language}{SEPARATOR}{corpus}" if by_corpus and corpus else language


def language_of(group: str) -> str:
    """ISO 639-3 code of a group's language."""
    return group.partition(SEPARATOR)[0]
