"""Lower case as a language writes it."""

from __future__ import annotations

from fairseq_dro.text.orthography import orthography_of


def lower_case(text: str, language: str | None = None) -> str:
    """``text`` in lower case, with ı for I where the orthography has it (``tur``: IRAK is ırak).

    Everywhere else İ becomes i: Unicode's own form of it, i with a combining dot, is spelt by
    nobody. Lithuanian's dotted forms (Unicode's SpecialCasing) are for dictionaries and not made.

    Args:
        language: ISO 639-3.
    """
    if orthography_of(language).dotless_i:
        text = text.replace("I\u0307", "i").replace("\u0130", "i").replace("I", "\u0131")
    return text.lower().replace("i\u0307", "i")
