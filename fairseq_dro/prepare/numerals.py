"""Numbers spelt out in words, approximately: what ``prepare --digits spell`` does.

num2words writes cardinals; a number of four digits from 1100 to 2099 is read as a year. Ordinals,
dates, units and inflection are not seen, so ``3rd`` becomes ``three rd``.
"""

from __future__ import annotations

import re
from functools import lru_cache

from fairseq_dro.errors import UserError
from fairseq_dro.languages import known_languages

LONGEST = 15
"""Digits of the longest number that is read as one; of a longer one each digit is read."""
_NUMBER = re.compile(
    r"\d{1,3}(?:[.,\u00a0\u202f'\u2019]\d{3})+(?!\d)|\d+[.,]\d+|\d+"  # 1,000,000 or 3.5 or 1914
)
_YEARS = range(1100, 2100)


def require_num2words() -> None:
    """Raises UserError where it is not installed."""
    try:
        import num2words  # noqa: F401
    except ImportError:
        raise UserError(
            "--digits spell needs num2words: install it with `pip install num2words`."
        ) from None


def spell_out(text: str, language: str) -> str:
    """The text with its numbers in words; as it is where num2words does not know the language."""
    code = _code_of(language)
    if code is None:
        return text
    return _NUMBER.sub(lambda match: f" {_words(match[0], code)} ", text)


@lru_cache(maxsize=1024)
def _code_of(language: str) -> str | None:
    from num2words import CONVERTER_CLASSES

    known = known_languages().get(language)
    codes = (*(known.other_codes if known else ()), language)
    return next((code for code in codes if code in CONVERTER_CLASSES), None)


@lru_cache(maxsize=65_536)
def _words(written: str, code: str) -> str:
    from num2words import num2words

    parts = re.split(r"[^\d]", written)
    is_grouped = len(parts) > 1 and all(len(part) == 3 for part in parts[1:])
    try:
        if len(parts) == 2 and not is_grouped:
            return num2words(f"{int(parts[0])}.{parts[1]}", lang=code)
        digits = "".join(parts)
        if len(digits) > LONGEST or (len(digits) > 1 and digits[0] == "0"):
            return " ".join(num2words(int(digit), lang=code) for digit in digits)
        number = int(digits)
        if len(written) == 4 and number in _YEARS:
            return num2words(number, lang=code, to="year")
        return num2words(number, lang=code)
    except Exception:  # its converters raise what they like; it stays a number and is counted
        return written
