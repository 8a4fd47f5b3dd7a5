"""A recording on its way into the data folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fairseq_dro.prepare.audio_files import AudioJob
from fairseq_dro.prepare.recording import Recording, Rejection


@dataclass(slots=True)
class Candidate:
    """What is known of it so far.

    Attributes:
        has_number: the text as published holds a number.
        n_samples: of audio that is used in place; 0 where it is to be converted.
        adjusted: what was put right, phrases of ``adjusted.py``.
    """

    recording: Recording
    text: str
    split: str = ""
    seconds: float = 0.0
    n_samples: int = 0
    label: str = ""
    adjusted: tuple[str, ...] = ()
    has_number: bool = False

    def reject(self, reason: str, detail: str = "") -> Rejection:
        one = self.recording
        return Rejection(
            one.utterance_id, one.language, self.split, reason, one.where, detail
        )  # fmt: skip

    def job(self, target: Path | None = None) -> AudioJob:
        one = self.recording
        return AudioJob(one.audio, one.start_seconds, one.duration_seconds, target)
