"""What a reader yields: recordings as the corpus has them, and lines that are no recordings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SPLITS = ("train", "valid", "test")
BAD_LINE = "transcript line of another form"


@dataclass(frozen=True, slots=True)
class ParquetAudio:
    """Where audio lies inside a Parquet file; the bytes are read when they are needed.

    Attributes:
        row_group, row: row ``row`` of row group ``row_group``, both from 0.
    """

    path: Path
    row_group: int
    row: int


@dataclass(frozen=True, slots=True)
class Recording:
    """One utterance of a corpus.

    Attributes:
        language: ISO 639-3.
        text: as published.
        audio: a file that soundfile reads, or a place inside a Parquet file.
        where: ``file:line`` of the utterance in the corpus, for ``rejected.tsv``.
        split: one of ``SPLITS``, or None where the corpus has none.
        speaker, corpus: empty where unknown.
        columns: further ones that are kept, such as accent; a value is empty where it is unknown.
        start_seconds, duration_seconds: the part of the file that is meant; to its end when None.
    """

    utterance_id: str
    language: str
    text: str
    audio: Path | ParquetAudio
    where: str
    split: str | None = None
    speaker: str = ""
    corpus: str = ""
    start_seconds: float = 0.0
    duration_seconds: float | None = None
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_part(self) -> bool:
        """Whether a part of the file is meant."""
        return bool(self.start_seconds) or self.duration_seconds is not None


@dataclass(frozen=True, slots=True)
class Rejection:
    """An utterance that does not get into the data folder.

    Attributes:
        reason: a phrase that is the same for all utterances of its kind, for counting.
        detail: what is special about this one, such as its length.
    """

    utterance_id: str
    language: str
    split: str
    reason: str
    where: str
    detail: str = ""

    @classmethod
    def of(cls, recording: Recording, reason: str, detail: str = "") -> Rejection:
        return cls(
            recording.utterance_id, recording.language, recording.split or "", reason,
            recording.where, detail,
        )
