"""The position in the epoch that a checkpoint was saved at, for what is done again at a resume."""

from __future__ import annotations

from typing import Any


class SavedPosition:
    """Stands for the epoch iterator in ``save_checkpoint`` and ``validate_and_save`` (fairseq).

    After a resume the real iterator has not begun its epoch and cannot say where it stands
    (fairseq/data/iterators.py:423).

    Args:
        state: ``extra_state["train_iterator"]`` of the checkpoint.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        self._state = state
        # what is saved at the end of an epoch names the start of the next one (iterators.py:437)
        self.epoch: int = state["epoch"] - self.end_of_epoch()

    def end_of_epoch(self) -> bool:
        return self._state["iterations_in_epoch"] == 0

    def state_dict(self) -> dict[str, Any]:
        return self._state
