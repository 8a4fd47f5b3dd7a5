"""Text as a training target: NFC, letters, marks and inner apostrophes only."""

from __future__ import annotations

import unicodedata

_APOSTROPHES = "'\u2019\u02bc\u02bb"  # typewriter, typographic, modifier letter, okina


def as_target_text(text: str) -> str:
    """Reduce published text to lower-case words; see :func:`as_words`."""
    return as_words(unicodedata.normalize("NFC", text).lower())


def as_words(text: str) -> str:
    """Keep letters, marks and apostrophes inside words; NFC, single spaces.

    Digits, punctuation and format characters (such as the zero-width joiners of Persian and
    Malayalam) become word boundaries or vanish.
    """
    kept = []
    for character in unicodedata.normalize("NFC", text):
        category = unicodedata.category(character)
        if character in _APOSTROPHES:
            kept.append("'")
        elif category[0] in "LM":
            kept.append(character)
        elif category != "Cf":
            kept.append(" ")
    words = (word.strip("'") for word in "".join(kept).split())
    # Lower-casing a dotted capital I leaves a combining dot that no spelling has.
    joined = " ".join(word for word in words if word).replace("i\u0307", "i")
    return unicodedata.normalize("NFC", joined)


def as_letters(text: str) -> str:
    """Spell a sentence in fairseq's letter format: ``ab c`` becomes ``a b | c |``.

    The counterpart of ``post_process(..., "letter")`` (``fairseq/data/data_utils.py``).
    """
    return " ".join(" ".join(word) + " |" for word in text.split())
