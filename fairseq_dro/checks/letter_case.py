"""A language that is written in capitals in a part of its utterances: each letter is two units.

So it is where corpora are put together of which one is in capitals, as ML-SUPERB and LibriSpeech.

Shapes: N utterances, G languages.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fairseq_dro.checks.finding import MOST_PLACES, Finding, Severity, counts_by_language, places
from fairseq_dro.checks.split_survey import SplitSurvey
from fairseq_dro.wording import counted, listed

SOME, LEAST = 0.05, 3
"""Share and number of a language's utterances from which a way to write is no exception."""
LEAST_CHARACTERS = 10
"""Of an utterance: shorter ones, such as a name of letters, are in capitals in any text."""


def two_cases(surveys: Sequence[SplitSurvey]) -> list[Finding]:
    """One warning for all splits: languages in capitals here, and not so there."""
    found = [(one, *_cases_of(one)) for one in surveys]
    splits: dict[str, list[tuple[int, int]]] = {}  # by language: in capitals, and with a case
    for one, is_capital, is_small in found:
        totals = counts_by_language(one.manifest, np.flatnonzero(is_capital | is_small))
        capitals = counts_by_language(one.manifest, np.flatnonzero(is_capital))
        for name, n, total in zip(_names(one), capitals.tolist(), totals.tolist()):
            if total:
                splits.setdefault(name, []).append((n, total))
    mixed = {name for name, counts in splits.items() if _are_mixed(counts)}
    told, named, count = [], [], 0
    for one, is_capital, _ in found:
        codes = [code for code, name in enumerate(_names(one)) if name in mixed]
        of_languages = one.manifest.languages.codes
        is_mixed = np.isin(of_languages, codes) if len(of_languages) else bool(codes)
        rows = np.flatnonzero(is_capital & is_mixed)
        told += places(one.manifest, rows, one.manifest.label_type)
        counts = counts_by_language(one.manifest, rows)
        totals = counts_by_language(one.manifest, np.arange(len(one.manifest)))
        named += [
            f"{_names(one)[code]} {counts[code]} of {totals[code]} of {one.manifest.split}".strip()
            for code in codes
        ]
        count += len(rows)
    if not mixed:
        return []
    return [
        Finding(
            "two_cases", Severity.WARNING,
            f"in capitals in a part of their utterances, so that each letter is two units: "
            f"{counted(len(mixed), 'language')} ({listed(named)})",
            "write a language in one way in all splits, as `fairseq-dro prepare ... --text-profile "
            "lower` does",
            count, tuple(told[:MOST_PLACES]),
        )
    ]  # fmt: skip


def _are_mixed(counts: Sequence[tuple[int, int]]) -> bool:
    """Whether utterances are in capitals in a part of a split, or in one split and not another."""

    def has_some(of: Sequence[tuple[int, int]]) -> bool:
        return any(n >= LEAST and n / total > SOME for n, total in of)

    return has_some(counts) and has_some([(total - n, total) for n, total in counts])


def _cases_of(survey: SplitSurvey) -> tuple[np.ndarray, np.ndarray]:
    """[N] whether an utterance is in capitals, and [N] whether it has a small letter of any.

    Letters without capitals, as the raised n of Min Nan, say nothing.
    """
    labels = survey.manifest.labels
    # A language token is in small letters
    texts = (line.partition("] ")[2] if line.startswith("[") else line for line in labels)
    has_small = np.fromiter((text != text.upper() for text in texts), bool, len(labels))
    is_long = survey.n_characters >= LEAST_CHARACTERS
    is_capital = is_long & ~has_small
    for row in np.flatnonzero(is_capital).tolist():
        # NHK in a Japanese sentence makes no capitals of it
        n_capitals = sum(map(str.isupper, labels[row]))
        is_capital[row] = 2 * n_capitals > survey.n_characters[row]
    return is_capital, is_long & has_small


def _names(survey: SplitSurvey) -> Sequence[str]:
    return survey.manifest.languages.names if len(survey.manifest.languages) else ("",)
