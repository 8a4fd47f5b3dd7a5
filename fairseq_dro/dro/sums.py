"""The one tensor of per-group sums that a batch adds to the logging output.

fairseq adds up logging outputs over micro-batches and workers (``trainer.py:1409``), so whatever
is a sum can ride along. It reduces tensors apart from Python numbers
(``distributed/utils.py:633``), and stock ``ctc`` logs numbers only: so an update with several
workers has one all-reduce more, of G x K float64 numbers and the loss (8 kB for 143 languages).

Shapes: B utterances, G groups, K columns: ``COLUMNS``, and behind them in validation those that the
criterion adds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

GROUP_SUMS = "_group_sums"
"""Key of the tensor in the logging output."""

COLUMNS = (
    "loss_nats",  # what q sees: sum over the counted utterances
    "n_utterances",  # counted: with a finite loss; the others never reach q
    "n_batches",  # batches that hold at least one counted utterance of the group
    "n_not_finite",  # utterances whose loss was infinite, NaN or zeroed by zero_infinity
    "audio_samples",  # of the counted utterances
    "units",  # target units of the counted utterances
    "characters",  # of their references, by the rule of CER
)


def sum_by_group(
    groups: torch.Tensor,
    n_groups: int,
    values: dict[str, torch.Tensor],
    further: Sequence[str] = (),
) -> torch.Tensor:
    """Sum per-utterance values by group, on their device and without a synchronisation.

    Args:
        groups: [B] int64, group of each utterance.
        values: per-utterance numbers [B] by column name.
        further: names of columns behind ``COLUMNS``.

    Returns:
        [G, K] float64.
    """
    names = (*COLUMNS, *further)
    rows = torch.zeros(len(groups), len(names), dtype=torch.float64, device=groups.device)
    for name, value in values.items():
        rows[:, names.index(name)] = value.to(torch.float64)
    sums = torch.zeros(n_groups, len(names), dtype=torch.float64, device=groups.device)
    sums.index_add_(0, groups, rows)
    sums[:, names.index("n_batches")] = sums[:, names.index("n_utterances")] > 0
    return sums


def column(sums: np.ndarray, name: str, further: Sequence[str] = ()) -> np.ndarray:
    """[G] one column of a [G, K] array."""
    return sums[:, (*COLUMNS, *further).index(name)]


def total_group_sums(logging_outputs: Iterable[dict[str, Any]]) -> np.ndarray | None:
    """[G, K] over all logging outputs, or None where the criterion adds no group sums.

    Args:
        logging_outputs: as ``on_host`` gives them.
    """
    tensors = [log[GROUP_SUMS] for log in logging_outputs if GROUP_SUMS in log]
    if not tensors:
        return None
    return torch.stack(tensors).sum(0).numpy()


def on_host(logging_outputs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same, with all tensors of all outputs brought from their device in one copy (float64).

    Stock ``ctc`` waits for the device at each micro-batch (``utils.item``, criterions/ctc.py:152);
    this is the one place where an update of ours waits, whatever is logged and read afterwards.
    """
    outputs = [dict(output) for output in logging_outputs]
    places = [
        (output, key, value)
        for output in outputs
        for key, value in output.items()
        if torch.is_tensor(value)
    ]
    if places:
        flat = torch.cat([value.detach().double().reshape(-1) for _, _, value in places]).cpu()
        parts = flat.split([value.numel() for _, _, value in places])
        for (output, key, value), part in zip(places, parts):
            output[key] = part.view(value.shape)
    return outputs
