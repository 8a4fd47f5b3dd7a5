"""What is logged per language: metrics for fairseq, ``history.jsonl``, TensorBoard.

It also is where q moves, because the sums that are logged are the sums that q needs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fairseq.distributed import utils as distributed_utils
from fairseq.logging import metrics
from fairseq.logging.progress_bar import BaseProgressBar, TensorboardProgressBarWrapper

from fairseq_dro.criterions.group_sums import COLUMNS, column, total_group_sums
from fairseq_dro.dro.state import GroupDroState
from fairseq_dro.languages import name_of
from fairseq_dro.report.history import GROUP_WEIGHTS_FILE, HISTORY_FILE, append_record

logger = logging.getLogger(__name__)

# Shapes: G groups, K columns of group_sums.COLUMNS.


class GroupLog:
    """Collects [G, K] sums, moves q in training and reports in validation.

    Args:
        state: moved once per call of ``reduce`` in training.
        folder: of the two JSON-lines files; the rank 0 process writes them.

    Attributes:
        update: number of the update at work, from 1; kept up to date by the task, as is ``epoch``.
    """

    def __init__(
        self,
        state: GroupDroState,
        *,
        objective: str,
        folder: str,
        tensorboard_logdir: str | None,
    ) -> None:
        self.state = state
        self.objective = objective
        self.folder = Path(folder)
        self.tensorboard_logdir = tensorboard_logdir
        self.update = 0
        self.epoch = 0
        self._split = ""
        self._valid_sums = np.zeros((len(state.groups), len(COLUMNS)))
        self._named_not_finite = False

    # --- training ---

    def reduce(self, logging_outputs: list[dict[str, Any]], *, training: bool) -> None:
        """Take in the logging outputs of an update or of a validation batch."""
        sums = total_group_sums(logging_outputs)
        if sums is None:
            return
        if training:
            self._observe(sums)
        else:
            self._valid_sums += sums
            self._log_derived()

    def _observe(self, sums: np.ndarray) -> None:
        self._warn_of_losses_left_out(sums)
        counts = "n_batches" if self.state.rule.sums_batches else "n_utterances"
        moved = self.state.observe(column(sums, "loss_nats"), column(sums, counts))
        metrics.log_scalar("q_max", float(self.state.q.max()), weight=0, priority=210, round=4)
        metrics.log_scalar(
            "q_groups", self.state.effective_groups, weight=0, priority=211, round=1
        )
        if moved and self.objective != "erm" and _is_rank_zero():
            append_record(
                self.folder / GROUP_WEIGHTS_FILE,
                {
                    "update": self.update,
                    "q": self._by_language(self.state.q),
                    "group_loss_nats": self._by_language(self.state.last_loss),
                },
            )

    def _warn_of_losses_left_out(self, sums: np.ndarray) -> None:
        left_out = column(sums, "n_not_finite")
        if left_out.any() and not self._named_not_finite:
            self._named_not_finite = True
            names = [self.state.groups[g] for g in np.flatnonzero(left_out)]
            logger.warning(
                "%d utterances of this update (languages: %s) had a loss that is not finite or was "
                "zeroed by zero_infinity; such losses never reach q (this is said once)",
                int(left_out.sum()), ", ".join(names),
            )

    # --- validation ---

    def begin_validation(self, split: str) -> None:
        """Forget what an earlier split summed."""
        self._split = split
        self._valid_sums = np.zeros_like(self._valid_sums)

    def _log_derived(self) -> None:
        """Per cent, as stock ``uer`` and ``wer``; derived, so that each may choose checkpoints."""
        for key, rate in (
            ("cer", lambda: _ratio(self._total("char_errors"), self._total("characters"))),
            ("wer", lambda: _ratio(self._total("word_errors"), self._total("words"))),
            ("mean_cer", lambda: _over_languages(np.nanmean, self._cer())),
            ("worst_cer", lambda: _over_languages(np.nanmax, self._cer())),
        ):
            metrics.log_derived(key, _rounded_percent(rate))

    def end_validation(self, stats: dict[str, Any]) -> None:
        """Write the history line, the TensorBoard scalars and a readable line in the log."""
        if not self._valid_sums.any() or not _is_rank_zero():
            return
        record = self._record(stats)
        append_record(self.folder / HISTORY_FILE, record)
        self._log_to_tensorboard(record)
        worst = sorted(
            (
                language
                for language, row in record["languages"].items()
                if np.isfinite(row.get("cer", np.nan))
            ),
            key=lambda language: -record["languages"][language]["cer"],
        )
        logger.info(
            "%s: CER mean %.1f %%, worst %s",
            self._split, 100 * record["mean_cer"],
            ", ".join(
                f"{name_of(iso)} ({iso}) {100 * record['languages'][iso]['cer']:.1f} %"
                for iso in worst[:3]
            ),
        )

    def _record(self, stats: dict[str, Any]) -> dict[str, Any]:
        cer, loss = self._cer(), self._loss()
        wer = _ratio(self._column("word_errors"), self._column("words"))
        seen = self._column("n_utterances") + self._column("n_not_finite") > 0
        languages = {}
        for g, language in enumerate(self.state.groups):
            row = {"q": float(self.state.q[g]), "train_loss_nats": float(self.state.last_loss[g])}
            if seen[g]:
                row.update(
                    n_utterances=int(self._column("n_utterances")[g]),
                    loss_nats=float(loss[g]), cer=float(cer[g]), wer=float(wer[g]),
                )
            languages[language] = row
        return {
            "update": int(stats["num_updates"]),
            "epoch": self.epoch,
            "subset": self._split,
            "objective": self.objective,
            "loss_nats": float(_ratio(self._total("loss_nats"), self._total("n_utterances"))),
            "cer": float(_ratio(self._total("char_errors"), self._total("characters"))),
            "wer": float(_ratio(self._total("word_errors"), self._total("words"))),
            "mean_cer": float(_over_languages(np.nanmean, cer)),
            "worst_cer": float(_over_languages(np.nanmax, cer)),
            "worst_language": self.state.groups[int(np.nanargmax(cer))]
            if np.isfinite(cer).any()
            else None,
            "languages": languages,
        }

    def _log_to_tensorboard(self, record: dict[str, Any]) -> None:
        if not self.tensorboard_logdir:
            return
        scalars = {
            f"{name}/{language}": value
            for language, row in record["languages"].items()
            for name, value in row.items()
            if np.isfinite(value)
        }
        # fairseq's own writer, told apart from the bar: 143 languages would flood the log line
        bar = TensorboardProgressBarWrapper(_SilentBar([]), self.tensorboard_logdir)
        bar.log(scalars, tag=f"{self._split}_languages", step=record["update"])

    def _column(self, name: str) -> np.ndarray:
        return column(self._valid_sums, name)

    def _total(self, name: str) -> float:
        return self._column(name).sum()

    def _cer(self) -> np.ndarray:
        return _ratio(self._column("char_errors"), self._column("characters"))

    def _loss(self) -> np.ndarray:
        return _ratio(self._column("loss_nats"), self._column("n_utterances"))

    def _by_language(self, values: np.ndarray) -> dict[str, float]:
        return dict(zip(self.state.groups, values.tolist()))


class _SilentBar(BaseProgressBar):
    def __iter__(self):
        return iter(())

    def log(self, stats, tag=None, step=None):
        """Nothing: only the wrapper around this bar writes."""


def _ratio(errors, total):
    """Elementwise, NaN where there is nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.asarray(total) > 0, np.divide(errors, total), np.nan)


def _over_languages(function: Callable[[np.ndarray], float], rates: np.ndarray) -> float:
    return float(function(rates)) if np.isfinite(rates).any() else float("nan")


def _rounded_percent(rate: Callable[[], float]) -> Callable[[Any], float]:
    return lambda meters: round(100 * float(rate()), 3)


def _is_rank_zero() -> bool:
    return distributed_utils.get_global_rank() == 0
