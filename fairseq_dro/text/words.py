"""The words of a published text: letters, marks, and signs that the orthography has inside words.

What ``docs/data.md`` states, in order, for each stretch between white space:

1. Sequences that Unicode itself calls another spelling of one letter become that letter
   (`ENCODINGS`), and what is typed for an apostrophe or an inner sign becomes that sign.
2. Format characters: the zero-width space ends a word; joiners stay where they spell
   (`_SPELLING_JOINERS`); all other invisible characters vanish, variation selectors too, and
   so do the three marks that Armenian sets inside words.
3. Apostrophes and inner signs stay where the orthography has them (``orthography.py``).
4. Everything else that is no letter or mark ends a word.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

import regex

from fairseq_dro.text.casing import lower_case
from fairseq_dro.text.orthography import Orthography, orthography_of
from fairseq_dro.text.signs import APOSTROPHES, INNER_SIGNS
from fairseq_dro.text.tags import is_tag

ENCODINGS = {
    # Malayalam chillus (The Unicode Standard 16.0, 12.9: chillus in legacy text); no form of
    # normalisation composes them
    "\u0d23\u0d4d\u200d": "\u0d7a", "\u0d28\u0d4d\u200d": "\u0d7b", "\u0d30\u0d4d\u200d": "\u0d7c",
    "\u0d32\u0d4d\u200d": "\u0d7d", "\u0d33\u0d4d\u200d": "\u0d7e", "\u0d15\u0d4d\u200d": "\u0d7f",
    # Bengali khanda ta (12.2)
    "\u09a4\u09cd\u200d": "\u09ce",
    # the eyelash ra of Marathi and Nepali (12.1, rule R5a)
    "\u0930\u094d\u200d": "\u0931\u094d",
    # l with middle dot of Catalan, n with apostrophe of Afrikaans, ij of Dutch (7.1)
    "\u0140": "l\u00b7", "\u013f": "L\u00b7", "\u0149": "'n", "\u0133": "ij", "\u0132": "IJ",
}  # fmt: skip
_SARA_AM = {"\u0e4d": "\u0e33", "\u0ecd": "\u0eb3"}
_SPLIT_SARA_AM = re.compile("([\u0e4d\u0ecd])([\u0e48-\u0e4b\u0ec8-\u0ecb]?)[\u0e32\u0eb2]")
"""Thai and Lao am typed as nikhahit and aa, perhaps with a tone between them (16.1, 16.2)."""

_ALSO_LETTERS = (
    r"\u104c-\u104f"  # words of Burmese that are one sign (The Unicode Standard, 16.3)
    # tones and other modifier letters of category Sk whose Word_Break is ALetter (UAX #29)
    r"\u02c2-\u02c5\u02d2-\u02d7\u02de\u02df\u02e5-\u02eb\u02ed\u02ef-\u02ff"
    r"\ua708-\ua716\ua720\ua721\ua789\ua78a\uab5b"
)
_LETTER = rf"[\p{{L}}\p{{M}}\u3007{_ALSO_LETTERS}]"  # U+3007 is the Han digit zero
_VANISHES = (
    r"\p{Default_Ignorable_Code_Point}\p{Cf}"
    # Armenian emphasis, exclamation and question mark, which stand inside the word: ALetter, too
    r"\u055b\u055c\u055e"
)
_CURSIVE = r"[\p{Arab}\p{Syrc}\p{Nkoo}\p{Mand}\p{Mong}\p{Adlm}]"
_SPELLING_JOINERS = regex.compile(
    # the non-joiner inside a word of a cursive script, as in Persian
    rf"(?<={_CURSIVE}\p{{M}}*)\u200c+(?=\p{{M}}*{_CURSIVE})"
    # Sinhala conjuncts (13.2) and Bengali ra with ya-phalaa (12.2)
    r"|(?<=\u0dca)\u200d(?=\p{Sinh})|(?<=\u09b0)\u200d(?=\u09cd\u09af)"
    # the vowel separator of Mongolian (13.5)
    r"|(?<=\p{Mong})\u180e(?=\p{Mong})"
)
_JOINERS = "\u200c\u200d\u180e"
_ENDS_WORD = "\u200b"
_MARK = f"[{APOSTROPHES}]"
_PLAIN = regex.compile(  # stretches of letters alone, which most are
    rf"[[\p{{L}}\p{{M}}]--[\p{{Default_Ignorable_Code_Point}}{APOSTROPHES}"
    rf"{''.join(one for one in ENCODINGS if len(one) == 1)}{''.join(_SARA_AM)}]]+",
    regex.VERSION1,
)
_MARKS = re.compile(f"{_MARK}{{2,}}")
_OPENS = regex.compile(rf"(?<!{_LETTER}){_MARK}([[\p{{P}}]--{_MARK}]+)", regex.VERSION1)
_CLOSES = regex.compile(rf"([[\p{{P}}]--{_MARK}]+){_MARK}(?!{_LETTER})", regex.VERSION1)
_PAIR = re.compile(r"(?<!\S)'((?:(?! ').)+?)'(?!\S)")
_MARK_AT_EDGE = re.compile(rf"(?<!\w){_MARK}|{_MARK}(?!\w)")
_ENCODED = regex.compile("|".join(ENCODINGS))
_SELECTORS = regex.compile(r"\p{Variation_Selector}+")
_VANISHING = regex.compile(f"[{_VANISHES}]")
_BETWEEN_LETTERS = regex.compile(rf"(?<={_LETTER})[{_VANISHES}]+(?={_LETTER})")
_SPOKEN = regex.compile(r"[\p{L}\p{N}\p{Sc}\p{Sm}\p{So}&%\u2030@#\u00a7]")
_NUMBER = regex.compile(r"[\p{N}--\u3007]", regex.VERSION1)
_ONE_APOSTROPHE = dict.fromkeys(APOSTROPHES, APOSTROPHES[0])
_MOST_REMEMBERED = 10_000  # stretches of a language, the first ones: the frequent are among them
_LONGEST_REMEMBERED = 32  # characters; longer ones, as of texts without spaces, do not come again


class Change(NamedTuple):
    """What a rule did to a stretch of text.

    Attributes:
        kind: ``cut``, it is several words; ``joined``, something between its letters is gone;
            ``emptied``, it is spoken and nothing is left.
    """

    kind: str
    before: str
    after: str


class Speller:
    """Spells the texts of one language; a stretch that comes often is worked out once.

    Args:
        language: ISO 639-3, or None for the rule of languages without an alphabet.
        keeps_numbers: digits count as letters.
    """

    def __init__(self, language: str | None, lowers: bool, keeps_numbers: bool = False) -> None:
        self._language, self._lowers = language, lowers
        self._orthography = orthography_of(language)
        self._quotes = self._orthography.apostrophe == "edge"
        self._word = _word_pattern(self._orthography, keeps_numbers)
        signs = {
            looks: sign for sign in self._orthography.inner_signs for looks in INNER_SIGNS[sign]
        }
        self._one_sign = str.maketrans({**_ONE_APOSTROPHE, **signs, _ENDS_WORD: " "})
        self._known: dict[str, tuple[str, Change | None]] = {}

    def words(self, text: str) -> tuple[str, list[Change]]:
        """Words with single spaces, in NFC, and what was changed to get them."""
        may_quote = self._quotes and _MARK_AT_EDGE.search(text) is not None
        if may_quote:
            text = _with_marks_at_words(text)
        known, spelled, changes = self._known, [], []
        for stretch in text.split():
            found = known.get(stretch)
            if found is None:
                found = self._spell(stretch)
                if len(known) < _MOST_REMEMBERED and len(stretch) <= _LONGEST_REMEMBERED:
                    known[stretch] = found
            word, change = found
            if word:
                spelled.append(word)
            if change is not None:
                changes.append(change)
        words = " ".join(spelled)
        return _without_quotation_marks(words) if may_quote else words, changes

    def _spell(self, stretch: str) -> tuple[str, Change | None]:
        if is_tag(stretch):
            return stretch, None
        text = unicodedata.normalize("NFC", stretch)
        if _PLAIN.fullmatch(text):
            return self._cased(text), None
        text = _ENCODED.sub(lambda match: ENCODINGS[match[0]], text)
        text = _SPLIT_SARA_AM.sub(lambda match: match[2] + _SARA_AM[match[1]], text)
        text = _MARKS.sub(" ", text).translate(self._one_sign)
        text, is_joined = _visible(text) if _VANISHING.search(text) else (text, False)
        found = self._word.findall(text)
        words = self._cased(" ".join(found))
        kind = None
        if len(found) > 1:
            kind = "cut"
        elif is_joined:
            kind = "joined"
        elif not found and _SPOKEN.search(stretch):
            kind = "emptied"
        return words, Change(kind, stretch, words) if kind else None

    def _cased(self, words: str) -> str:
        words = lower_case(words, self._language) if self._lowers else words
        return unicodedata.normalize("NFC", words)


def _visible(text: str) -> tuple[str, bool]:
    """Without what vanishes, and whether letters came together by it."""
    text = _SELECTORS.sub("", text)
    kept = {match.start() for match in _SPELLING_JOINERS.finditer(text)}
    is_joined = any(
        kept.isdisjoint(range(*match.span())) for match in _BETWEEN_LETTERS.finditer(text)
    )
    left = [one for place, one in enumerate(text) if place in kept or not _VANISHING.match(one)]
    return "".join(left), is_joined


@lru_cache(maxsize=1024)
def speller(language: str | None, lowers: bool, keeps_numbers: bool = False) -> Speller:
    """The speller of a language, one a process."""
    return Speller(language, lowers, keeps_numbers)


def holds_number(text: str) -> bool:
    """Whether a text has a digit or another numeral, which is spoken and no letter."""
    return _NUMBER.search(text) is not None


def _word_pattern(orthography: Orthography, keeps_numbers: bool) -> regex.Pattern:
    signs = regex.escape("'" + orthography.inner_signs, special_only=True)
    letter, between = _LETTER, f"[{signs}{_JOINERS}]"
    if keeps_numbers:
        letter = rf"[\p{{L}}\p{{M}}\p{{N}}{_ALSO_LETTERS}]"
        between = rf"(?:{between}|(?<=\p{{Nd}})[.,:](?=\p{{Nd}}))"
    inside = rf"{letter}+(?:{between}{letter}+)*"
    return regex.compile(inside if orthography.apostrophe == "inner" else f"'?{inside}'?")


def _with_marks_at_words(text: str) -> str:
    """``'Well.'`` becomes ``'Well'.``: where a pair of quotation marks holds punctuation."""
    return _CLOSES.sub(r"'\1", _OPENS.sub(r"\1'", text))


def _without_quotation_marks(words: str) -> str:
    """Without pairs of a mark that begins a word and the next that ends one, inner ones first."""
    before = ""
    while before != words:
        before, words = words, _PAIR.sub(r"\1", words)
    return words
