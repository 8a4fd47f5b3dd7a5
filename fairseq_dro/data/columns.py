"""The columns of a split that decoding hands on, whatever they were kept for.

A column is a text file ``{split}.NAME`` with one short value a line. Other files may lie there
too, such as ``test.km`` or ``test.zip``: those are no columns, and are not read.
"""

from __future__ import annotations

import logging
from pathlib import Path

from fairseq_dro.data.lines import Categories
from fairseq_dro.data.manifest import Manifest
from fairseq_dro.errors import UserError
from fairseq_dro.group_by import is_column

logger = logging.getLogger(__name__)

MOST_BYTES = 100
"""Of a value, on average: a file of longer lines holds something else."""
_WITH_THE_MANIFEST = ("language", "corpus", "speaker")


def further_columns(manifest: Manifest) -> dict[str, Categories]:
    """Columns of a split beside language, corpus and speaker, by name: N values each.

    A file that looks like a column and has another number of lines, or is no text, is left out
    with a warning.
    """
    found = {}
    for path in column_files(manifest.folder, manifest.split, len(manifest)):
        name = path.name.removeprefix(f"{manifest.split}.")
        if name == manifest.label_type:
            continue
        try:
            found[name] = manifest.column(name)
        except UserError as error:
            logger.warning("%s is not a column of the split: %s", path, error)
    return found


def column_files(folder: Path, split: str, n_utterances: int) -> list[Path]:
    """What looks like a column of a split by its name and size, beside the known ones."""
    return [
        path
        for path in sorted(folder.glob(f"{split}.*"))
        if is_column(name := path.name.removeprefix(f"{split}."))
        and name not in _WITH_THE_MANIFEST
        and path.is_file()
        and path.stat().st_size <= MOST_BYTES * n_utterances
    ]
