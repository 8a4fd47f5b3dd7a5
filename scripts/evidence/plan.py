"""What is compared: settings (languages and audio), arms (ways of training), tries and seeds.

A run is a setting, an arm, a try and a seed. All runs of a setting have the same number of updates
of the same length, and the checkpoint of the last update is decoded: nothing is chosen on test
speech. An arm's try is chosen by the mean CER of dev speech at seed 1; every arm has two tries.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

RECORDS = Path("docs/evidence")
"""What is committed of each run: history, q, records of the decoded test split."""

APART = ("blk", "chr", "isl", "tok")
"""Languages with under 60 s of test speech or 20 test utterances, which do not decide "worst"."""


@dataclass(frozen=True)
class Setting:
    """What all arms are trained on.

    Attributes:
        scarce: languages of which a tenth of the training audio is kept.
        tokens: ``task.new_language_tokens``, of languages without a token of Whisper's.
        updates: of each run.
        validate_every: updates between two validations.
    """

    languages: tuple[str, ...]
    updates: int
    scarce: tuple[str, ...] = ()
    tokens: str | None = None
    validate_every: int = 60


FIRST, SECOND = ("cmn", "gla", "ell", "deu", "nld", "fra"), ("ben", "arb", "pol", "spa", "rus", "ita")
"""Two sets of six. Languages that count, by the loss a character of the published whisper-base on
dev speech, padded to 30 s: cmn 6.12, ben 4.95, gla 3.27, arb 1.39, ell 0.89, pol 0.85, eng 0.54,
ita 0.33, fra 0.32, rus 0.28, nld 0.24, spa 0.23, deu 0.20 nats. The first set has the first, third
and fifth from either end, the second set the second, fourth and sixth."""

SETTINGS = {
    "whisper_scarce": Setting(FIRST, updates=180, scarce=FIRST[:3], tokens="gla:cy"),
}

COMMON = {
    "common.cpu": "true", "common.fp16": "false", "common.tensorboard_logdir": "null",
    "task.batch_seconds": "8", "optimization.update_freq": "[4]",  # four languages an update
    "dataset.max_tokens": "480000", "dataset.num_workers": "0",
    "optimization.lr": "[0.000025]", "lr_scheduler.warmup_updates": "18",
}  # fmt: skip
"""Options of every run, beside those of the recipe ``whisper``."""

_ROUNDS = {"task.group_sampling": "uniform"}  # q weights languages, so sampling does not
_CTC_DRO = {**_ROUNDS, "criterion.objective": "ctc_dro", "criterion.smoothing": "0.5"}
_GROUP_DRO = {**_ROUNDS, "criterion.objective": "group_dro"}
_TEMPERATURE = {"criterion.objective": "erm", "task.group_sampling": "temperature"}
_CHI_SQUARE = {
    "criterion.objective": "chi_square_dro", "task.group_sampling": "q",
    "criterion.update_when": "every_update",
}  # fmt: skip

ARMS: dict[str, tuple[dict[str, str], ...]] = {
    "erm": (
        {"criterion.objective": "erm"},
        {"criterion.objective": "erm", "optimization.lr": "[0.00005]"},
    ),
    "erm_temperature": (
        {**_TEMPERATURE, "task.sampling_temperature": "5"},
        {**_TEMPERATURE, "task.sampling_temperature": "2"},
    ),
    "ctc_dro": (
        {**_CTC_DRO, "criterion.step_size": "0.001"},
        {**_CTC_DRO, "criterion.step_size": "0.0003"},
    ),
    "group_dro": (
        {**_GROUP_DRO, "criterion.step_size": "0.0001"},
        {**_GROUP_DRO, "criterion.step_size": "0.00003"},
    ),
    "chi_square_dro": (
        {**_CHI_SQUARE, "criterion.radius": "0.1"},
        {**_CHI_SQUARE, "criterion.radius": "0.5"},
    ),
}
"""Arm: its tries, the options that differ from `COMMON`."""


@dataclass(frozen=True)
class Run:
    """One training run and the decoding of its last checkpoint."""

    setting: str
    arm: str
    attempt: int
    seed: int

    @property
    def name(self) -> str:
        """Path under `RECORDS` and under OUT/runs."""
        return f"{self.setting}/{self.arm}_{self.attempt}/seed_{self.seed}"

    def options(self) -> dict[str, str]:
        """hydra options of ``fairseq-dro train whisper``, without data, weights and run folder."""
        setting = SETTINGS[self.setting]
        updates = {
            "common.seed": str(self.seed),
            "optimization.max_update": str(setting.updates),
            "checkpoint.save_interval_updates": str(setting.validate_every),
        }
        tokens = {"task.new_language_tokens": setting.tokens} if setting.tokens else {}
        return {**COMMON, **updates, **tokens, **ARMS[self.arm][self.attempt - 1]}


def runs(setting: str) -> Iterator[Run]:
    """In the order in which they are made: every arm once before a second try or seed."""
    for attempt, seed in ((1, 1), (2, 1), (1, 2)):
        for arm in ARMS:
            yield Run(setting, arm, attempt, seed)
