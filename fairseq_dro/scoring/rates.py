"""Error rates per language, their mean, the worst, and all utterances together.

A language's rate is the sum of its errors over the sum of its reference units (not a mean of
utterances' rates), so a long utterance weighs more than a short one, and an utterance with an empty
reference adds its insertions and nothing else. The *mean* gives every language the same weight
(macro), *all together* every unit (micro). All rates are fractions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fairseq_dro.scoring.edits import EditCounts
from fairseq_dro.scoring.records import Record

FORMAT = 1


@dataclass
class Sums:
    """Sums over the utterances of one language, or of any other group."""

    n_utterances: int = 0
    n_empty_hypotheses: int = 0
    characters: EditCounts = EditCounts()
    words: EditCounts = EditCounts()
    n_with_language_token: int = 0  # references that begin with [iso]
    n_language_correct: int = 0  # of these, hypotheses that begin with the same [iso]
    _seconds: list[float] = field(default_factory=list, repr=False)

    def add(self, utterance: Record) -> None:
        """Count one more utterance."""
        self.n_utterances += 1
        self.n_empty_hypotheses += not utterance.hypothesis
        self.characters = self.characters.plus(utterance.characters)
        self.words = self.words.plus(utterance.words)
        if utterance.target_language is not None:
            self.n_with_language_token += 1
            self.n_language_correct += utterance.predicted_language == utterance.target_language
        self._seconds.append(utterance.seconds or 0.0)

    @property
    def audio_seconds(self) -> float:
        """Summed exactly, so that it does not depend on the order of the utterances."""
        return math.fsum(self._seconds)

    @property
    def cer(self) -> float | None:
        """Character error rate, a fraction; None without any reference character."""
        return self.characters.error_rate

    @property
    def wer(self) -> float | None:
        """Word error rate, a fraction; None without any reference word."""
        return self.words.error_rate

    @property
    def lid_accuracy(self) -> float | None:
        """Share of language tokens that were recognised; None where no reference has one."""
        if not self.n_with_language_token:
            return None
        return self.n_language_correct / self.n_with_language_token

    def as_record(self) -> dict[str, Any]:
        """JSON-ready numbers; S, D and I are those of CER."""
        return {
            "n_utterances": self.n_utterances,
            "audio_seconds": round(self.audio_seconds, 3),
            "cer": self.cer,
            "wer": self.wer,
            "lid_accuracy": self.lid_accuracy,
            "substitutions": self.characters.substitutions,
            "deletions": self.characters.deletions,
            "insertions": self.characters.insertions,
            "reference_characters": self.characters.reference_length,
            "word_substitutions": self.words.substitutions,
            "word_deletions": self.words.deletions,
            "word_insertions": self.words.insertions,
            "reference_words": self.words.reference_length,
            "n_empty_hypotheses": self.n_empty_hypotheses,
        }


@dataclass
class Scores:
    """Sums per language, codes in alphabetical order, and over everything."""

    languages: dict[str, Sums]
    all: Sums

    def mean(self, rate: str) -> float | None:
        """Unweighted mean of ``cer``, ``wer`` or ``lid_accuracy``, over languages that have it."""
        rates = [getattr(sums, rate) for sums in self.languages.values()]
        rates = [value for value in rates if value is not None]
        return math.fsum(rates) / len(rates) if rates else None

    def worst_language(self) -> str | None:
        """The language of the highest CER, the first by code among equals."""
        rated = {code: sums.cer for code, sums in self.languages.items() if sums.cer is not None}
        return max(rated, key=lambda code: rated[code], default=None)

    def as_record(self) -> dict[str, Any]:
        """The content of ``scores.json``.

        ``languages`` by code, ``mean`` over languages, ``worst`` (name and rates of the language of
        the highest CER) and ``all`` utterances together. ``mean`` and ``worst`` are null where the
        utterances carry no language.
        """
        code = self.worst_language()
        record: dict[str, Any] = {
            "format": FORMAT,
            "languages": {code: sums.as_record() for code, sums in self.languages.items()},
            "mean": None,
            "worst": None,
            "all": self.all.as_record(),
        }
        if self.languages:
            record["mean"] = {
                "n_languages": len(self.languages),
                **{rate: self.mean(rate) for rate in ("cer", "wer", "lid_accuracy")},
            }
        if code is not None:
            worst = self.languages[code]
            record["worst"] = {
                "language": code,
                "cer": worst.cer,
                "wer": worst.wer,
                "lid_accuracy": worst.lid_accuracy,
            }
        return record


def sum_up(utterances: Iterable[Record]) -> Scores:
    """Add utterances up by language; those without a language count in ``all`` only."""
    languages: dict[str, Sums] = {}
    everything = Sums()
    for utterance in utterances:
        everything.add(utterance)
        if utterance.language is not None:
            languages.setdefault(utterance.language, Sums()).add(utterance)
    return Scores(dict(sorted(languages.items())), everything)
