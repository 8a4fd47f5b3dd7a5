"""Arms side by side, group by group, and what of their differences is shown: the numbers.

``document`` writes them as Markdown, ``Comparison.as_record`` as JSON.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairseq_dro.group_by import GroupBy
from fairseq_dro.report.compare.arm_difference import ArmDifference
from fairseq_dro.report.compare.arms import Arm, group_by_of
from fairseq_dro.report.paired_records import DecodedRun, PairedTest, pair
from fairseq_dro.report.verdicts import Verdict
from fairseq_dro.scoring import disparity, levelling, paired

FORMAT = 1
MEASURES = {**disparity.MEASURES, "best": levelling.best}


@dataclass(frozen=True)
class Comparison:
    """Arms on the same test utterances; the first is the baseline.

    Attributes:
        by: what a group is.
        codes: groups by falling CER of the baseline.
        cer, wer: by arm and group, mean over the arm's runs, fractions.
        measures: by arm and name (``MEASURES``, ``micro``), mean over the arm's runs of CER.
        worst_wer: by arm, mean over the arm's runs of the highest WER.
        worst_groups: by arm, the groups with the highest CER in its runs, the most frequent first.
        differences: of all arms but the first.
        constant_cer: CER of the audio-blind constant guess by group, or None.
        train_seconds: training speech by group, or None.
    """

    arms: Sequence[Arm]
    by: GroupBy
    codes: Sequence[str]
    cer: Mapping[str, Mapping[str, float]]
    wer: Mapping[str, Mapping[str, float]]
    measures: Mapping[str, Mapping[str, float]]
    worst_wer: Mapping[str, float]
    worst_groups: Mapping[str, Sequence[str]]
    test: PairedTest
    differences: Sequence[ArmDifference]
    constant_cer: Mapping[str, float] | None = None
    train_seconds: Mapping[str, float] | None = None

    def mean(self, rates: Mapping[str, float]) -> float:
        """Unweighted mean over groups, without those that have no rate."""
        known = [rates[code] for code in self.codes if not math.isnan(rates[code])]
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
            "confidence": paired.CONFIDENCE,
            "rate": "cer",
            "group_by": str(self.by),
            "n_utterances": sum(self.test.n_utterances.values()),
            "arms": [
                {
                    "name": arm.name,
                    "runs": [str(run.folder) for run in arm.runs],
                    "measures": {k: _number(v) for k, v in self.measures[arm.name].items()},
                    "worst_groups": list(self.worst_groups[arm.name]),
                    "groups": {
                        code: {
                            "cer": _number(self.cer[arm.name][code]),
                            "wer": _number(self.wer[arm.name][code]),
                        }
                        for code in self.codes
                    },
                }
                for arm in self.arms
            ],
            "baseline": self.arms[0].name,
            "differences": [self._difference_record(one) for one in self.differences],
        }

    def _difference_record(self, one: ArmDifference) -> dict[str, Any]:
        verdicts, n_blocks = one.verdicts, self.test.characters.n_blocks
        groups = {}
        for index, code in enumerate(one.codes):
            groups[code] = {
                **_record(one.by_group.at(index)),
                "p_holm": _number(one.holm_p[index]),
                "verdict": verdicts[code].value,
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
    constant_cer: Mapping[str, float] | None = None,
    train_seconds: Mapping[str, float] | None = None,
    *,
    n_replicates: int = paired.N_REPLICATES,
    seed: int = 0,
) -> Comparison:
    """Pair the arms' utterances and test every arm against the first.

    Raises:
        UserError: they do not pair, see ``paired_records.pair``.
    """
    decoded = [[DecodedRun(str(run.folder), run.utterances) for run in arm.runs] for arm in arms]
    by = group_by_of(arms)
    test = pair(decoded, by)
    groups = test.characters.languages
    cer, wer, measures, worst_wer, worst_groups = {}, {}, {}, {}, {}
    for index, arm in enumerate(arms):
        rates = test.characters.rates(index)
        cer[arm.name] = dict(zip(groups, rates.mean(axis=0).tolist()))
        words = test.words.rates(index)
        wer[arm.name] = dict(zip(groups, words.mean(axis=0).tolist()))
        worst_wer[arm.name] = float(words.max(axis=1).mean())
        worst = Counter(groups[place] for place in rates.argmax(axis=1))
        worst_groups[arm.name] = [name for name, _ in worst.most_common()]
        errors, lengths = test.characters.errors[index], test.characters.lengths
        measures[arm.name] = {
            **{name: float(measure(rates).mean()) for name, measure in MEASURES.items()},
            "micro": float(errors.mean(axis=0).sum() / lengths.sum()),
        }
    baseline = cer[arms[0].name]
    replicates = paired.resample(test.characters, n_replicates, seed) if len(arms) > 1 else None
    differences = []
    for index in range(1, len(arms)):
        by_group = paired.difference_by_language(test.characters, 0, index)
        differences.append(
            ArmDifference(
                arms[index].name,
                groups,
                by_group,
                paired.holm(by_group.p),
                paired.differences_of_functionals(
                    test.characters, replicates, MEASURES, 0, index
                ),
            )
        )
    codes = sorted(groups, key=lambda code: (-baseline[code], code))
    return Comparison(
        arms, by, codes, cer, wer, measures, worst_wer, worst_groups, test, differences,
        constant_cer, train_seconds,
    )  # fmt: skip


def _record(one: paired.Difference) -> dict[str, float | None]:
    return {
        "difference": _number(one.estimate),
        "low": _number(one.low),
        "high": _number(one.high),
        "p": _number(one.p),
        "standard_error": _number(one.standard_error),
        "training_share": _number(one.training_share),
        "correction": _number(one.correction),
    }


def _number(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
