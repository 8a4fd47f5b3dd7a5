"""Utterances of the real corpus that ``FAIRSEQ_DRO_CORPUS`` names; tones where there is none."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from tests.tiny_corpus import tones


class Utterance(NamedTuple):
    language: str  # ISO 639-3
    audio: np.ndarray  # float32, 16 kHz
    text: str


def utterances(language: str, split: str, start: int, stop: int) -> list[Utterance]:
    """Utterances ``start`` to ``stop`` of a language in one split, in the order of the table."""
    corpus = os.environ.get("FAIRSEQ_DRO_CORPUS")
    if not corpus:
        generator = np.random.default_rng(start)
        pitch = dict(zip("abcd", (220.0, 330.0, 440.0, 550.0)))
        words = ["abcd"[: number % 3 + 2] * (number % 5 + 1) for number in range(start, stop)]
        return [
            Utterance(language, tones([word], pitch, generator).astype(np.float32), word)
            for word in words
        ]
    rows = [
        row for row in _table(corpus) if (row["split"], row["language"]) == (split, language)
    ]
    return [
        Utterance(
            language,
            soundfile.read(Path(corpus) / row["file"], dtype="float32")[0],
            row["text"],
        )
        for row in rows[start:stop]
    ]


def transcripts() -> list[str]:
    """Every text of the corpus; three made-up ones where there is none."""
    corpus = os.environ.get("FAIRSEQ_DRO_CORPUS")
    if not corpus:
        return ["No, no, no, he said.", "Ha ha ha!", "One hundred and one hundred and one."]
    return [row["text"] for row in _table(corpus)]


def _table(corpus: str) -> list[dict[str, str]]:
    with open(Path(corpus) / "corpus.tsv", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
