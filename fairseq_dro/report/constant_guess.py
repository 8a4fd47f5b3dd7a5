"""How well a guess does that never hears the audio: one constant string per language.

A model that only learnt what sentences look like can do no better than some constant string, so
its error rate is the line above which nothing has been learnt from speech. The string is chosen on
the training split and scored on the test split.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

_MOST_SENTENCES = 200  # compared with each other while looking for the string
_MOST_ROUNDS = 20


def best_constant(
    sentences: Sequence[str], seed: int = 0, most_rounds: int = _MOST_ROUNDS
) -> str:
    """A string with few edits to all sentences together.

    The exact answer (the generalised median string) is NP-hard; this takes the sentence nearest to
    all others, then applies the best single edit for as long as one helps, for at most 20 rounds.
    Of more than 200 sentences, 200 are drawn. With ``most_rounds=0`` it stays the nearest sentence:
    for long sentences the rounds take minutes.
    """
    chosen = list(sentences)
    if len(chosen) > _MOST_SENTENCES:
        drawn = np.random.default_rng(seed).choice(len(chosen), _MOST_SENTENCES, replace=False)
        chosen = [chosen[index] for index in sorted(drawn)]
    best, edits = _fewest_edits(sorted(set(chosen)), chosen)
    alphabet = sorted({character for sentence in chosen for character in sentence})
    for _ in range(most_rounds):
        candidate, fewer = _fewest_edits(_one_edit_away(best, alphabet), chosen)
        if fewer >= edits:
            break
        best, edits = candidate, fewer
    return best


def constant_guess_cer(guess: str, references: Sequence[str]) -> float:
    """Edits over reference characters, as a fraction, when every answer is ``guess``."""
    edits = sum(Levenshtein.distance(guess, reference) for reference in references)
    return edits / max(1, sum(map(len, references)))


def _fewest_edits(candidates: Sequence[str], sentences: Sequence[str]) -> tuple[str, int]:
    totals = cdist(candidates, sentences, scorer=Levenshtein.distance, dtype=np.int32).sum(axis=1)
    index = int(totals.argmin())
    return candidates[index], int(totals[index])


def _one_edit_away(text: str, alphabet: Sequence[str]) -> list[str]:
    shorter = [text[:i] + text[i + 1 :] for i in range(len(text))]
    same = [text[:i] + c + text[i + 1 :] for i in range(len(text)) for c in alphabet]
    longer = [text[:i] + c + text[i:] for i in range(len(text) + 1) for c in alphabet]
    return [*shorter, *same, *longer]
