"""The readers of ``fairseq-dro prepare``: a new one is a class of its own and a line here.

One outside this package registers itself by the decorator (docs/extend.md).
"""

from __future__ import annotations

from fairseq_dro.prepare.reader import Reader
from fairseq_dro.prepare.readers.common_voice import CommonVoice
from fairseq_dro.prepare.readers.common_voice_spontaneous import CommonVoiceSpontaneous
from fairseq_dro.prepare.readers.espeak import Espeak
from fairseq_dro.prepare.readers.fleurs import Fleurs
from fairseq_dro.prepare.readers.ml_superb import MlSuperb
from fairseq_dro.prepare.readers.ml_superb_parquet import MlSuperbParquet
from fairseq_dro.prepare.readers.table import Table

READERS: list[type[Reader]] = [
    Espeak,
    Table,
    MlSuperb,
    MlSuperbParquet,
    CommonVoice,
    CommonVoiceSpontaneous,
    Fleurs,
]


def register_reader(reader: type[Reader]) -> type[Reader]:
    """Decorator: ``fairseq-dro prepare NAME`` is this reader from now on."""
    READERS[:] = [one for one in READERS if one.name != reader.name] + [reader]
    return reader
