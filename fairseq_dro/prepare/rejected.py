"""``rejected.tsv``: each utterance that was left out, and why; and the counts of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from fairseq_dro.prepare.recording import Rejection
from fairseq_dro.whole_file import whole_file
from fairseq_dro.wording import listed

FILE = "rejected.tsv"
HEADER = "utterance\tsplit\tlanguage\treason\twhere\tdetail"


def write_rejected(folder: Path, rejected: Sequence[Rejection]) -> None:
    """Write the file, with only its header where nothing was left out."""
    lines = [HEADER]
    for one in rejected:
        fields = (
            one.utterance_id, one.split, one.language, one.reason, one.where, one.detail
        )  # fmt: skip
        lines.append("\t".join(" ".join(field.split()) for field in fields))
    text = "".join(line + "\n" for line in lines)
    with whole_file(folder / FILE) as partial:
        # A file name that is not UTF-8 holds lone surrogates, which UTF-8 cannot hold
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


def count_rejected(rejected: Sequence[Rejection]) -> dict[str, dict[str, int]]:
    """Counts by reason, the most frequent first, then by language."""
    return count_by_language((one.reason, one.language or "?") for one in rejected)


def describe_rejected(counts: dict[str, dict[str, int]]) -> str:
    """The counts as indented lines; empty where nothing was left out."""
    total = sum(sum(languages.values()) for languages in counts.values())
    if not total:
        return ""
    return f"{total} left out, each with its reason in {FILE}:\n{counts_as_lines(counts)}"


def count_by_language(found: Iterable[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Counts by reason, the most frequent first, then by language.

    Args:
        found: reason and language of each utterance.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for reason, language in found:
        counts[reason][language] += 1
    by_total = sorted(counts.items(), key=lambda item: (-item[1].total(), item[0]))
    return {reason: dict(languages.most_common()) for reason, languages in by_total}


def counts_as_lines(counts: dict[str, dict[str, int]]) -> str:
    """``     12  reason (deu 9, kat 3)`` a reason, each with its line end."""
    lines = []
    for reason, languages in counts.items():
        named = listed([f"{code} {n}" for code, n in languages.items()])
        lines.append(f"  {sum(languages.values()):7d}  {reason} ({named})\n")
    return "".join(lines)
