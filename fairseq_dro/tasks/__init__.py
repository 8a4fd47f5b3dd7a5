"""fairseq tasks of this package."""

from fairseq_dro.tasks import (  # noqa: F401  (register themselves)
    language_grouped_audio_finetuning,
    language_grouped_whisper_finetuning,
)
