"""What ``fairseq-dro prepare`` says at its end, from what it made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fairseq_dro.data.manifest_writer import SAMPLE_RATE, Utterance
from fairseq_dro.prepare.dataset_record import Units
from fairseq_dro.runs.durations import in_one_unit
from fairseq_dro.text.shown import shown_unit
from fairseq_dro.wording import counted, listed

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
    worst = sorted(uncovered.items(), key=lambda item: item[1])
    named = listed([f"{code} {share:.2%}" for code, share in worst])
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
    named = listed([f"{code} ({_some(unknown)})" for _, code, unknown in lacking])
    have = "has" if len(lacking) == 1 else "have"
    return (
        f"{counted(len(lacking), 'language')} {have} {letters} in valid or test that never occur "
        f"in train: {named}\n"
    )


def _some(units: Counter[str]) -> str:
    """The most frequent of some units: ``ώ``, ``ț, ș and 12 more``."""
    return listed([shown_unit(unit) for unit, _ in units.most_common()], MOST_UNITS_NAMED)


def describe_folder(folder: Path, utterances: list[Utterance], sizes: dict[str, int]) -> str:
    """One line: languages, utterances per split, minutes of training speech and their spread."""
    seconds: Counter[str] = Counter()
    for utterance in utterances:
        if utterance.split == "train":
            seconds[utterance.language] += utterance.n_samples / SAMPLE_RATE
    most, least = seconds.most_common()[0], seconds.most_common()[-1]
    least_time, most_time = in_one_unit(least[1]), in_one_unit(most[1])
    return (
        f"{folder}: {counted(len(seconds), 'language')}, "
        + ", ".join(f"{count} utterances to {split}" for split, count in sizes.items())
        + f"; {in_one_unit(sum(seconds.values()))} of training speech, from {least_time} "
        f"({least[0]}) to {most_time} ({most[0]}).\n"
    )
