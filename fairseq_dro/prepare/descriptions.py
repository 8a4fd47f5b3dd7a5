"""What ``fairseq-dro prepare`` says at its end, from what it made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fairseq_dro.data.manifest_writer import SAMPLE_RATE, Utterance
from fairseq_dro.prepare.dataset_record import Units
from fairseq_dro.runs.durations import in_one_unit
from fairseq_dro.text.shown import shown_unit

MOST_LANGUAGES_NAMED = 8
MOST_UNITS_NAMED = 5


def named_list(names: Sequence[str]) -> str:
    """``dan``, ``dan and spa``, ``dan, fra and spa``."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def describe_coverage(units: dict[str, Units]) -> str:
    """The languages of which a dictionary lacks units, the worst first; empty without any."""
    uncovered = {code: one.coverage for code, one in units.items() if one.unknown}
    if not uncovered:
        return ""
    worst = sorted(uncovered.items(), key=lambda item: item[1])[:MOST_LANGUAGES_NAMED]
    named = ", ".join(f"{code} {share:.2%}" for code, share in worst)
    return (
        "Languages with units outside the dictionary, and the share of their units that it has "
        f"({len(uncovered)} in all): {named}\n"
    )


def describe_never_trained(units: dict[str, Units], letters: str) -> str:
    """The languages with units that training lacks, the worst first; empty without any.

    Args:
        letters: what a unit is called.
    """
    lacking = sorted(
        ((one.coverage, code, one.unknown) for code, one in units.items() if one.unknown),
        key=lambda item: item[:2],
    )
    if not lacking:
        return ""
    named = [
        f"{code} ({_some(unknown)})" for _, code, unknown in lacking[:MOST_LANGUAGES_NAMED]
    ]
    if len(lacking) > len(named):
        named.append(f"{len(lacking) - len(named)} languages more")
    have = "1 language has" if len(lacking) == 1 else f"{len(lacking)} languages have"
    return f"{have} {letters} in valid or test that never occur in train: {', '.join(named)}\n"


def _some(units: Counter[str]) -> str:
    """The most frequent of some units: ``ώ``, ``ț, ș and 12 more``."""
    shown = [shown_unit(unit) for unit, _ in units.most_common(MOST_UNITS_NAMED)]
    more = len(units) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def describe_folder(folder: Path, utterances: list[Utterance], sizes: dict[str, int]) -> str:
    """One line: languages, utterances per split, minutes of training speech and their spread."""
    seconds: Counter[str] = Counter()
    for utterance in utterances:
        if utterance.split == "train":
            seconds[utterance.language] += utterance.n_samples / SAMPLE_RATE
    most, least = seconds.most_common()[0], seconds.most_common()[-1]
    least_time, most_time = in_one_unit(least[1]), in_one_unit(most[1])
    languages = "1 language" if len(seconds) == 1 else f"{len(seconds)} languages"
    return (
        f"{folder}: {languages}, "
        + ", ".join(f"{count} utterances to {split}" for split, count in sizes.items())
        + f"; {in_one_unit(sum(seconds.values()))} of training speech, from {least_time} "
        f"({least[0]}) to {most_time} ({most[0]}).\n"
    )
