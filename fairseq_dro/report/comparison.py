"""Arms on the same test utterances, and what of their differences is shown: the numbers.

``report --baseline`` and ``compare`` show the same ones; ``Comparison.as_record`` is the JSON.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np

from fairseq_dro.errors import UserError
from fairseq_dro.group_by import GroupBy
from fairseq_dro.report.arms import Arm, group_by_of
from fairseq_dro.report.paired_records import PairedTest, pair
from fairseq_dro.report.training_facts import TrainingFacts
from fairseq_dro.scoring import disparity, levelling, paired
from fairseq_dro.scoring.bootstrap import CONFIDENCE, N_MOMENTS
from fairseq_dro.wording import listed

FORMAT = 1
MEASURES = {**disparity.MEASURES, "best": levelling.best}


class Verdict(str, Enum):
    """On one group, after Holm's correction over the groups; the value is for files."""

    BETTER = "better"
    SAME = "same"
    """No difference is shown; there may be one that the test split is too small to show."""
    WORSE = "worse"
    NONE = "no verdict"
    """One block: how much it varies is not known."""


def verdict_of(difference: float, holm_p: float) -> Verdict:
    """Args: other - baseline, of an error rate; p after Holm's correction, NaN where unknown."""
    if np.isnan(holm_p):
        return Verdict.NONE
    if holm_p > 1 - CONFIDENCE:
        return Verdict.SAME
    return Verdict.BETTER if difference < 0 else Verdict.WORSE


@dataclass(frozen=True)
class ArmDifference:
    """One arm against the baseline; differences are other - baseline, of CER as a fraction.

    Attributes:
        codes: [G] names of the groups, as in the arrays of ``by_group``.
        holm_p: [G].
        measures: by name, as in ``MEASURES``, and ``micro``.
    """

    name: str
    codes: Sequence[str]
    by_group: paired.Difference
    holm_p: np.ndarray
    measures: Mapping[str, paired.Difference]

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """By group."""
        judged = map(verdict_of, self.by_group.estimate, self.holm_p)
        return dict(zip(self.codes, judged))

    def count(self) -> Counter[Verdict]:
        """Groups by verdict."""
        return Counter(self.verdicts.values())

    @property
    def doubtful(self) -> list[str]:
        """Measures whose correction for chance is larger than their standard error."""
        return [
            name
            for name, value in self.measures.items()
            if abs(value.correction) > value.standard_error
        ]

    @property
    def gap(self) -> levelling.GapChange:
        """Whether and from where the gap closed."""
        return levelling.gap_change(
            self.measures["gap"], self.measures["worst"], self.measures["best"]
        )


@dataclass(frozen=True)
class Comparison:
    """Arms on the same test utterances; the first is the baseline.

    Attributes:
        by: what a group is.
        codes: groups by falling CER of the baseline.
        apart: groups of which nothing is known here but ``cer`` and ``wer``, in the same order.
        cer, wer: by arm and group, mean over the arm's runs, fractions.
        by_run: by arm, ``MEASURES`` and ``micro`` of CER of each of its runs.
        worst_wer: by arm, mean over the arm's runs of the highest WER.
        worst_of_runs: by arm, the group of the highest CER in each of its runs.
        differences: of all arms but the first.
        facts: of training, where they are known.
    """

    arms: Sequence[Arm]
    by: GroupBy
    codes: Sequence[str]
    apart: Sequence[str]
    cer: Mapping[str, Mapping[str, float]]
    wer: Mapping[str, Mapping[str, float]]
    by_run: Mapping[str, Mapping[str, np.ndarray]]
    worst_wer: Mapping[str, float]
    worst_of_runs: Mapping[str, Sequence[str]]
    test: PairedTest
    differences: Sequence[ArmDifference]
    facts: TrainingFacts | None = None

    @cached_property
    def measures(self) -> dict[str, dict[str, float]]:
        """By arm and name (``MEASURES``, ``micro``), mean over the arm's runs of CER."""
        return {
            arm: {name: float(values.mean()) for name, values in by_run.items()}
            for arm, by_run in self.by_run.items()
        }

    @property
    def baseline(self) -> str:
        """Name of the first arm."""
        return self.arms[0].name

    @property
    def constant_cer(self) -> Mapping[str, float]:
        """CER of the constant guess by group; empty where it is not known."""
        return self.facts.constant_cer if self.facts is not None else {}

    def worst_groups(self, arm: str) -> list[str]:
        """The groups with the highest CER in an arm's runs, the most frequent first."""
        return [name for name, _ in Counter(self.worst_of_runs[arm]).most_common()]

    def no_better_than_a_guess(self, arm: str) -> list[str]:
        """Groups in which an arm's CER is no lower than that of the constant guess."""
        guess = self.constant_cer
        return [code for code in self.codes if self.cer[arm][code] >= guess.get(code, math.inf)]

    def mean(self, rates: Mapping[str, float]) -> float:
        """Unweighted mean over the groups that have a rate."""
        known = [rates[code] for code in self.codes if not math.isnan(rates.get(code, math.nan))]
        return math.fsum(known) / len(known) if known else math.nan

    def final_q(self, arm: Arm) -> dict[str, float]:
        """Weights at the last validation by group, mean over runs; empty without a history."""
        by_run = [run.final_q for run in arm.runs if run.final_q]
        shared = set(by_run[0]).intersection(*by_run) if by_run else set()
        return {code: math.fsum(q[code] for q in by_run) / len(by_run) for code in sorted(shared)}

    def as_record(self) -> dict[str, Any]:
        """The content of ``comparison.json``; a number that is not known is null."""
        return {
            "format": FORMAT,
            "confidence": CONFIDENCE,
            "rate": "cer",
            "group_by": str(self.by),
            "apart": list(self.apart),
            "n_utterances": sum(self.test.n_utterances.values()),
            "arms": [
                {
                    "name": arm.name,
                    "runs": [self._run_record(index, place) for place in range(len(arm.runs))],
                    "measures": {k: _number(v) for k, v in self.measures[arm.name].items()},
                    "worst_groups": self.worst_groups(arm.name),
                    "groups": {
                        code: {
                            "cer": _number(self.cer[arm.name][code]),
                            "wer": _number(self.wer[arm.name][code]),
                        }
                        for code in (*self.codes, *self.apart)
                    },
                }
                for index, arm in enumerate(self.arms)
            ],
            "baseline": self.baseline,
            "differences": [self._difference_record(one) for one in self.differences],
        }

    def _run_record(self, arm: int, place: int) -> dict[str, Any]:
        """One run of an arm: its folder, seed and update, and its own numbers."""
        name, run = self.arms[arm].name, self.arms[arm].runs[place]
        rates = self.test.characters.rates(arm)[place]
        return {
            "folder": str(run.folder),
            "seed": run.option("common", "seed"),
            "update": run.decoded_from.update,
            "measures": {k: _number(v[place]) for k, v in self.by_run[name].items()},
            "worst_group": self.worst_of_runs[name][place],
            "cer": dict(zip(self.test.characters.languages, map(_number, rates))),
        }

    def _difference_record(self, one: ArmDifference) -> dict[str, Any]:
        n_blocks = self.test.characters.n_blocks
        groups = {}
        for index, code in enumerate(one.codes):
            groups[code] = {
                **_record(one.by_group.at(index)),
                "p_holm": _number(one.holm_p[index]),
                "verdict": one.verdicts[code].value,
                "n_utterances": self.test.n_utterances[code],
                "n_blocks": int(n_blocks[index]),
                "block": "speaker" if code in self.test.by_speaker else "utterance",
            }
        return {
            "arm": one.name,
            "n_groups": {verdict.value: one.count()[verdict] for verdict in Verdict},
            "gap": {**one.gap._asdict(), "verdict": one.gap.verdict.value},
            "measures": {name: _record(value) for name, value in one.measures.items()},
            "groups": groups,
        }


def compare_arms(
    arms: Sequence[Arm],
    facts: TrainingFacts | None = None,
    *,
    by: GroupBy | None = None,
    apart: Sequence[str] = (),
    n_replicates: int = N_MOMENTS,
) -> Comparison:
    """Pair the arms' utterances and test every arm against the first.

    Args:
        by: what a group is; by default as in the first run that has a history.
        apart: groups of too little test speech: nothing is made of them but their rates.

    Raises:
        UserError: they do not pair, see ``paired_records.pair``; ``apart`` names a group that the
            split has not, or leaves none; or a group that is not apart has no reference text.
    """
    by = by or group_by_of(arms)
    everything = test = pair(arms, by)
    if apart:
        groups = test.characters.languages
        if not set(apart) < set(groups):
            raise UserError(
                f"--apart {','.join(apart)}: expected some of the {by.noun}s of the test split, "
                f"and not all: {listed(groups, 12)}."
            )
        test = pair(arms, by, apart)
    groups, texts = test.characters.languages, test.characters.sums(test.characters.lengths)
    without = ",".join(name for name, n_units in zip(groups, texts) if not n_units)
    if without:
        raise UserError(
            f"{arms[0].runs[0].folder}: all references of {without} are empty, so that no error "
            f"rate can be compared: type --apart {','.join([*apart, without])}, or decode a split "
            f"with texts for every {by.noun}."
        )
    cer, wer, by_run, worst_wer, worst_of_runs = {}, {}, {}, {}, {}
    for index, arm in enumerate(arms):
        for found, blocks in ((cer, everything.characters), (wer, everything.words)):
            means = blocks.rates(index).mean(axis=0).tolist()
            found[arm.name] = dict(zip(blocks.languages, means))
        rates, words = test.characters.rates(index), test.words.rates(index)
        worst_wer[arm.name] = float(words.max(axis=1).mean())
        worst_of_runs[arm.name] = [groups[place] for place in rates.argmax(axis=1)]
        by_run[arm.name] = {
            **{name: measure(rates) for name, measure in MEASURES.items()},
            "micro": test.characters.errors[index].sum(axis=1) / test.characters.lengths.sum(),
        }
    replicates = paired.resample(test.characters, n_replicates) if arms[1:] else None
    differences = []
    for index in range(1, len(arms)):
        by_group = paired.difference_by_language(test.characters, 0, index)
        measures = paired.differences_of_functionals(
            test.characters, replicates, MEASURES, 0, index
        )
        differences.append(
            ArmDifference(arms[index].name, groups, by_group, paired.holm(by_group.p), measures)
        )
    baseline = cer[arms[0].name]
    codes, apart = (
        sorted(some, key=lambda code: (-baseline[code], code)) for some in (groups, set(apart))
    )
    return Comparison(
        arms, by, codes, apart, cer, wer, by_run, worst_wer, worst_of_runs, test,
        differences, facts,
    )  # fmt: skip


def _record(one: paired.Difference) -> dict[str, float | None]:
    values = {name: _number(value) for name, value in asdict(one).items()}
    return {"difference": values.pop("estimate"), **values}


def _number(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
