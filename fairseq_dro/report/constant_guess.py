"""How well a guess does that never hears the audio: one constant string per language.

A model that only learnt what sentences look like can do little better than some constant string, so
its error rate is the line above which nothing has been learnt from speech. The string is a sentence
of the training split, and it is scored on what was decoded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from fairseq_dro.scoring.records import Record
from fairseq_dro.scoring.text import scored_characters, split_language_token

_MOST_SENTENCES = 200  # compared with each other while looking for the string
_WORD_BOUNDARIES = {"letter": "|", "sentencepiece": "\u2581"}


def constant_guesses(
    groups: Sequence[str],
    languages: Sequence[str],
    labels: Sequence[str],
    decoded: Mapping[str, Sequence[Record]],
    post_process: str = "letter",
) -> dict[str, float]:
    """CER of the constant guess by group, fractions; without groups that have no training text.

    Args:
        groups, languages: of each training utterance.
        labels: of each training utterance, its units with spaces between them.
        decoded: utterances by group, of which the references count.
        post_process: how units become text (``criterion.post_process``, that of decoding).

    Returns:
        Nothing where ``post_process`` is neither ``letter`` nor ``sentencepiece``.
    """
    boundary = _WORD_BOUNDARIES.get(post_process)
    if boundary is None:
        return {}
    training: dict[str, list[str]] = {}
    for group, language, label in zip(groups, languages, labels):
        if group in decoded:
            spelled = label.replace(" ", "").replace(boundary, " ")
            _, text = split_language_token(spelled, language)
            training.setdefault(group, []).append(scored_characters(text, language))
    return {
        group: constant_guess_cer(
            best_constant(training[group]),
            [scored_characters(record.reference, record.language) for record in records],
        )
        for group, records in decoded.items()
        if group in training
    }


def best_constant(sentences: Sequence[str], seed: int = 0) -> str:
    """The sentence with the fewest edits to all together; of more than 200, 200 are drawn.

    The best string of all (the generalised median string) is NP-hard to find and hardly better.
    """
    chosen = list(sentences)
    if len(chosen) > _MOST_SENTENCES:
        drawn = np.random.default_rng(seed).choice(len(chosen), _MOST_SENTENCES, replace=False)
        chosen = [chosen[index] for index in sorted(drawn)]
    candidates = sorted(set(chosen))
    edits = cdist(candidates, chosen, scorer=Levenshtein.distance, dtype=np.int32).sum(axis=1)
    return candidates[int(edits.argmin())]


def constant_guess_cer(guess: str, references: Sequence[str]) -> float:
    """Edits over reference characters, as a fraction, when every answer is ``guess``."""
    edits = sum(Levenshtein.distance(guess, reference) for reference in references)
    return edits / max(1, sum(map(len, references)))
