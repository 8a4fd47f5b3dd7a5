"""fairseq criterions of this package."""

from fairseq_dro.criterions import cross_entropy, ctc  # noqa: F401  (register themselves)
