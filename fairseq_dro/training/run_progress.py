"""How far a run is: one bar for the whole run, or a line per log interval, and ``progress.json``.

    update 164/300 | loss 84.8 | q max ell 0.19 | 1.7 s/update | 3 min 50 s left | ...

The number of updates is the trainer's own; loss is fairseq's, in bits, the mean since it was last
logged (``common.log_interval``). Its sums are on the host (``GroupedTask.reduce_metrics``), so
nothing here waits for the device. The time left counts validations and saving, the seconds of an
update do not.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fairseq.logging import metrics
from fairseq.logging.progress_bar import BaseProgressBar
from tqdm import tqdm

from fairseq_dro.runs.durations import in_words
from fairseq_dro.runs.progress import Progress, write_progress
from fairseq_dro.training.terminal import TerminalHandler

SECONDS_BETWEEN_FILES = 2.0
SECONDS_BETWEEN_SHOWS = 0.25
SECONDS_BETWEEN_LINES = 30.0  # of a validation, where no bar can be shown
NEWEST_SHARE = 0.1  # of the newest update in the mean duration of an update


class RunProgress:
    """Counts updates and says so.

    Args:
        folder: of ``progress.json``.
        trainer: fairseq's.
        group_state: with ``groups`` and ``q``; None for a criterion that keeps none.
        of: number of updates of the whole run; None where it has no bound.
        bar: show one.
        lines: print lines where there is no bar.
    """

    def __init__(
        self,
        folder: Path,
        trainer: Any,
        group_state: Any,
        of: int | None,
        *,
        bar: bool,
        lines: bool,
    ) -> None:
        self.folder = folder
        self.trainer = trainer
        self.group_state = group_state
        self.of = of
        self.validation = ""
        self._loss: float | None = None
        self._first = self._update = trainer.get_num_updates()
        self._begun = self._since = time.monotonic()
        self._paused = 0.0  # seconds of validation since the last update
        self._seconds: float | None = None
        self._validating: tuple[str, int, int] | None = None
        self._written = self._shown = self._said = 0.0
        self._lines = lines and not bar
        self._bar = tqdm(bar_format="{desc}", file=sys.stderr, leave=False) if bar else None

    def step(self) -> None:
        """Look whether an update was made."""
        self._validating = None
        self._count()
        self._show(time.monotonic())

    def logged(self, stats: Mapping[str, Any]) -> None:
        """Take the loss from what fairseq logs; off a terminal this is when a line is printed."""
        self._loss = _number(stats.get("loss"))
        self.step()
        if self._lines:
            sys.stdout.write(f"{self.text()}\n")
            sys.stdout.flush()

    def validating(self, split: str, done: int, of: int) -> None:
        """Say how far the validation at work is."""
        self._count()
        now = time.monotonic()
        if self._validating is None or self._validating[0] != split:
            self._validation_begun = self._said = now
        self._validating = (split, done, of)
        self._write(now)
        self._show(now)
        if self._lines and now - self._said >= SECONDS_BETWEEN_LINES:
            self._said = now
            at = f"update {self._update:,}"
            sys.stdout.write(f"{at}: validating {split}, {done} of {of} batches\n")
            sys.stdout.flush()

    def validated(self, split: str, stats: Mapping[str, Any], worst: str | None) -> None:
        """Keep what a validation of the first split came to; rates are in per cent."""
        if self._validating is not None:
            self._paused += time.monotonic() - self._validation_begun
            self._validating = None
        mean, highest = _number(stats.get("mean_cer")), _number(stats.get("worst_cer"))
        if mean is not None and highest is not None:
            of = f" (worst {worst} {highest:.3g})" if worst else f" (worst {highest:.3g})"
            self.validation = f"{split} CER {mean:.3g}{of}"
        elif _number(stats.get("uer")) is not None:  # fairseq's own ctc
            self.validation = f"{split} UER {_number(stats['uer']):.3g}"

    def text(self, columns: int | None = None) -> str:
        """The line; with ``columns`` without the parts that matter least, so that it fits."""
        parts = self._parts()
        while columns is not None and len(parts) > 1 and len(_joined(parts)) >= columns:
            least = max(parts, key=lambda part: part[0])
            parts.remove(least)
        return _joined(parts)

    def close(self) -> None:
        """Write the last state and take the bar away."""
        self.step()
        self._written = 0.0
        self._write(time.monotonic())
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    @property
    def seconds_left(self) -> float | None:
        """At the pace of this start, validations included."""
        made = self._update - self._first
        if self.of is None or made == 0:
            return None
        return max(0, self.of - self._update) * (time.monotonic() - self._begun) / made

    def _count(self) -> None:
        update, now = self.trainer.get_num_updates(), time.monotonic()
        if update == self._update:
            return
        seconds = (now - self._since - self._paused) / (update - self._update)
        share = NEWEST_SHARE if self._seconds is not None else 1.0
        self._seconds = share * seconds + (1 - share) * (self._seconds or 0.0)
        self._update, self._since, self._paused = update, now, 0.0
        TerminalHandler.starting = False
        self._write(now)

    def _parts(self) -> list[tuple[int, str]]:
        """(rank, text); the highest rank is the first to be left out."""
        of = "" if self.of is None else f"/{self.of:,}"
        parts = [(0, f"update {self._update:,}{of}")]
        if self._validating is not None:
            split, done, n_batches = self._validating
            parts.append((1, f"validating {split} {done}/{n_batches}"))
        if self._loss is not None:
            parts.append((3, f"loss {self._loss:.3g}"))
        q, group = self._largest_q()
        if q is not None:
            parts.append((4, f"q max {group} {q:.2f}"))
        if self._seconds is not None:
            parts.append((5, f"{self._seconds:.2g} s/update"))
        left = self.seconds_left
        if left is not None:
            parts.append((2, f"{in_words(left)} left"))
        if self.validation:
            parts.append((1, self.validation))
        return parts

    def _take_loss(self) -> None:
        try:
            loss = metrics.get_smoothed_value("train_inner", "loss")
        except KeyError:  # nothing was summed since it was last logged
            return
        self._loss = _number(loss) if _number(loss) is not None else self._loss

    def _largest_q(self) -> tuple[float | None, str | None]:
        state = self.group_state
        if state is None or len(state.groups) < 2:
            return None, None
        largest = int(state.q.argmax())
        return float(state.q[largest]), str(state.groups[largest])

    def _write(self, now: float) -> None:
        if now - self._written < SECONDS_BETWEEN_FILES:
            return
        self._written = now
        self._take_loss()
        q, group = self._largest_q()
        write_progress(
            self.folder,
            Progress(
                self._update, self.of, self._loss, q, group, self._seconds, self.seconds_left,
                None if self._validating is None else self._validating[0], time.time(),
            ),
        )

    def _show(self, now: float) -> None:
        if self._bar is None or now - self._shown < SECONDS_BETWEEN_SHOWS:
            return
        self._shown = now
        self._take_loss()
        try:
            columns = os.get_terminal_size(sys.stderr.fileno()).columns
        except (OSError, ValueError):
            columns = 80
        self._bar.set_description_str(self.text(columns))


class TrainingBar(BaseProgressBar):
    """fairseq's bar of one epoch, which writes the log, and the run's progress beside it."""

    def __init__(self, inner: BaseProgressBar, progress: RunProgress) -> None:
        self.inner = inner
        self.progress = progress

    def __len__(self) -> int:
        return len(self.inner)

    def __iter__(self) -> Iterator[Any]:
        for batches in self.inner:
            yield batches
            self.progress.step()

    def log(self, stats: Any, tag: str | None = None, step: int | None = None) -> None:
        """Every ``common.log_interval`` updates (fairseq_cli/train.py:312)."""
        self.inner.log(stats, tag=tag, step=step)
        self.progress.logged(stats)

    def print(self, stats: Any, tag: str | None = None, step: int | None = None) -> None:
        """At the end of an epoch."""
        self.inner.print(stats, tag=tag, step=step)


class ValidationBar(TrainingBar):
    """Likewise for one validation of a split."""

    def __init__(
        self, inner: BaseProgressBar, progress: RunProgress, split: str, task: Any, *, first: bool
    ) -> None:
        super().__init__(inner, progress)
        self.split = split
        self.task = task
        self.first = first

    def __iter__(self) -> Iterator[Any]:
        of = len(self.inner)
        for done, batch in enumerate(self.inner):
            self.progress.validating(self.split, done, of)
            yield batch

    def print(self, stats: Any, tag: str | None = None, step: int | None = None) -> None:
        """After the last batch (fairseq_cli/train.py:515)."""
        self.inner.print(stats, tag=tag, step=step)
        if self.first:
            log = getattr(getattr(self.task, "update_log", None), "validation", None)
            record = getattr(log, "last", None) or {}
            self.progress.validated(self.split, stats, record.get("worst_language"))


def _joined(parts: list[tuple[int, str]]) -> str:
    return " | ".join(text for _, text in parts)


def _number(value: Any) -> float | None:
    try:
        return float(getattr(value, "avg", value))
    except (TypeError, ValueError):
        return None
