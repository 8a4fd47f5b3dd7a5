"""fairseq tasks of this package."""

from fairseq_dro.tasks import language_grouped_audio_finetuning  # noqa: F401  (registers itself)
