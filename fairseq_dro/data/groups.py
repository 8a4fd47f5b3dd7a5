"""The group of each utterance of a split, from the columns of the data folder."""

from __future__ import annotations

import shlex

import numpy as np

from fairseq_dro.data.lines import Categories
from fairseq_dro.data.manifest import Manifest
from fairseq_dro.errors import UserError
from fairseq_dro.group_by import LANGUAGE, SEPARATOR, GroupBy


def groups_of(manifest: Manifest, by: GroupBy) -> Categories:
    """N names, one an utterance: ``deu`` by language, ``deu/mls`` by language and corpus.

    Raises:
        UserError: a column is missing, or one of its lines is empty or holds a slash.
    """
    groups = _values(manifest, by.columns[0])
    for column in by.columns[1:]:
        groups = _pairs(groups, _values(manifest, column))
    return groups


def _values(manifest: Manifest, column: str) -> Categories:
    values = manifest.column(column)
    if column == LANGUAGE:  # it is not empty, and its codes are looked up elsewhere
        return values
    for value in values.names:
        if not value or SEPARATOR in value:
            where = manifest.where(values.index(value), column)
            what = f"{value!r} holds a slash, which stands between" if value else "empty, unlike"
            repair = "s,/,-,g" if value else "s/^$/unknown/"
            path = shlex.quote(f"{manifest.folder / manifest.split}.{column}")
            raise UserError(
                f"{where}: {what} the values that name a group: write another value on all such "
                f"lines, as `sed -i '{repair}' {path}` does."
            )
    return values


def _pairs(first: Categories, second: Categories) -> Categories:
    n = len(second.names)
    found, codes = np.unique(first.codes * np.int64(n) + second.codes, return_inverse=True)
    names = [
        f"{first.names[pair // n]}{SEPARATOR}{second.names[pair % n]}" for pair in found.tolist()
    ]
    return Categories(names, codes)
