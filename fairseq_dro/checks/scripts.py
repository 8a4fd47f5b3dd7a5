"""Letters of two alphabets in one word: most often a look-alike typed by mistake.

Latin ``a`` and Cyrillic ``а`` look the same and are two output units. Alphabets in which words are
never mixed are compared; Han with kana or Latin, say, is ordinary text.

Shapes: U units.
"""

from __future__ import annotations

import unicodedata

import numpy as np
import regex

ALPHABETS = ("Latin", "Cyrillic", "Greek", "Armenian", "Cherokee", "Coptic", "Georgian")
_ONE_OF = regex.compile("|".join(rf"(\p{{Script={name}}})" for name in ALPHABETS))


def alphabet_bits(text: str) -> int:
    """One bit for each alphabet of which ``text`` has a letter."""
    bits = 0
    for match in _ONE_OF.finditer(text):
        bits |= 1 << (match.lastindex - 1)
    return bits


class AlphabetBits:
    """``alphabet_bits`` of many units, each looked up once."""

    def __init__(self) -> None:
        self._bits = np.full(0x110000, 255, dtype=np.uint8)  # 255: not looked up yet

    def of_code_points(self, codes: np.ndarray) -> np.ndarray:
        """[U] uint8 of [U] code points."""
        bits = self._bits[codes]
        new = bits == 255
        if new.any():
            for code in np.unique(codes[new]).tolist():
                is_surrogate = 0xD800 <= code < 0xE000
                self._bits[code] = 0 if is_surrogate else alphabet_bits(chr(code))
            bits = self._bits[codes]
        return bits


def has_several(bits: np.ndarray) -> np.ndarray:
    """Whether more than one bit is set."""
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
