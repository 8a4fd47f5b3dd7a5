"""``criterion.baseline``: a loss that each group has anyway, from a run folder or a table.

Losses do not have the same floor in every language: a script with much information in a character,
or noisy recordings, keep a high loss however long they are trained. The excess over a baseline is
what training can still change. Oren et al. 2019 (arXiv 1909.02060) and Zhou et al. 2021 (arXiv
2109.04020) subtract the loss of a model that was trained for it, as is done here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fairseq_dro.errors import UserError
from fairseq_dro.runs.history import HISTORY_FILE, read_records
from fairseq_dro.text_lines import decoded

LAST_SHARE = 0.25
"""The last quarter of a run's validations (one at least) is averaged: the loss between two moves of
q is that of few batches."""


def read_baseline(path: str, groups: Sequence[str], unit: str) -> np.ndarray:
    """[G] loss of each group, in ``unit``.

    Args:
        path: a run folder, whose history holds the group losses of training, or a table of two
            columns separated by a tab, ``group`` and the unit in its first line. Groups that are
            not asked for may stand in either.

    Raises:
        UserError: naming the file, the line and the group.
    """
    place = Path(path)
    if place.is_dir():
        found_unit, losses = _of_run(place)
        source = str(place / HISTORY_FILE)
    else:
        found_unit, losses = _of_table(place)
        source = path
    if found_unit != unit:
        raise UserError(
            f"criterion.baseline: the losses in {source} are in {found_unit}, and those of this "
            f"run in {unit}: train the baseline with the same criterion.group_loss and "
            "task.batch_seconds."
        )
    missing = [group for group in groups if not np.isfinite(losses.get(group, np.nan))]
    if missing:
        raise UserError(
            f"criterion.baseline: {source} has no loss of {', '.join(missing)}: every group of "
            "training needs one."
        )
    return np.array([losses[group] for group in groups])


def _of_run(folder: Path) -> tuple[str, dict[str, float]]:
    path = folder / HISTORY_FILE
    lines = read_records(path) if path.exists() else []
    if not lines or "loss_unit" not in lines[-1]:
        raise UserError(
            f"criterion.baseline: {path} holds no group losses of training: name the folder of a "
            "run that has validated, or a table."
        )
    last = lines[-max(1, int(len(lines) * LAST_SHARE)) :]
    losses = {
        group: float(
            np.mean([line["languages"][group]["train_loss_nats"] or np.nan for line in last])
        )
        for group in last[-1]["languages"]
        if all(group in line["languages"] for line in last)
    }
    return lines[-1]["loss_unit"], losses


def _of_table(path: Path) -> tuple[str, dict[str, float]]:
    try:
        lines = decoded(path.read_bytes(), path).splitlines()
    except FileNotFoundError:
        raise UserError(
            f"criterion.baseline={path} does not exist (looked in {Path.cwd()}): name a run "
            "folder, or a table of groups and their losses."
        ) from None
    head = lines[0].split("\t") if lines else []
    if len(head) != 2 or head[0] != "group":
        raise UserError(
            f"criterion.baseline: {path}:1 is not a head: expected `group`, a tab and the unit of "
            "the losses, such as `nats an utterance` (history.jsonl of a run has it as loss_unit)."
        )
    losses: dict[str, float] = {}
    for number, line in enumerate(lines[1:], start=2):
        group, _, value = line.partition("\t")
        try:
            losses[group] = float(value)
        except ValueError:
            raise UserError(
                f"criterion.baseline: {path}:{number} cannot be read: expected a group, a tab and "
                f"its loss, found {line[:80]!r}."
            ) from None
    return head[1], losses
