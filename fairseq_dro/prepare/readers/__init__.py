"""The readers of ``fairseq-dro prepare``: a new one is a class of its own and a line here."""

from __future__ import annotations

from fairseq_dro.prepare.reader import Reader
from fairseq_dro.prepare.readers.common_voice import CommonVoice
from fairseq_dro.prepare.readers.common_voice_spontaneous import CommonVoiceSpontaneous
from fairseq_dro.prepare.readers.espeak import Espeak
from fairseq_dro.prepare.readers.fleurs import Fleurs
from fairseq_dro.prepare.readers.ml_superb import MlSuperb
from fairseq_dro.prepare.readers.ml_superb_parquet import MlSuperbParquet
from fairseq_dro.prepare.readers.table import Table

READERS: tuple[type[Reader], ...] = (
    Espeak,
    Table,
    MlSuperb,
    MlSuperbParquet,
    CommonVoice,
    CommonVoiceSpontaneous,
    Fleurs,
)
