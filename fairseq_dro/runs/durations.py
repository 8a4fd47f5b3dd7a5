"""How long something takes, in words."""

from __future__ import annotations


def in_words(seconds: float) -> str:
    """``50 s``, ``3 min 50 s``, ``2 h 05 min``, ``1 d 3 h``."""
    whole = max(0, round(float(seconds)))  # fairseq sums some over workers in tensors
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def in_one_unit(seconds: float) -> str:
    """``24 s``, ``49.5 min``, ``12.3 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:,.1f} h"
