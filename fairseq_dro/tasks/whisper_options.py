"""The options of the task for Whisper, as ``task.NAME=value`` or in a recipe."""

from dataclasses import dataclass, field
from typing import Any, Optional

from omegaconf import II

from fairseq_dro.tasks.grouped_audio_options import LanguageGroupedAudioFinetuningConfig


@dataclass
class LanguageGroupedWhisperFinetuningConfig(LanguageGroupedAudioFinetuningConfig):
    labels: Optional[str] = field(
        default="wrd", metadata={"help": "suffix of the text files, one text a line: {split}.wrd"}
    )
    new_language_tokens: Any = field(
        default=None,
        metadata={
            "help": "tokens of the languages that Whisper has none for: new (a new row of the "
            "embedding for each), or for each new or a near language: gla:cy+chr:new"
        },
    )
    detect_language: bool = field(
        default=False,
        metadata={
            "help": "in decoding, detect each utterance's language instead of taking it from .lang"
        },
    )
    stop_at_loops: bool = field(
        default=True,
        metadata={
            "help": "in decoding, stop a text whose last tokens are the same sequence four times "
            "(and at least 12 tokens); what was written stays, and scores.json counts such texts"
        },
    )
    valid_utterances_per_language: int = field(
        default=10,
        metadata={
            "help": "number of utterances of each language that a validation decodes for CER and "
            "WER, spread over the split; 0: none, -1: all; losses are of all utterances"
        },
    )
    valid_utterances_at_end: int = field(
        default=40,
        metadata={
            "help": "the same number for the last validation of a run, where it is larger; "
            "history.jsonl has those rates as cer_at_end, because checkpoints are compared on the "
            "smaller number"
        },
    )
    max_update: int = II("optimization.max_update")
    max_epoch: int = II("optimization.max_epoch")
