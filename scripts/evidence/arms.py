"""Arms: ways of training that are compared, each with its tries, and the systems they are for.

ERM's second try draws languages in rounds, as group DRO and CTC-DRO do, so that q is all that
differs. Chi-square DRO is drawn by q, by a new q each 25 updates. In values `SETTING` stands for
the name of the setting, `HARDEST` for the place of its hardest language, and `THIRD` for a third of
its updates.
"""

from __future__ import annotations

from dataclasses import dataclass

ERM = ("erm", "erm_temperature")
"""The arms that the others are compared with: the better one of the two."""

Options = dict[str, str]

_CPU = {
    "common.cpu": "true", "common.fp16": "false", "common.tensorboard_logdir": "null",
    "dataset.num_workers": "0", "task.batch_seconds": "8",
    "optimization.update_freq": "[4]",  # four languages an update, so that clipping leaves q
}  # fmt: skip

_CHI_SQUARE = {
    "criterion.objective": "chi_square_dro", "task.group_sampling": "q",
    "criterion.update_when": "every_update", "task.epoch_updates": "25",
}  # fmt: skip


def _arms(tries: dict[str, tuple[Options, Options]]) -> dict[str, tuple[Options, ...]]:
    """Tries of each arm, with what all tries of the arm have."""
    rounds = {"task.group_sampling": "uniform"}  # where q weights losses, sampling does not
    shared: dict[str, Options] = {
        "erm": {"criterion.objective": "erm"},
        "erm_temperature": {"criterion.objective": "erm", "task.group_sampling": "temperature"},
        "group_dro": {"criterion.objective": "group_dro", **rounds},
        "ctc_dro": {"criterion.objective": "ctc_dro", "criterion.smoothing": "0.5", **rounds},
        "chi_square_dro": _CHI_SQUARE,
    }  # fmt: skip
    return {arm: tuple({**shared[arm], **one} for one in tries[arm]) for arm in shared}


def _one(name: str, *values: str) -> tuple[Options, ...]:
    return tuple({name: value} for value in values)


_TRIES = {
    "erm": _one("task.group_sampling", "proportional", "uniform"),
    "erm_temperature": _one("task.sampling_temperature", "5", "2"),
    "group_dro": _one("criterion.step_size", "0.0003", "0.0001"),
    "ctc_dro": _one("criterion.step_size", "0.001", "0.0003"),
    "chi_square_dro": _one("criterion.radius", "0.1", "0.5"),
}


@dataclass(frozen=True)
class System:
    """A recipe, the options of every run with it, and the tries of each arm, counted from 1."""

    recipe: str
    text_profile: str
    from_features: bool
    common: Options
    arms: dict[str, tuple[Options, ...]]


_STEPS: dict[str, Options] = {
    "group_dro": {"criterion.step_size": "0.0001"},
    "ctc_dro": {"criterion.step_size": "0.001", "criterion.smoothing": "0.5"},
}
EXPLORED: dict[str, tuple[Options, ...]] = {
    "group_dro_by_character": tuple(
        {"criterion.objective": "group_dro", **_STEPS["group_dro"],
         "criterion.group_loss": "per_character", "task.group_sampling": way}
        for way in ("uniform", "q")
    ),
    "chi_square_dro_later": tuple(
        {**_CHI_SQUARE, "criterion.radius": radius, "criterion.dro_start_update": "THIRD"}
        for radius in ("0.1", "0.5")
    ),
    "chi_square_dro_wider": ({**_CHI_SQUARE, "criterion.radius": "1"},),
    **{
        f"{objective}_{what}": (
            {"criterion.objective": objective, **_STEPS[objective],
             "task.group_sampling": "uniform", **options},
        )
        for objective, what, options in (
            ("group_dro", "by_character_unclipped",
             {"criterion.group_loss": "per_character", "optimization.clip_norm": "0"}),
            ("ctc_dro", "unclipped", {"optimization.clip_norm": "0"}),
            ("group_dro", "each_update", {"criterion.update_when": "every_update"}),
            ("ctc_dro", "each_update", {"criterion.update_when": "every_update"}),
        )
    },
    "fixed_share": (
        {"common.user_dir": "scripts/evidence/fixed_share", "criterion.objective": "fixed_share",
         "criterion.rule_options": "{place: HARDEST, share: 0.61}", "task.group_sampling": "q"},
    ),
    "erm_by_character": (
        {"criterion.objective": "erm", "criterion.group_loss": "per_character",
         "task.group_sampling": "temperature", "task.sampling_temperature": "2"},
    ),
    "group_dro_excess": tuple(
        {"criterion.objective": "group_dro", **_STEPS["group_dro"],
         "criterion.group_loss": "per_character", "task.group_sampling": "q",
         "criterion.baseline": "docs/evidence/SETTING/erm_by_character_1/seed_1", **start}
        for start in ({}, {"criterion.dro_start_update": "THIRD"})
    ),
}  # fmt: skip
"""Arms that were added after the others had been seen, to find out what it is that helps: the
unit of the loss, sampling by q, or the rule. `by_character` has two tries: q as weights of the
loss, and q as sampling shares. `later` leaves q alone for a third of a run. `wider` lets one
language of six have 0.7 of the updates. `unclipped` are weights of the loss without clipping of
the gradient; `each_update` moves q 449 times, where the papers' way moves it 192 times.
`fixed_share` draws the hardest language as often as `wider` did Bengali in the mean of its runs,
and asks for no loss. `excess` is `by_character` less the losses of ERM, which are recorded by the
character for it."""

WHISPER = System(
    "whisper", "whisper", False,
    {**_CPU, "dataset.max_tokens": "480000", "optimization.lr": "[0.000025]",
     "lr_scheduler.warmup_updates": "18"},
    {**_arms(_TRIES), **EXPLORED},
)  # fmt: skip
_FROZEN = {**_CPU, "task.normalize": "false"}
LINEAR = System("frozen_linear", "lower", True, _FROZEN, _arms(_TRIES))
TRANSFORMER = System(
    "frozen_transformer", "lower", True, _FROZEN, {**_arms(_TRIES), **EXPLORED}
)
