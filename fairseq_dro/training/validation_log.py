"""What a validation says of each group: ``history.jsonl``, TensorBoard, metrics for fairseq."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from fairseq.distributed import utils as distributed_utils
from fairseq.logging import metrics
from fairseq.logging.progress_bar import BaseProgressBar, TensorboardProgressBarWrapper

from fairseq_dro.dro.engine import GroupDroEngine
from fairseq_dro.dro.sums import COLUMNS, column, total_group_sums
from fairseq_dro.group_by import GroupBy
from fairseq_dro.runs.history import HISTORY_FILE, append_record
from fairseq_dro.scoring import disparity

logger = logging.getLogger(__name__)

# Shapes: G groups, K columns of dro.sums, and behind them the criterion's further_columns.

RATES = {
    "cer": ("char_errors", "reference_characters"),
    "wer": ("word_errors", "words"),
    "cer_as_written": ("written_char_errors", "written_characters"),
    "wer_as_written": ("written_word_errors", "written_words"),
    "share_looping": ("n_looping", "n_recognised"),
    "cer_at_end": ("char_errors_at_end", "reference_characters_at_end"),
    "wer_at_end": ("word_errors_at_end", "words_at_end"),
    "loss_nats": ("loss_nats", "n_utterances"),
    "loss_nats_per_character": ("loss_nats", "characters"),
}
"""What is reported: a column over another, where the criterion sums both.

Rates ``at_end`` are of more utterances and there in the last validation of a run alone; they are no
metrics of fairseq's, which compares checkpoints on the same utterances.
"""

IN_NATS = ("loss_nats", "loss_nats_per_character")

OVER_GROUPS = {"mean": disparity.mean, "worst": disparity.worst, "cvar": disparity.cvar}
"""Of the groups' character error rates; without such, of their losses a character."""


class ValidationLog:
    """Adds up [G, K] sums over the batches of a validation split and reports them.

    Args:
        engine: read for q, the latest group losses and the columns of validation; never moved.
        folder: of ``history.jsonl``; the rank 0 process writes it.
    """

    def __init__(
        self, engine: GroupDroEngine, *, folder: Path, tensorboard_logdir: str | None
    ) -> None:
        self.state = engine.state
        self.further_columns = engine.further_columns
        self.folder = folder
        self.tensorboard_logdir = tensorboard_logdir
        options = self.state.trained_as
        self.run = {
            "objective": options.get("criterion.objective"),
            "group_by": options.get("task.group_by", "language"),
            "loss_unit": self.state.loss_unit,
        }
        columns = (*COLUMNS, *self.further_columns)
        self.rates = {
            name: pair for name, pair in RATES.items() if all(part in columns for part in pair)
        }
        self.last: dict[str, Any] | None = None  # line of the history
        self.begin("")

    def begin(self, split: str) -> None:
        """Forget what an earlier split summed."""
        self._split = split
        n_columns = len(COLUMNS) + len(self.further_columns)
        self._sums = np.zeros((len(self.state.groups), n_columns))

    def add(self, logging_outputs: list[dict[str, Any]]) -> None:
        """Take in a batch, and log what fairseq may choose checkpoints by.

        Rates in per cent, as stock ``uer`` and ``wer``; derived, since fairseq asks for the value
        after the last batch.
        """
        sums = total_group_sums(logging_outputs)
        if sums is None:
            return
        self._sums += sums
        for name in self.rates:
            # loss_nats is in bits fairseq's "loss"
            if name != "loss_nats" and not name.endswith("_at_end"):
                scale = 1 if name in IN_NATS else 100
                metrics.log_derived(name, _rounded(scale, self._total_rate, name))
        of_groups = "cer" if "cer" in self.rates else "loss_nats_per_character"
        scale = 100 if of_groups == "cer" else 1
        for name, function in OVER_GROUPS.items():
            metrics.log_derived(
                f"{name}_{of_groups}", _rounded(scale, self._over_groups, function, of_groups)
            )

    def end(
        self, stats: dict[str, Any], epoch: int, layer_weights: Mapping[str, float] | None = None
    ) -> None:
        """Write the history line, the TensorBoard scalars and a readable line in the log.

        Args:
            layer_weights: of a model that learns how much each layer of an encoder counts.
        """
        if not self._sums.any() or distributed_utils.get_global_rank() != 0:
            return
        record = self._record(stats, epoch)
        if layer_weights:
            record["layer_weights"] = dict(layer_weights)
        self.last = record
        append_record(self.folder / HISTORY_FILE, record)
        self._log_to_tensorboard(record)
        if "cer" not in self.rates:
            return
        self._say(record, "cer")
        if "cer_at_end" in record:
            self._say(record, "cer_at_end", ", on the utterances of the run's last validation")
        if record.get("share_looping"):
            logger.info(
                "update %d, %s: %.1f %% of the texts repeat themselves",
                record["update"], self._split, 100 * record["share_looping"],
            )

    def _say(self, record: dict[str, Any], rate: str, more: str = "") -> None:
        """The mean and the worst groups, in the log."""
        by = GroupBy.parse(self.run["group_by"])
        known = {
            group: row[rate]
            for group, row in record["languages"].items()
            if np.isfinite(row.get(rate, np.nan))
        }
        worst = sorted(known, key=lambda group: -known[group])
        logger.info(
            "update %d, %s%s: CER mean %.1f %%, worst %s",
            record["update"], self._split, more, 100 * record[f"mean_{rate}"],
            ", ".join(f"{by.full_name(group)} {100 * known[group]:.1f} %" for group in worst[:3]),
        )

    def _record(self, stats: dict[str, Any], epoch: int) -> dict[str, Any]:
        record = {
            "update": int(stats["num_updates"]),
            "epoch": epoch,
            "subset": self._split,
            **self.run,
            **{name: self._total_rate(name) for name in self._known_rates()},
        }
        if "cer_at_end" in record:
            record["mean_cer_at_end"] = self._over_groups(disparity.mean, "cer_at_end")
        if "cer" in self.rates:
            cer = self._rate("cer")
            for name, function in OVER_GROUPS.items():
                record[f"{name}_cer"] = self._over_groups(function, "cer")
            is_known = np.isfinite(cer).any()
            record["worst_language"] = (
                self.state.groups[int(np.nanargmax(cer))] if is_known else None
            )
        return record | {"languages": self._rows()}

    def _rows(self) -> dict[str, dict[str, float]]:
        """By group; a group without utterances in the split has no rates."""
        rates = {name: self._rate(name) for name in self._known_rates()}
        n_utterances = self._column("n_utterances") + self._column("n_not_finite")
        rows = {}
        for g, group in enumerate(self.state.groups):
            rows[group] = {
                "q": float(self.state.q[g]),
                "train_loss_nats": float(self.state.last_loss[g]),
                "train_audio_seconds": float(self.state.audio_seconds[g]),
            }
            if n_utterances[g] > 0:
                rows[group]["n_utterances"] = int(n_utterances[g])
                rows[group] |= {name: float(values[g]) for name, values in rates.items()}
        return rows

    def _known_rates(self) -> list[str]:
        """Without those at the end of a run where this is not its end."""
        return [
            name
            for name, (_, below) in self.rates.items()
            if not name.endswith("_at_end") or self._column(below).any()
        ]

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
        if "layer_weights" in record:
            bar.log(record["layer_weights"], tag="layer_weights", step=record["update"])

    def _column(self, name: str) -> np.ndarray:
        return column(self._sums, name, self.further_columns)

    def _rate(self, name: str) -> np.ndarray:
        """[G] one of ``RATES``."""
        above, below = self.rates[name]
        return _ratio(self._column(above), self._column(below))

    def _total_rate(self, name: str) -> float:
        above, below = self.rates[name]
        return float(_ratio(self._column(above).sum(), self._column(below).sum()))

    def _over_groups(self, function: Callable[[np.ndarray], float], name: str) -> float:
        rates = self._rate(name)
        known = rates[np.isfinite(rates)]
        return float(function(known)) if len(known) else float("nan")


class _SilentBar(BaseProgressBar):
    def __iter__(self):
        return iter(())

    def log(self, stats, tag=None, step=None):
        """Nothing: only the wrapper around this bar writes."""


def _ratio(errors, total):
    """Elementwise, NaN where there is nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.asarray(total) > 0, np.divide(errors, total), np.nan)


def _rounded(scale: float, rate: Callable[..., float], *of: Any) -> Callable[[Any], float]:
    return lambda meters: round(scale * rate(*of), 3)
