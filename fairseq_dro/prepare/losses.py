"""What was lost of each language: all of it stops the command, much of it is a warning."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence

from fairseq_dro.data.manifest_writer import Utterance
from fairseq_dro.prepare.labelling import OUTSIDE_DICTIONARY
from fairseq_dro.prepare.reader import MissingParts
from fairseq_dro.prepare.recording import Rejection
from fairseq_dro.wording import counted, listed

MUCH = 0.05
"""Share of a language's utterances that may be left out without a warning."""


def gone(languages: set[str], rejected: Sequence[Rejection]) -> dict[str, list[Rejection]]:
    """The rejections of each language of which nothing is left, by code.

    Args:
        languages: those that have no utterance any more; "" is a language that nobody knows.
    """
    found = defaultdict(list)
    for one in rejected:
        if one.language and one.language in languages:
            found[one.language].append(one)
    # A dictionary that lacks a language's letters was asked for, and its loss is a warning
    return {
        code: lost for code, lost in sorted(found.items())
        if any(one.reason != OUTSIDE_DICTIONARY for one in lost)
    }  # fmt: skip


def report_gone(lost: dict[str, list[Rejection]], missing: MissingParts) -> None:
    """Tell languages of which nothing is left.

    Raises:
        UserError: there is one, and missing parts are not to be skipped.
    """
    if not lost:
        return
    told = []
    for code, rejections in lost.items():
        reason, count = Counter(one.reason for one in rejections).most_common(1)[0]
        first = next(one for one in rejections if one.reason == reason)
        place = " ".join(filter(None, (first.where, first.detail)))
        told.append(f"{code} ({count} of {len(rejections)}: {reason}; first {place})")
    missing.report(f"nothing is left of {listed(told)}", "put it right")


def describe_losses(
    utterances: Iterable[Utterance], rejected: Sequence[Rejection], asked: Collection[str]
) -> str:
    """A warning that names the languages which lost much, the most first, and why; or nothing.

    Args:
        asked: reasons that an option or the corpus asked for: what they leave out is no loss.
    """
    kept = Counter(one.language for one in utterances)
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for one in rejected:
        if one.language and one.reason not in asked:
            reasons[one.language][one.reason] += 1
    shares = {
        code: counts.total() / (counts.total() + kept[code]) for code, counts in reasons.items()
    }
    much = sorted((code for code in shares if shares[code] > MUCH), key=lambda c: (-shares[c], c))
    if not much:
        return ""
    told = listed([
        f"{code} {reasons[code].total()} of {reasons[code].total() + kept[code]} "
        f"({reasons[code].most_common(1)[0][0]})"
        for code in much
    ])  # fmt: skip
    languages = counted(len(much), "language")
    return f"warning: {languages} lost more than {MUCH:.0%} of the utterances: {told}\n"
