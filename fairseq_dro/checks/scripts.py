"""Letters of two alphabets in one word: most often a look-alike typed by mistake.

Latin ``a`` and Cyrillic ``а`` look the same and are two output units. Alphabets in which words are
never mixed are compared; Han with kana or Latin, say, is ordinary text.

Shapes: U units.
"""

from __future__ import annotations

import unicodedata

import numpy as np
import regex

from fairseq_dro.text.signs import APOSTROPHES

ALPHABETS = ("Latin", "Cyrillic", "Greek", "Armenian", "Cherokee", "Coptic", "Georgian")
_ONE_OF = regex.compile("|".join(rf"(\p{{Script={name}}})" for name in ALPHABETS))

_WORD = regex.compile(rf"[\p{{L}}\p{{M}}\p{{Cf}}{APOSTROPHES}]+")
BREAK = 0x80
"""Beside the bits of alphabets: what parts words, as the hyphen of ``HTML-код``."""


def alphabet_bits(text: str) -> int:
    """One bit for each alphabet of which ``text`` has a letter."""
    bits = 0
    for match in _ONE_OF.finditer(text):
        bits |= 1 << (match.lastindex - 1)
    return bits


def mixed_word(text: str) -> str:
    """The first word with letters of two alphabets; empty where there is none."""
    words = _WORD.findall(text)
    return next((word for word in words if has_several(alphabet_bits(word))), "")


def bits_of_unit(unit: str) -> int:
    """``alphabet_bits`` of a unit, or of the word in it that mixes them; `BREAK` where it holds
    anything else, so that nothing is said of what it joins with.
    """
    word = mixed_word(unit) or unit
    return alphabet_bits(word) if _WORD.fullmatch(word) else BREAK


class AlphabetBits:
    """``bits_of_unit`` of many code points, each looked up once."""

    def __init__(self) -> None:
        self._bits = np.full(0x110000, 255, dtype=np.uint8)  # 255: not looked up yet

    def of_code_points(self, codes: np.ndarray) -> np.ndarray:
        """[U] uint8 of [U] code points."""
        bits = self._bits[codes]
        new = bits == 255
        if new.any():
            for code in np.unique(codes[new]).tolist():
                is_surrogate = 0xD800 <= code < 0xE000
                self._bits[code] = BREAK if is_surrogate else bits_of_unit(chr(code))
            bits = self._bits[codes]
        return bits


def has_several(bits):
    """Whether the bits, a number or [U] uint8, are of more than one alphabet."""
    return (bits & (bits - 1)) != 0


def strangers(word: str) -> str:
    """The letters of the alphabet that is rarer in a word, with their names."""
    by_alphabet: dict[int, list[str]] = {}
    for letter in word:
        bits = alphabet_bits(letter)
        if bits:
            by_alphabet.setdefault(bits, []).append(letter)
    rarer = min(by_alphabet.values(), key=len)
    return ", ".join(
        f"{letter!r} is {unicodedata.name(letter, 'unnamed')} (U+{ord(letter):04X})"
        for letter in dict.fromkeys(rarer)
    )
