"""Findings about lengths: targets and frames, durations, batches of so many seconds.

Shapes: N utterances, G languages.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fairseq_dro.batching.planner import EVEN_FILL
from fairseq_dro.checks.finding import Finding, Severity, places
from fairseq_dro.checks.split_survey import SplitSurvey
from fairseq_dro.data.manifest import Manifest
from fairseq_dro.wording import counted, listed

MADS = 8.0
"""Median absolute deviations of the logarithm from which a value is an outlier, if it also is
``TIMES`` the median or the median is ``TIMES`` it: with normal logarithms, 1 in 10^7."""
TIMES = 6.0
FEWEST = 20  # utterances without which a language has no outliers


def infeasible(
    manifest: Manifest, rows: np.ndarray, needed: np.ndarray, frames: np.ndarray,
    *, stops_training: bool,
) -> list[Finding]:  # fmt: skip
    """Targets that CTC cannot align.

    Args:
        rows: of the manifest.
        needed, frames: [N] frames that their targets need, and those that there are.
    """
    if not len(rows):
        return []
    details = [f"needs {needed[row]} frames and has {frames[row]}" for row in rows]
    return [
        Finding(
            "target_too_long",
            Severity.ERROR if stops_training else Severity.WARNING,
            "targets longer than their frames allow CTC to align: "
            f"{counted(len(rows), 'utterance')} of {manifest.split}",
            "remove them from all files of the split, leave them out with "
            "task.skip_infeasible=true, or use longer units",
            len(rows),
            places(manifest, rows, manifest.label_type, details),
        )
    ]


def without_frame(
    manifest: Manifest, min_samples: int, least: int, *, stops_training: bool
) -> list[Finding]:
    """Utterances of which the model makes no frame.

    Args:
        min_samples: ``task.min_sample_size``; shorter ones are left out.
        least: samples that make a frame.
    """
    rows = np.flatnonzero((manifest.n_samples < least) & (manifest.n_samples >= min_samples))
    if not len(rows):
        return []
    return [
        Finding(
            "without_frame", Severity.ERROR if stops_training else Severity.WARNING,
            f"shorter than the {least} samples of which the model makes a frame: "
            f"{counted(len(rows), 'utterance')} of {manifest.split}",
            "remove them from all files of the split, or leave such out of all splits with "
            f"task.min_sample_size={least}"
            + ("" if stops_training else "; decoded, their hypothesis is empty"),
            len(rows), places(manifest, rows, "tsv"),
        )
    ]  # fmt: skip


def duration_outliers(manifest: Manifest, seconds: np.ndarray) -> list[Finding]:
    """Utterances much longer or shorter than others of their language."""
    return _outliers(
        manifest, seconds, "duration_outlier",
        "much longer or shorter than others of their language",
        lambda value, median: f"{value:.1f} s, the language's median is {median:.1f} s",
    )


def rate_outliers(survey: SplitSurvey, seconds: np.ndarray) -> list[Finding]:
    """Utterances with many more or fewer characters a second than others of their language."""
    rate = np.maximum(survey.n_characters, 0.5) / np.maximum(seconds, 1e-3)
    return _outliers(
        survey.manifest, rate, "rate_outlier",
        "many more or fewer characters a second than others of their language",
        lambda value, median: f"{value:.1f} characters a second, the median is {median:.1f}",
    )


def longer_than_batch(
    manifest: Manifest, seconds: np.ndarray, batch_seconds: float
) -> list[Finding]:
    """Utterances that exceed a batch."""
    most = EVEN_FILL[1]
    rows = np.flatnonzero(seconds > most * batch_seconds)
    if not len(rows):
        return []
    return [
        Finding(
            "longer_than_batch", Severity.WARNING,
            f"longer than task.batch_seconds={batch_seconds:g}, each a batch of its own with a "
            f"larger loss: {counted(len(rows), 'utterance')} of {manifest.split}",
            f"set task.batch_seconds={np.ceil(seconds.max() / most):.0f} or more, or cut them",
            len(rows), places(manifest, rows, "tsv", [f"{seconds[r]:.1f} s" for r in rows]),
        )
    ]  # fmt: skip


def shorter_than_least(manifest: Manifest, min_samples: int) -> list[Finding]:
    """Utterances below ``task.min_sample_size``, which no split then has."""
    rows = np.flatnonzero(manifest.n_samples < min_samples)
    if not len(rows):
        return []
    return [
        Finding(
            "shorter_than_least", Severity.WARNING,
            f"shorter than task.min_sample_size={min_samples} samples, which leaves them out: "
            f"{counted(len(rows), 'utterance')} of {manifest.split}",
            "lower task.min_sample_size, or leave it out",
            len(rows), places(manifest, rows, "tsv"),
        )
    ]  # fmt: skip


def longer_than_memory(
    manifest: Manifest, rows: np.ndarray, max_samples: int, option: str, *, stops: bool
) -> list[Finding]:
    """Utterances beyond a bound on memory.

    Args:
        rows: of the manifest.
        option: that sets the bound.
        stops: fairseq stops at one (data_utils_fast.pyx); else they are left out.
    """
    if not len(rows):
        return []
    what = (
        f"longer than {option}={max_samples} samples, which "
        f"{'stops validation' if stops else 'leaves them out'}: "
        f"{counted(len(rows), 'utterance')} of {manifest.split}"
    )
    fix = f"raise {option}, or cut them"
    if stops:
        fix += ", or set dataset.skip_invalid_size_inputs_valid_test=true"
    return [
        Finding(
            "longer_than_memory", Severity.ERROR if stops else Severity.WARNING, what, fix,
            len(rows), places(manifest, rows, "tsv"),
        )
    ]  # fmt: skip


def languages_without_room(
    manifest: Manifest, max_samples: int, option: str
) -> list[Finding]:
    """Languages of which all is beyond a bound on memory."""
    is_long = manifest.n_samples > max_samples
    kept = set(np.unique(manifest.languages.codes[~is_long]).tolist())
    gone = [name for code, name in enumerate(manifest.languages.names) if code not in kept]
    if not gone:
        return []
    return [
        Finding(
            "language_left_out", Severity.ERROR,
            f"languages of which all is longer than {option}={max_samples} samples, so that q "
            f"would wait for them forever: {listed(gone)}",
            f"raise {option}, or remove the language",
            len(gone),
        )
    ]  # fmt: skip


def _outliers(
    manifest: Manifest,
    values: np.ndarray,
    kind: str,
    what: str,
    told: Callable[[float, float], str],
) -> list[Finding]:
    codes = manifest.languages.codes if len(manifest.languages) else np.zeros(len(values), int)
    logs = np.log(values)
    rows: list[int] = []
    details: list[str] = []
    order = np.argsort(codes, kind="stable")
    for group in np.split(order, np.cumsum(np.bincount(codes))[:-1]):
        if len(group) < FEWEST:
            continue
        median = np.median(logs[group])
        distance = np.abs(logs[group] - median)
        spread = max(float(np.median(distance)), 0.05)
        far = group[(distance > MADS * spread) & (distance > np.log(TIMES))]
        rows += far.tolist()
        details += [told(float(values[row]), float(np.exp(median))) for row in far]
    if not rows:
        return []
    ranked = sorted(zip(rows, details))
    rows, details = [row for row, _ in ranked], [detail for _, detail in ranked]
    return [
        Finding(
            kind, Severity.WARNING,
            f"{what}: {counted(len(rows), 'utterance')} of {manifest.split}",
            "listen to them: text and audio may not belong together; remove those that do not",
            len(rows), places(manifest, rows, "tsv", details),
        )
    ]  # fmt: skip
