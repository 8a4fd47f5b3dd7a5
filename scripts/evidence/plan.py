"""What is compared: settings (languages and audio), arms (ways of training), tries and seeds.

A run is a setting, an arm, a try and a seed. All runs of a setting have the same number of updates
of the same length, and the checkpoint of the last update is decoded: nothing is chosen on test
speech. An arm's try is chosen by the mean CER of dev speech at seed 1, and the learning rate is the
same for all (`arms`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from arms import LINEAR, TRANSFORMER, WHISPER, Options, System

RECORDS = Path("docs/evidence")
"""What is committed of each run: history, q, records of the decoded test split."""

FIRST = ("cmn", "gla", "ell", "deu", "nld", "fra")
SECOND = ("ben", "arb", "pol", "spa", "rus", "ita")
"""Two sets of six, of languages with 60 s of test speech and 20 test utterances or more (so not
`APART`), the hardest first. By the loss a character of the published whisper-base on dev speech,
padded to 30 s, they are cmn 6.12, ben 4.95, gla 3.27, arb 1.39, ell 0.89, pol 0.85, eng 0.54,
ita 0.33, fra 0.32, rus 0.28, nld 0.24, spa 0.23, deu 0.20 nats. The first set has the first, third
and fifth from either end, the second set the second, fourth and sixth."""

APART = ("blk", "chr", "isl", "tok")
ALL = (*FIRST, *SECOND, "eng", *APART)

OTHER_VOICES = ("arb", "isl")
"""Languages whose test speech is of voices that are not in training; of the others training and
test speech are of one voice (of tok of two)."""

DEV_SECONDS = {
    "arb": 86.0, "ben": 74.7, "blk": 14.7, "chr": 3.7, "cmn": 62.3, "deu": 92.1, "ell": 82.8,
    "eng": 107.2, "fra": 70.4, "gla": 64.2, "isl": 115.6, "ita": 71.0, "nld": 76.1, "pol": 53.4,
    "rus": 74.6, "spa": 72.6, "tok": 25.3,
}  # fmt: skip
"""Audio of the corpus's dev split, by language."""

BASE = ("erm", "erm_temperature", "group_dro", "ctc_dro", "chi_square_dro")


@dataclass(frozen=True)
class Setting:
    """What all arms are trained on.

    Attributes:
        updates: of each run, of 32 s of audio.
        validate_every: updates between two validations.
        tries: what is run: ARM is all tries of an arm, ARM_2 its second.
        seeds: of the try that is compared, by arm; 1 of all others.
        scarce: languages of which a tenth of the training audio is kept.
        apart: languages with too little test speech to count in numbers over languages.
        tokens: ``task.new_language_tokens``, of languages without a token of Whisper's.
    """

    system: System
    languages: tuple[str, ...]
    updates: int
    validate_every: int
    tries: tuple[str, ...]
    seeds: Mapping[str, int]
    scarce: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    tokens: str | None = None

    @property
    def counted(self) -> list[str]:
        """The languages that numbers over languages are made of."""
        return [code for code in self.languages if code not in self.apart]

    @property
    def arms(self) -> dict[str, dict[int, Options]]:
        """Tries by arm and number."""
        named = {
            arm: {n: one for n, one in enumerate(tries, 1) if self._runs(arm, n)}
            for arm, tries in self.system.arms.items()
        }
        return {arm: tries for arm, tries in named.items() if tries}

    def _runs(self, arm: str, attempt: int) -> bool:
        return arm in self.tries or f"{arm}_{attempt}" in self.tries


SETTINGS = {
    "linear_first_scarce": Setting(
        LINEAR, FIRST, 450, 150, BASE, dict.fromkeys(BASE, 2), scarce=FIRST[:3]
    ),
    "transformer_second": Setting(
        TRANSFORMER, SECOND, 450, 75,
        (*BASE, "group_dro_by_character", "chi_square_dro_later",
         "group_dro_by_character_unclipped", "ctc_dro_unclipped",
         "group_dro_each_update", "ctc_dro_each_update"),
        {"erm": 5, "erm_temperature": 5, "group_dro": 2, "ctc_dro": 3, "chi_square_dro": 2,
         "group_dro_by_character": 5, "chi_square_dro_later": 5},
    ),
    # group_dro_by_character_2, found on the second set, against ERM's better arm, five seeds:
    # written down before any run of this setting
    "transformer_first": Setting(
        TRANSFORMER, FIRST, 450, 75,
        (*BASE, "group_dro_by_character_2", "chi_square_dro_later", "erm_by_character",
         "group_dro_excess"),
        {"erm": 2, "erm_temperature": 5, "group_dro": 2, "ctc_dro": 5, "chi_square_dro": 2,
         "group_dro_by_character": 5, "chi_square_dro_later": 2, "group_dro_excess": 2},
    ),
    # the tries that both sets of six chose, and `later`, which was better than `chi_square_dro` in
    # both, with the smaller radius; as many updates a language as in the sets of six
    "transformer_all": Setting(
        TRANSFORMER, ALL, 1275, 255,
        ("erm_1", "erm_temperature_2", "group_dro_2", "ctc_dro_1", "chi_square_dro_later_1"),
        {"erm": 2, "erm_temperature": 5, "group_dro": 2, "ctc_dro": 5, "chi_square_dro_later": 5},
        apart=APART,
    ),
    # one try each, as a run takes half an hour; radius 1 (`wider`) after 0.5 had been seen
    "whisper_second": Setting(
        WHISPER, SECOND, 216, 72,
        ("erm_temperature_1", "ctc_dro_1", "chi_square_dro_2", "group_dro_by_character_2",
         "chi_square_dro_wider", "fixed_share"),
        {"erm_temperature": 4, "chi_square_dro_wider": 4, "ctc_dro": 2,
         "chi_square_dro": 2, "group_dro_by_character": 2},
    ),
    # chi_square_dro_wider, found on the second set, against erm_temperature_1, two seeds or more:
    # written down before any run of this setting
    "whisper_first": Setting(
        WHISPER, FIRST, 216, 72, ("erm_temperature_1", "chi_square_dro_wider"),
        {"erm_temperature": 2, "chi_square_dro_wider": 2}, tokens="gla:cy",
    ),
}  # fmt: skip


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

    @property
    def options(self) -> Options:
        """hydra options of ``fairseq-dro train``, without data, weights and run folder."""
        setting = SETTINGS[self.setting]
        own = {
            "common.seed": str(self.seed),
            "optimization.max_update": str(setting.updates),
            "checkpoint.save_interval_updates": str(setting.validate_every),
        }
        if setting.tokens:
            own["task.new_language_tokens"] = setting.tokens
        hardest = sorted(setting.languages).index(setting.languages[0])  # a set names it first
        meant = {
            "SETTING": self.setting, "HARDEST": str(hardest), "THIRD": str(setting.updates // 3)
        }  # fmt: skip
        tried = dict(setting.arms[self.arm][self.attempt])
        for word, value in meant.items():
            tried = {name: text.replace(word, value) for name, text in tried.items()}
        return {**setting.system.common, **own, **tried}


def first_tries(setting: str) -> Iterator[Run]:
    """Every try of every arm at seed 1, every arm once before the others."""
    arms = SETTINGS[setting].arms
    for place in range(max(map(len, arms.values()))):
        for arm, tries in arms.items():
            for attempt in list(tries)[place : place + 1]:
                yield Run(setting, arm, attempt, 1)


def further_seeds(setting: str, chosen: Mapping[str, int]) -> Iterator[Run]:
    """The chosen try of each arm at its other seeds."""
    seeds = SETTINGS[setting].seeds
    for seed in range(2, max(seeds.values()) + 1):
        for arm, attempt in chosen.items():
            if seed <= seeds.get(arm, 1):
                yield Run(setting, arm, attempt, seed)
