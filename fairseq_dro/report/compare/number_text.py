"""How differences and p are written in tables and sentences of a comparison."""

from __future__ import annotations

import math


def signed(rate: float) -> str:
    """``+1.2`` points for 0.012."""
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
    """Three digits; empty where it is not known."""
    return "" if math.isnan(value) else "<0.001" if value < 0.001 else f"{value:.3f}"
