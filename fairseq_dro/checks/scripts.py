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


class AlphabetBits:
    """The alphabet of many code points as a bit, or `BREAK`, each looked up once."""

    def __init__(self) -> None:
        self._bits = np.full(0x110000, 255, dtype=np.uint8)  # 255: not looked up yet

    def of_code_points(self, codes: np.ndarray) -> np.ndarray:
        """[U] uint8 of [U] code points."""
        bits = self._bits[codes]
        new = bits == 255
        if new.any():
            for code in np.unique(codes[new]).tolist():
                is_letter = _WORD.fullmatch(chr(code)) is not None
                self._bits[code] = alphabet_bits(chr(code)) if is_letter else BREAK
            bits = self._bits[codes]
        return bits


def bits_of_units(
    codes: np.ndarray, starts: np.ndarray, alphabets: AlphabetBits
) -> np.ndarray:
    """[U] uint8: the alphabets of units of several characters.

    Of a unit that holds more than a part of one word these are the alphabets of a word in it that
    mixes them, else `BREAK`: nothing is said of what it joins with.

    Args:
        codes: code points of all units, one after the other.
        starts: [U] where each begins.
    """
    bits = alphabets.of_code_points(codes)
    begins = bits == BREAK
    begins[1:] |= begins[:-1].copy()
    begins[starts] = True
    words = np.flatnonzero(begins)
    of_words = np.bitwise_or.reduceat(bits, words)
    of_units = np.bitwise_or.reduceat(bits, starts)
    of_units[of_units >= BREAK] = BREAK
    mixed = np.flatnonzero(has_several(of_words))
    of_units[np.searchsorted(starts, words[mixed], side="right") - 1] = of_words[mixed]
    return of_units


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
