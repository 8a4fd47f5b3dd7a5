"""``checkpoint.finetune_from_model`` keeps the output row of each unit, wherever it stands.

fairseq loads the output layer by position (fairseq/trainer.py:570), whatever the dictionary that
the file was trained with: with the same units in another order each row writes another letter. That
dictionary is in the file (``task_state``, fairseq/tasks/audio_finetuning.py:110).
"""

from __future__ import annotations

import logging
from typing import Any

from fairseq_dro.checkpoint_reading import when_read
from fairseq_dro.errors import UserError
from fairseq_dro.models.checkpoint_checks import require_finite_weights
from fairseq_dro.models.output_layer import UnitRows, has_output_layer, take_rows

logger = logging.getLogger(__name__)

_MOST_NAMED = 5


def apply() -> None:
    """Of the checkpoint that a run starts from."""
    when_read(
        take_units,
        of=lambda trainer, path: path == trainer.cfg.checkpoint.finetune_from_model,
    )


def take_units(state: dict[str, Any], path: str, trainer: Any) -> None:
    """See ``require_finite_weights`` and `match_output_rows`."""
    require_finite_weights(state["model"], f"checkpoint.finetune_from_model={path}")
    match_output_rows(state, path, trainer)


def match_output_rows(state: dict[str, Any], path: str, trainer: Any) -> None:
    """Put the rows of a checkpoint's output layer into the order of the run's dictionary.

    Args:
        state: of the checkpoint; changed in place.

    Raises:
        UserError: the units are others, and ``task.output_rows_by_name`` is not set.
    """
    task = trainer.task
    saved = (state.get("task_state") or {}).get("target_dictionary")
    ours = getattr(task, "target_dictionary", None)
    if saved is None or ours is None or not has_output_layer(state["model"]):
        return
    units = UnitRows.between(saved.symbols, ours.symbols)
    if units.is_same_order:
        return
    dictionary = f"{task.cfg.data}/dict.{task.cfg.labels}.txt"
    if (units.added or units.gone) and not task.cfg.output_rows_by_name:
        raise UserError(
            f"checkpoint.finetune_from_model={path} was trained with other units than those of "
            f"{dictionary} ({_others(units)}): use its dictionary, or set "
            "task.output_rows_by_name=true to keep the output rows of the units it knows and "
            "start those of the new ones at random."
        )
    fresh = trainer.get_model().state_dict()
    state["model"] = take_rows(state["model"], fresh, units)
    ema = (state.get("extra_state") or {}).get("ema")
    if ema is not None:
        state["extra_state"]["ema"] = take_rows(ema, fresh, units)
    kept = len(units.rows) - len(units.added)
    logger.info(
        "checkpoint.finetune_from_model=%s: %d rows of its output layer were put into the order of "
        "%s%s", path, kept, dictionary, f"; {_others(units)}" if units.added or units.gone else "",
    )


def _others(units: UnitRows) -> str:
    words = (("new", units.added), ("left out", units.gone))
    return " and ".join(
        f"{len(names)} {word} ({_named(names)})" for word, names in words if names
    )


def _named(units: tuple[str, ...]) -> str:
    more = ", ..." if len(units) > _MOST_NAMED else ""
    return ", ".join(units[:_MOST_NAMED]) + more
