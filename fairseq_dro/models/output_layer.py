"""The output layer has a row for each unit, in the order of the dictionary it was trained with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

#: What precedes ``.weight`` and ``.bias``: fairseq's (wav2vec2_asr.py:437), and this package's.
OUTPUT_LAYERS = ("w2v_encoder.proj", "proj")


@dataclass(frozen=True)
class UnitRows:
    """Where the units of a dictionary stand in another.

    Attributes:
        rows: [U] for each unit of the new dictionary its row in the old one, -1 where it has none.
        added: units that only the new one has.
        gone: units that only the old one has.
    """

    rows: np.ndarray
    added: tuple[str, ...]
    gone: tuple[str, ...]

    @classmethod
    def between(cls, old: Sequence[str], new: Sequence[str]) -> UnitRows:
        row_of = {unit: row for row, unit in enumerate(old)}
        return cls(
            np.array([row_of.get(unit, -1) for unit in new], dtype=np.int64),
            tuple(unit for unit in new if unit not in row_of),
            tuple(unit for unit in old if unit not in set(new)),
        )

    @property
    def n_old(self) -> int:
        return int((self.rows >= 0).sum()) + len(self.gone)

    @property
    def is_same_order(self) -> bool:
        return not self.added and not self.gone and bool((np.diff(self.rows) == 1).all())


def has_output_layer(weights: Mapping[str, torch.Tensor]) -> bool:
    """Whether weights by name have an output layer with a row a unit."""
    return any(f"{layer}.weight" in weights for layer in OUTPUT_LAYERS)


def take_rows(
    saved: Mapping[str, torch.Tensor], fresh: Mapping[str, torch.Tensor], rows: UnitRows
) -> dict[str, torch.Tensor]:
    """The weights of a checkpoint with an output layer for the new dictionary.

    Args:
        saved: weights by name, with an output layer of ``rows.n_old`` rows.
        fresh: those of a model for the new dictionary, whose rows the added units get.
    """
    weights = dict(saved)
    kept = torch.from_numpy(rows.rows >= 0)
    for layer in OUTPUT_LAYERS:
        for name in (f"{layer}.weight", f"{layer}.bias"):
            if name in saved and name in fresh and len(saved[name]) == rows.n_old:
                weights[name] = fresh[name].detach().to(saved[name], copy=True)
                weights[name][kept] = saved[name][torch.from_numpy(rows.rows)[kept]]
    return weights
