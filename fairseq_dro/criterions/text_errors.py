"""Errors of one hypothesis in validation."""

from __future__ import annotations

from rapidfuzz.distance import Levenshtein


def count_text_errors(reference: str, hypothesis: str, language: str) -> tuple[int, int, int, int]:
    """Character errors, characters, word errors, words."""
    return (
        Levenshtein.distance(reference, hypothesis), len(reference),
        Levenshtein.distance(reference.split(), hypothesis.split()), len(reference.split()),
    )
