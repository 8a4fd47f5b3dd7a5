"""Rules that turn published text into what a model is trained to write; pure functions.

Every rule ends in Unicode NFC with single spaces between words and none at the ends.

========== ===========================================================================
as_is      the text as it is
keep_case  the words (``text/words.py``), without tags
lower      the same in lower case
ml_superb  ``[...]`` is taken out, ASCII punctuation vanishes, the rest is upper-cased
whisper    the text as it is, without tags
========== ===========================================================================
"""

from __future__ import annotations

import re
import string
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from fairseq_dro.text.tags import with_whole_tags, without_tags
from fairseq_dro.text.words import Change, holds_number, speller

_BRACKETED = re.compile(r"\[[^\]]*\]")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, slots=True)
class Spelled:
    """A text after a rule.

    Attributes:
        n_tags: tags that were met, kept or not.
        has_number: the text before it held a number.
        changes: words that the rule cut, joined or emptied.
    """

    text: str
    n_tags: int = 0
    has_number: bool = False
    changes: Sequence[Change] = ()


class Profile(ABC):
    """One rule.

    Attributes:
        drops_numbers: digits vanish, unless they are asked for.
        knows_tags: tags are dropped, or kept whole if asked for; else they are text like any other.
        has_version: its texts change with ``text.RULES_VERSION``.
        is_tokenised: for a model with a tokenizer of its own, which has every letter.
    """

    drops_numbers: ClassVar[bool] = False
    knows_tags: ClassVar[bool] = False
    has_version: ClassVar[bool] = False
    is_tokenised: ClassVar[bool] = False

    @abstractmethod
    def spell(
        self, text: str, language: str | None, *, keeps_tags: bool = False,
        keeps_numbers: bool = False,
    ) -> Spelled:
        """Apply the rule.

        Args:
            language: ISO 639-3.
            keeps_tags: of a profile that knows tags.
            keeps_numbers: of a profile that drops numbers.
        """

    def __call__(self, text: str, language: str | None = None) -> str:
        return self.spell(text, language).text


class Words(Profile):
    drops_numbers = knows_tags = has_version = True

    def __init__(self, *, lowers: bool) -> None:
        self._lowers = lowers

    def spell(self, text, language, *, keeps_tags=False, keeps_numbers=False) -> Spelled:
        if keeps_tags:
            text, n_tags = with_whole_tags(text, self._lowers)
        else:
            text, n_tags = without_tags(text)
        words, changes = speller(language, self._lowers, keeps_numbers).words(text)
        return Spelled(words, n_tags, holds_number(text), changes)


class Whisper(Profile):
    knows_tags = has_version = is_tokenised = True

    def spell(self, text, language, *, keeps_tags=False, keeps_numbers=False) -> Spelled:
        text, n_tags = with_whole_tags(text, False) if keeps_tags else without_tags(text)
        return Spelled(_spaced(text), n_tags, holds_number(text))


class AsIs(Profile):
    def spell(self, text, language, *, keeps_tags=False, keeps_numbers=False) -> Spelled:
        return Spelled(_spaced(text), has_number=holds_number(text))


class MlSuperb(Profile):
    """The benchmark's rule (``process_text``, ESPnet ``egs2/ml_superb/asr1/local/data_prep.py``).

    One deviation: there, everything between the first ``[`` and the last ``]`` of a line goes,
    here each pair of brackets with what it holds.
    """

    def spell(self, text, language, *, keeps_tags=False, keeps_numbers=False) -> Spelled:
        text = _BRACKETED.sub("", text)
        spelled = _spaced(text.translate(_NO_PUNCTUATION).upper())
        return Spelled(spelled, has_number=holds_number(text))


def _spaced(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


PROFILES: dict[str, Profile] = {
    "as_is": AsIs(),
    "keep_case": Words(lowers=False),
    "lower": Words(lowers=True),
    "ml_superb": MlSuperb(),
    "whisper": Whisper(),
}
