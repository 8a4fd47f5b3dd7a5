"""What a validation says of each group: ``history.jsonl``, TensorBoard, metrics for fairseq."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fairseq.distributed import utils as distributed_utils
from fairseq.logging import metrics
from fairseq.logging.progress_bar import BaseProgressBar, TensorboardProgressBarWrapper

from fairseq_dro.criterions.group_sums import COLUMNS, column
from fairseq_dro.dro.state import GroupDroState
from fairseq_dro.languages import name_of
from fairseq_dro.report.history import HISTORY_FILE, append_record
from fairseq_dro.scoring import disparity

logger = logging.getLogger(__name__)

# Shapes: G groups, K columns of group_sums.COLUMNS.


class ValidationLog:
    """Adds up [G, K] sums over the batches of a validation split and reports them.

    Args:
        state: read for q and the latest group losses, never moved here.
        folder: of ``history.jsonl``; the rank 0 process writes it.
        run: fields of every history line that say what is trained (objective, group_by).
    """

    def __init__(
        self,
        state: GroupDroState,
        *,
        folder: Path,
        tensorboard_logdir: str | None,
        run: dict[str, str],
    ) -> None:
        self.state = state
        self.folder = folder
        self.tensorboard_logdir = tensorboard_logdir
        self.run = run
        self.begin("")

    def begin(self, split: str) -> None:
        """Forget what an earlier split summed."""
        self._split = split
        self._sums = np.zeros((len(self.state.groups), len(COLUMNS)))

    def add(self, sums: np.ndarray) -> None:
        """Take in a batch, [G, K], and log what fairseq may choose checkpoints by.

        Per cent, as stock ``uer`` and ``wer``; derived, since fairseq asks for the value after
        the last batch.
        """
        self._sums += sums
        for key, rate in (
            ("cer", lambda: _ratio(self._total("char_errors"), self._total("characters"))),
            ("wer", lambda: _ratio(self._total("word_errors"), self._total("words"))),
            ("mean_cer", lambda: _over_groups(disparity.mean, self._cer())),
            ("worst_cer", lambda: _over_groups(disparity.worst, self._cer())),
            ("cvar_cer", lambda: _over_groups(disparity.cvar, self._cer())),
        ):
            metrics.log_derived(key, _rounded_percent(rate))

    def end(self, stats: dict[str, Any], epoch: int) -> None:
        """Write the history line, the TensorBoard scalars and a readable line in the log."""
        if not self._sums.any() or distributed_utils.get_global_rank() != 0:
            return
        record = self._record(stats, epoch)
        append_record(self.folder / HISTORY_FILE, record)
        self._log_to_tensorboard(record)
        worst = sorted(
            (
                group
                for group, row in record["languages"].items()
                if np.isfinite(row.get("cer", np.nan))
            ),
            key=lambda group: -record["languages"][group]["cer"],
        )
        logger.info(
            "%s: CER mean %.1f %%, worst %s",
            self._split, 100 * record["mean_cer"],
            ", ".join(
                f"{name_of(group)} ({group}) {100 * record['languages'][group]['cer']:.1f} %"
                for group in worst[:3]
            ),
        )

    def _record(self, stats: dict[str, Any], epoch: int) -> dict[str, Any]:
        cer = self._cer()
        return {
            "update": int(stats["num_updates"]),
            "epoch": epoch,
            "subset": self._split,
            **self.run,
            "loss_nats": float(_ratio(self._total("loss_nats"), self._total("n_utterances"))),
            "cer": float(_ratio(self._total("char_errors"), self._total("characters"))),
            "wer": float(_ratio(self._total("word_errors"), self._total("words"))),
            "mean_cer": _over_groups(disparity.mean, cer),
            "worst_cer": _over_groups(disparity.worst, cer),
            "cvar_cer": _over_groups(disparity.cvar, cer),
            "worst_language": self.state.groups[int(np.nanargmax(cer))]
            if np.isfinite(cer).any()
            else None,
            "languages": self._rows(),
        }

    def _rows(self) -> dict[str, dict[str, float]]:
        """By group; a group without utterances in the split has no rates."""
        cer, loss = self._cer(), _ratio(self._column("loss_nats"), self._column("n_utterances"))
        wer = _ratio(self._column("word_errors"), self._column("words"))
        n_utterances = self._column("n_utterances") + self._column("n_not_finite")
        rows = {}
        for g, group in enumerate(self.state.groups):
            rows[group] = {
                "q": float(self.state.q[g]),
                "train_loss_nats": float(self.state.last_loss[g]),
                "train_audio_seconds": float(self.state.audio_seconds[g]),
            }
            if n_utterances[g] > 0:
                rows[group].update(
                    n_utterances=int(n_utterances[g]), loss_nats=float(loss[g]),
                    cer=float(cer[g]), wer=float(wer[g]),
                )
        return rows

    def _log_to_tensorboard(self, record: dict[str, Any]) -> None:
        if not self.tensorboard_logdir:
            return
        scalars = {
            f"{name}/{group}": value
            for group, row in record["languages"].items()
            for name, value in row.items()
            if np.isfinite(value)
        }
        # fairseq's own writer, told apart from the bar: 143 languages would flood the log line
        bar = TensorboardProgressBarWrapper(_SilentBar([]), self.tensorboard_logdir)
        bar.log(scalars, tag=f"{self._split}_languages", step=record["update"])

    def _column(self, name: str) -> np.ndarray:
        return column(self._sums, name)

    def _total(self, name: str) -> float:
        return self._column(name).sum()

    def _cer(self) -> np.ndarray:
        return _ratio(self._column("char_errors"), self._column("characters"))


class _SilentBar(BaseProgressBar):
    def __iter__(self):
        return iter(())

    def log(self, stats, tag=None, step=None):
        """Nothing: only the wrapper around this bar writes."""


def _ratio(errors, total):
    """Elementwise, NaN where there is nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.asarray(total) > 0, np.divide(errors, total), np.nan)


def _over_groups(function: Callable[[np.ndarray], float], rates: np.ndarray) -> float:
    known = rates[np.isfinite(rates)]
    return float(function(known)) if len(known) else float("nan")


def _rounded_percent(rate: Callable[[], float]) -> Callable[[Any], float]:
    return lambda meters: round(100 * float(rate()), 3)
