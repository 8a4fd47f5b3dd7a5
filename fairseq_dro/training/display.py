"""Puts start block and progress into fairseq's training: what rank 0 shows of a run."""

from __future__ import annotations

import functools
import math
import sys
from pathlib import Path
from typing import Any

from fairseq.distributed import utils as distributed_utils
from fairseq.logging import progress_bar
from fairseq.logging.progress_bar import BaseProgressBar

from fairseq_dro.runs.durations import in_words
from fairseq_dro.runs.progress import read_progress
from fairseq_dro.training import start_block
from fairseq_dro.training.run_progress import RunProgress, TrainingBar, ValidationBar
from fairseq_dro.training.terminal import shows_bar, shows_lines_for_people

_at_work: Display | None = None


class Display:
    """Of the run at work in this process.

    Args:
        name: of a folder, for the user; see ``one_writer.as_typed``.
    """

    def __init__(self, cfg: Any, trainer: Any, task: Any, epoch_itr: Any, name: Any) -> None:
        self.cfg, self.trainer, self.task = cfg, trainer, task
        self.folder = Path(task.cfg.history_dir).resolve()
        self.name = name(self.folder)
        self.people = shows_lines_for_people(cfg.common)
        of = cfg.optimization.max_update or None
        before = read_progress(self.folder)
        done = trainer.get_num_updates()
        repeated = max(0, before.update - done) if before is not None and done else 0
        if self.people:
            block = start_block.of_run(
                cfg, task, trainer, epoch_itr, data=name(task.cfg.data), run=self.name,
                repeated=repeated,
            )
            sys.stdout.write("\n".join(block) + "\n")
            sys.stdout.flush()
        lines = self.people and cfg.common.log_format != "none"
        self.progress = RunProgress(
            self.folder, trainer, getattr(task, "group_state", None), of,
            bar=self.people and shows_bar(cfg.common), lines=lines,
        )

    def bar(self, inner: BaseProgressBar, prefix: str | None) -> BaseProgressBar:
        """The run's bar around one that fairseq made for an epoch or a validation."""
        if prefix is None:
            return TrainingBar(inner, self.progress)
        split = prefix.removeprefix("valid on '").removesuffix("' subset")
        first = self.cfg.dataset.valid_subset.split(",")[0]
        return ValidationBar(inner, self.progress, split, self.task, first=split == first)

    def end(self, finished: bool) -> None:
        """Take the bar away; say what to do next."""
        self.progress.close()
        if finished and self.people:
            left, done = self.progress.validation, self.trainer.get_num_updates()
            took = in_words(self.trainer.cumulative_training_time())
            sys.stdout.write(
                start_block.line("finished", " | ".join(filter(None, (
                    f"update {done:,} after {took}", left, f"fairseq-dro report {self.name}"
                )))) + "\n"
            )  # fmt: skip
            sys.stdout.flush()


def attach(command: Any, name: Any) -> None:
    """Wrap ``fairseq_cli.train.train`` and the function that makes its bars, once."""
    if hasattr(command.train, "shows_the_run"):
        return
    command.train = _showing_the_run(command.train, name)
    progress_bar.progress_bar = _the_runs_own_bar(progress_bar.progress_bar)


def _showing_the_run(train: Any, name: Any) -> Any:
    @functools.wraps(train)
    def train_and_show(cfg: Any, trainer: Any, task: Any, epoch_itr: Any) -> Any:
        global _at_work
        of = cfg.optimization.max_update or math.inf
        if distributed_utils.get_global_rank() != 0 or trainer.get_num_updates() >= of:
            return train(cfg, trainer, task, epoch_itr)
        if _at_work is None or _at_work.trainer is not trainer:
            _at_work = Display(cfg, trainer, task, epoch_itr, name)
        try:
            result = train(cfg, trainer, task, epoch_itr)
        except BaseException:
            _at_work.end(finished=False)
            _at_work = None
            raise
        max_epoch = cfg.optimization.max_epoch or math.inf
        if result[1] or epoch_itr.next_epoch_idx > max_epoch:
            _at_work.end(finished=True)
            _at_work = None
        return result

    train_and_show.shows_the_run = True
    return train_and_show


def _the_runs_own_bar(make: Any) -> Any:
    @functools.wraps(make)
    def progress_bar_of_the_run(iterator: Any, *args: Any, **options: Any) -> Any:
        if _at_work is None or args:
            return make(iterator, *args, **options)
        if _at_work.people:  # for the log; the terminal has the run's own
            options["log_format"] = "simple"
        bar = make(iterator, **options)
        if not hasattr(bar, "wrapped_bar"):
            return _at_work.bar(bar, options.get("prefix"))
        outer = bar
        while hasattr(outer.wrapped_bar, "wrapped_bar"):
            outer = outer.wrapped_bar
        outer.wrapped_bar = _at_work.bar(outer.wrapped_bar, options.get("prefix"))
        return bar

    return progress_bar_of_the_run
