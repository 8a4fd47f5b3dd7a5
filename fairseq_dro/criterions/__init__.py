"""fairseq criterions of this package."""

from fairseq_dro.criterions import group_dro_ctc  # noqa: F401  (registers itself)
