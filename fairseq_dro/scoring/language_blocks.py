"""Errors and length of every utterance by language, in few bytes: what the bootstrap draws from."""

from __future__ import annotations

from array import array

import numpy as np

from fairseq_dro.scoring.bootstrap import Block, Blocks, make_blocks
from fairseq_dro.scoring.edits import EditCounts

UTTERANCE_MEAN_UNIT = 10**6
"""Length given to each utterance where CER is a mean over utterances: its errors are millionths."""
WITHOUT_LANGUAGE = ""
"""Name for the utterances whose language is not known; the first in alphabetical order."""


class LanguageBlocks:
    """Twenty bytes an utterance; speakers are numbered within their language."""

    def __init__(self) -> None:
        self.errors: dict[str, array] = {}
        self.lengths: dict[str, array] = {}
        self.speakers: dict[str, array] = {}  # -1: not known
        self.speaker_numbers: dict[str, dict[str, int]] = {}
        self.reference_length = 0
        self.utterance_mean = False

    def add(
        self, language: str, speaker: str | None, edits: EditCounts, utterance_mean: bool
    ) -> None:
        """One more utterance."""
        errors, length = edits.errors, edits.reference_length
        self.reference_length += length
        if utterance_mean:
            self.utterance_mean = True
            if not length:
                return
            errors, length = round(errors * UTTERANCE_MEAN_UNIT / length), UTTERANCE_MEAN_UNIT
        self._start(language)
        self.errors[language].append(errors)
        self.lengths[language].append(length)
        self.speakers[language].append(self._number(language, speaker))

    def _start(self, language: str) -> None:
        if language not in self.errors:
            self.errors[language], self.lengths[language] = array("q"), array("q")
            self.speakers[language], self.speaker_numbers[language] = array("i"), {}

    def _number(self, language: str, speaker: str | None) -> int:
        if speaker is None:
            return -1
        numbers = self.speaker_numbers[language]
        return numbers.setdefault(speaker, len(numbers))

    def as_blocks(self) -> Blocks:
        """Blocks of each language, in alphabetical order."""
        names, sums, by_speaker, few_speakers = [], [], [], []
        for language in sorted(self.errors):
            speakers = [None if n < 0 else n for n in self.speakers[language]]
            own = make_blocks(
                [language] * len(speakers), np.asarray(self.errors[language]),
                np.asarray(self.lengths[language]),
                speakers if self.speaker_numbers[language] else None,
            )  # fmt: skip
            names.append(language)
            sums.append(Block(*own.sums[0]))
            by_speaker.append(own.by_speaker[0])
            few_speakers.append(own.few_speakers[0])
        one_error = 1.0
        if self.utterance_mean and self.reference_length:
            n_utterances = sum(len(lengths) for lengths in self.lengths.values())
            one_error = UTTERANCE_MEAN_UNIT * n_utterances / self.reference_length
        return Blocks(
            tuple(names), tuple(sums), tuple(by_speaker), one_error, tuple(few_speakers)
        )
