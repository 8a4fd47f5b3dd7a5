"""What ``fairseq-dro prepare`` says at its end, from what it made."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from fairseq_dro.data.manifest_writer import SAMPLE_RATE, Utterance

MOST_LANGUAGES_NAMED = 8


def describe_coverage(covered: dict[str, float], by_dictionary: bool) -> str:
    """The languages whose units are not all known, the worst first; empty where all are.

    Args:
        covered: share of each language's units that is known.
        by_dictionary: from a dictionary that is reused, else from training.
    """
    uncovered = {code: share for code, share in covered.items() if share < 1}
    if not uncovered:
        return ""
    lacks = (
        "units outside the dictionary, and the share of their units that it has"
        if by_dictionary else
        "units in valid or test that training lacks, and the share of their units that training has"
    )  # fmt: skip
    worst = sorted(uncovered.items(), key=lambda item: item[1])[:MOST_LANGUAGES_NAMED]
    named = ", ".join(f"{code} {share:.2%}" for code, share in worst)
    return f"Languages with {lacks} ({len(uncovered)} in all): {named}\n"


def describe_folder(folder: Path, utterances: list[Utterance], sizes: dict[str, int]) -> str:
    """One line: languages, utterances per split, minutes of training speech and their spread."""
    seconds: Counter[str] = Counter()
    for utterance in utterances:
        if utterance.split == "train":
            seconds[utterance.language] += utterance.n_samples / SAMPLE_RATE
    most, least = seconds.most_common()[0], seconds.most_common()[-1]
    languages = "1 language" if len(seconds) == 1 else f"{len(seconds)} languages"
    return (
        f"{folder}: {languages}, "
        + ", ".join(f"{count} utterances to {split}" for split, count in sizes.items())
        + f"; {sum(seconds.values()) / 60:.1f} minutes of training speech, from {least[1]:.0f} s "
        f"({least[0]}) to {most[1]:.0f} s ({most[0]}).\n"
    )
