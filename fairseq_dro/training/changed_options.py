"""A resumed run says which options differ from those of its checkpoint.

The run folder is ``runs/RECIPE/OBJECTIVE`` unless another is named. So a second step size or seed,
typed without ``hydra.run.dir``, resumes the run of the first one, or finds it finished. Nothing is
refused: to resume with another option can be meant.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import OmegaConf

from fairseq_dro.checkpoint_reading import when_read
from fairseq_dro.training import start_block
from fairseq_dro.wording import listed

logger = logging.getLogger(__name__)

SECTIONS: dict[str, tuple[str, ...]] = {
    "criterion": (), "optimization": (), "optimizer": (), "lr_scheduler": (), "task": (),
    "model": (),
    "common": ("seed", "fp16", "bf16", "amp"),
    "dataset": ("train_subset", "valid_subset", "max_tokens", "batch_size"),
}  # fmt: skip
"""The options of each section that are compared; all where none is named."""
NOT_SAID = frozenset([
    "max_update", "max_epoch", "total_num_update", "stop_time_hours",  # how long it goes
    "data", "w2v_path", "whisper_path", "tokenizer_path", "features",  # places; they may move
    "history_dir", "tensorboard_logdir", "accept_changed_data",
])  # fmt: skip


def apply() -> None:
    """Of each checkpoint from which a trainer resumes."""
    when_read(say_changes, of=_is_of_the_run)


def say_changes(state: Mapping[str, Any], path: str, trainer: Any) -> None:
    """Log one line where an option changed since the checkpoint was written."""
    if not state.get("cfg"):
        return
    changed = list(changes(_plain(state["cfg"]), _plain(trainer.cfg)))
    if not changed:
        return
    history = state.get("optimizer_history") or [{}]
    text = (
        f"since update {history[-1].get('num_updates', 0):,}: {listed(changed)}; to train another "
        "setting from its beginning, name another hydra.run.dir"
    )
    logger.info("%s", start_block.line("changed", text))


def changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """``criterion.step_size=0.001 (was 0.0001)`` for each option that both have.

    fairseq copies some options into other sections (``optimizer.lr``): they are told once.
    """
    told = set()
    for section, options in SECTIONS.items():
        before, after = then.get(section) or {}, now.get(section) or {}
        for option in options or after:
            if option in NOT_SAID or option not in before or option not in after:
                continue
            pair = before[option], after[option]
            if pair[0] == pair[1] or any(isinstance(one, dict) for one in pair):
                continue
            if (option, str(pair)) not in told:
                told.add((option, str(pair)))
                yield f"{section}.{option}={_typed(pair[1])} (was {_typed(pair[0])})"


def _typed(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value).replace(" ", "")


def _plain(cfg: Any) -> dict[str, Any]:
    return OmegaConf.to_container(OmegaConf.create(cfg), resolve=True, enum_to_str=True)


def _is_of_the_run(trainer: Any, path: str) -> bool:
    """Whether a checkpoint lies where the run saves, and not where it only takes weights from."""
    folders = os.path.dirname(path), trainer.cfg.checkpoint.save_dir
    return len({os.path.realpath(one) for one in folders}) == 1
