"""Scores with their uncertainty: the whole content of ``scores.json``."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection
from typing import Any

import numpy as np

from fairseq_dro.language_sets import FEW_SHOT, read_set
from fairseq_dro.scoring.bootstrap import CONFIDENCE, N_REPLICATES, Blocks
from fairseq_dro.scoring.disparity import worst_k
from fairseq_dro.scoring.disparity_intervals import disparity_intervals, mean_interval
from fairseq_dro.scoring.intervals import language_intervals
from fairseq_dro.scoring.micro import micro_interval
from fairseq_dro.scoring.rates import Scores
from fairseq_dro.scoring.sampling_noise import sampling_noise
from fairseq_dro.scoring.split_half import split_half_worst


def summarise(
    scores: Scores,
    *,
    few_shot: Collection[str] | None = None,
    seed: int = 0,
    n_replicates: int = N_REPLICATES,
) -> dict[str, Any]:
    """``Scores.as_record`` with intervals and disparity.

    Added to each language: ``cer_low`` and ``cer_high`` (null where there is too little),
    ``n_blocks``, ``block`` (speaker or utterance) and ``few_speakers`` (how many there are at most
    where they are too few to be drawn, else null); the two ends also to ``mean``, where those of
    the WER are too, and to ``all`` (``micro_interval``; utterances without a language are drawn
    like those of one). Added at the
    top: ``convention``; ``intervals`` (their settings); ``disparity``, null with fewer than two
    languages that have a rate, else for each number ``value``, ``low`` and ``high`` (interval of
    the true number), ``null_low`` and ``null_high`` (what no difference between languages would
    give), and ``split_half_worst``; with that profile ``ml_superb``.

    Args:
        few_shot: languages that ``ml_superb`` sets apart; its own 20 where none are named.
    """
    record = scores.as_record()
    record["convention"] = dataclasses.asdict(scores.convention)
    record["intervals"] = {"level": CONFIDENCE, "n_replicates": n_replicates, "seed": seed}
    everything = scores.blocks.as_blocks()
    n_blocks = dict(zip(everything.languages, everything.n_blocks))
    everything = everything.bundled()
    blocks = _named(everything)
    for language in record["languages"].values():
        language.update(cer_low=None, cer_high=None, n_blocks=0, block=None, few_speakers=None)
    for name, by_speaker, few in zip(blocks.languages, blocks.by_speaker, blocks.few_speakers):
        record["languages"][name].update(
            n_blocks=int(n_blocks[name]), block="speaker" if by_speaker else "utterance",
            few_speakers=few,
        )  # fmt: skip
    intervals = language_intervals(blocks, seed)
    for name, interval in intervals.items():
        record["languages"][name].update(cer_low=interval.low, cer_high=interval.high)
    record["all"].update(cer_low=None, cer_high=None)
    if scores.all.cer is not None:
        micro = micro_interval(everything, seed)
        record["all"].update(cer_low=micro.low, cer_high=micro.high)
    record["disparity"] = None
    rated = blocks.rated()
    if len(rated.languages) == 1:
        (only,) = intervals.values()
        record["mean"].update(cer_low=only.low, cer_high=only.high)
    if len(rated.languages) > 1:
        noise = sampling_noise(rated, n_replicates, seed)
        disparity: dict[str, Any] = {"n_languages": len(rated.languages)}
        for name, one in disparity_intervals(rated, noise, seed).items():
            disparity[name] = {**one._asdict(), "within_null": one.within_null}
        half = split_half_worst(rated, seed=seed)
        disparity["split_half_worst"] = half._asdict() if half else None
        record["disparity"] = disparity
        record["mean"].update(cer_low=disparity["mean"]["low"], cer_high=disparity["mean"]["high"])
        record["mean"].update(_mean_wer(scores, seed, n_replicates))
    if scores.convention.profile == "ml_superb":
        set_apart = read_set(FEW_SHOT) if few_shot is None else few_shot
        few = {group for group in scores.languages if scores.by.language_of(group) in set_apart}
        record["ml_superb"] = {
            "all": _ml_superb(scores, scores.languages),
            "normal": _ml_superb(scores, set(scores.languages) - few),
            "few_shot": _ml_superb(scores, few),
        }
    return record


def _mean_wer(scores: Scores, seed: int, n_replicates: int) -> dict[str, float]:
    blocks = _named(scores.word_blocks.as_blocks().bundled()).rated()
    if not blocks.languages:
        return {}
    replicates = sampling_noise(blocks, n_replicates, seed).replicates()
    interval = mean_interval(blocks.rates, replicates)
    return {"wer_low": interval.low, "wer_high": interval.high}


def _named(blocks: Blocks) -> Blocks:
    """Without the utterances whose language is not known."""
    return blocks.only([i for i, name in enumerate(blocks.languages) if name])


def _ml_superb(scores: Scores, codes: Collection[str]) -> dict[str, Any] | None:
    """The challenge's numbers over some languages; None where there is none of them.

    Their ``worst_15`` divides by 15 also where there are fewer languages; here it is a mean.
    """
    chosen = [scores.languages[code] for code in codes]
    rates = np.array([sums.cer for sums in chosen if sums.cer is not None])
    if not rates.size:
        return None
    accuracies = [sums.lid_accuracy for sums in chosen if sums.lid_accuracy is not None]
    errors = sum(sums.characters.errors for sums in chosen)
    return {
        "n_languages": len(rates),
        "cer": math.fsum(rates) / len(rates),
        "cer_micro": errors / sum(sums.characters.reference_length for sums in chosen),
        "cer_sd": float(rates.std(ddof=1)) if len(rates) > 1 else None,
        "worst_15_cer": float(worst_k(rates)),
        "lid_accuracy": math.fsum(accuracies) / len(accuracies) if accuracies else None,
    }
