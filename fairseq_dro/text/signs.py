"""Characters that several code points stand for, and the one that is written."""

from __future__ import annotations

APOSTROPHES = "'`\u00b4\u2018\u2019\u201b\u02bb\u02bc\u02bd\u2032\u055a\u05f3\uff07"
"""The first is written for all: typewriter, grave, acute, both typographic ones and the reversed
one, the modifier letters turned comma (okina), apostrophe and reversed comma, prime, the Armenian
apostrophe, the Hebrew geresh, full width. Half rings (U+02BE, U+02BF), glottal stops and saltillos
are letters of their own."""
INNER_SIGNS = {
    "\u00b7": "\u00b7\u0387\u2027\u2219\u22c5\u30fb\uff65",  # middle dot
    "\u05f4": "\u05f4\"\u201c\u201d\u201f",  # Hebrew gershayim
    ":": ":\ufe55\uff1a",
    ".": ".\u2024\ufe52\uff0e",
}
"""Signs that stand inside words of some orthographies, with what is typed for them."""
