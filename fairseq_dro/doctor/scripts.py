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
BIT_OF_SCRIPT = {
    name: 1 << i for i, name in enumerate(("Latn", "Cyrl", "Grek", "Armn", "Cher", "Copt", "Geor"))
}
"""The bit of each of ``ALPHABETS`` by the script's ISO 15924 name."""
SAME_SHAPES = (
    "aаα cс eе iіι jј oоο pрρ sѕ "
    "uυ vν xхχ yу hһ "
    "AАΑ BВΒ CС EЕΕ HНΗ IІΙ JЈ "
    "KКΚ MМΜ NΝ OОΟ PРΡ SЅ TТΤ "
    "XХΧ YУΥ ZΖ"
).split()
"""Letters of Latin, Cyrillic and Greek that cannot be told apart on a screen."""
_ROMAN_NUMERAL = regex.compile("(?i)[ivxlcdm]{2,}|[ivx]")
_ONE_OF = regex.compile("|".join(rf"(\p{{Script={name}}})" for name in ALPHABETS))


def alphabet_bits(text: str) -> int:
    """One bit for each alphabet of which ``text`` has a letter."""
    bits = 0
    for match in _ONE_OF.finditer(text):
        bits |= 1 << (match.lastindex - 1)
    return bits


_ALPHABETS_OF_SHAPE = {letter: alphabet_bits(shape) for shape in SAME_SHAPES for letter in shape}


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


def is_in_disguise(word: str, script: int) -> bool:
    """Whether each letter of a word of another alphabet has its look-alike in ``script``.

    Roman numerals and abbreviations in capitals are written so on purpose.

    Args:
        script: the bit of the language's alphabet.
    """
    letters = [one for one in unicodedata.normalize("NFD", word) if one.isalpha()]
    if not all(_ALPHABETS_OF_SHAPE.get(letter, 0) & script for letter in letters):
        return False  # most words leave here, at their first letters
    bits = alphabet_bits(word)
    if not bits or bits & script or bits & (bits - 1) or _ROMAN_NUMERAL.fullmatch(word):
        return False
    return len(letters) == 1 or not word.isupper()


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
