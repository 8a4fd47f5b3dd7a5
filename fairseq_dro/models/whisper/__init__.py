"""Whisper (Radford et al. 2022, arXiv 2212.04356) as models of fairseq."""

from fairseq_dro.models.whisper.ctc import WhisperCtc
from fairseq_dro.models.whisper.model import WhisperModel

__all__ = ["WhisperCtc", "WhisperModel"]
