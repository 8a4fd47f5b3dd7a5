"""How rates, differences and p are written in tables and sentences of a comparison."""

from __future__ import annotations

import math

from fairseq_dro import languages


def label_of(code: str) -> str:
    name = languages.name_of(code)
    return code if name == code else f"{code} {name}"


def per_cent(rate: float) -> str:
    return "" if math.isnan(rate) else f"{100 * rate:.1f}"


def signed(rate: float) -> str:
    return _with_sign(100 * rate, 1)


def fraction(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def signed_fraction(value: float) -> str:
    return _with_sign(value, 3)


def _with_sign(value: float, digits: int) -> str:
    if math.isnan(value):
        return ""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text  # no sign before a nought


def p_value(value: float) -> str:
    return "" if math.isnan(value) else "<0.001" if value < 0.001 else f"{value:.3f}"


def plural(noun: str, n: int) -> str:
    return noun if n == 1 else f"{noun}s"
