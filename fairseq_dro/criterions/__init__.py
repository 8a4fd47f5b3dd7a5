"""fairseq criterions of this package."""

from fairseq_dro.criterions import ctc  # noqa: F401  (registers itself)
