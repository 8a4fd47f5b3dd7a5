"""What a text profile did to the texts of each language: counts, and an example with its place.

``dataset.json`` keeps it under ``text``, where the doctor reads it; ``prepare`` says it at its end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from fairseq_dro.prepare.candidate import Candidate
from fairseq_dro.prepare.recording import Recording
from fairseq_dro.prepare.shared_options import SharedOptions
from fairseq_dro.text import RULES_VERSION
from fairseq_dro.text.profiles import Spelled
from fairseq_dro.wording import listed

KINDS = {
    "cut": "cut: one became several",
    "joined": "joined: what stood between two letters is gone",
    "emptied": "emptied: they are spoken, and nothing is left",
    "tags": "tags, dropped",
    "numbers": "utterances with numbers, which the audio says and the text lacks: see --digits",
}
MOST_EXAMPLES = 3


class TextCensus:
    """Counts as they come.

    Args:
        options: with the rule for the text, tags and digits.
    """

    def __init__(self, options: SharedOptions) -> None:
        self._options = options
        self._words: Counter[str] = Counter()
        self._counts: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
        self._in_training: Counter[str] = Counter()
        self._examples: dict[tuple[str, str], str] = {}

    def add(self, recording: Recording, spelled: Spelled) -> None:
        """Count the words and tags of one text."""
        language = recording.language
        self._words[language] += spelled.text.count(" ") + 1
        for kind, before, after in spelled.changes:
            self._counts[kind][language] += 1
            if (kind, language) not in self._examples:
                example = f"{recording.where}: {before!r} is {after!r}"
                self._examples[kind, language] = example
        if spelled.n_tags:
            self._counts["tags"][language] += spelled.n_tags
            self._examples.setdefault(("tags", language), recording.where)

    def add_numbers(self, candidates: Iterable[Candidate]) -> None:
        """Count the utterances with numbers among those that get into the folder."""
        for one in candidates:
            if one.has_number:
                language = one.recording.language
                self._counts["numbers"][language] += 1
                self._in_training[language] += one.split == "train"
                example = f"{one.recording.where}: {one.recording.text!r}"
                self._examples.setdefault(("numbers", language), example)

    def as_record(self) -> dict[str, Any]:
        """For ``dataset.json``: the rule, the words by language, and what was done to them."""
        options, rule = self._options, self._options.profile
        drops_numbers = rule.drops_numbers and not options.keeps_numbers
        return {
            "profile": options.text_profile,
            "rules_version": RULES_VERSION if rule.has_version else None,
            "tags": (options.tags or "drop") if rule.knows_tags else "text",
            "digits": "drop" if drops_numbers else "keep",
            "words": dict(sorted(self._words.items())),
            "found": {
                kind: {
                    language: {"count": count, "example": self._examples[kind, language]}
                    for language, count in counts.most_common()
                }
                for kind, counts in self._counts.items()
            },
            "numbers_in_training": dict(self._in_training),
        }


def describe_text(record: dict[str, Any]) -> str:
    """What ``prepare`` says of a record; empty where the rule did nothing to a word."""
    lines = []
    for kind, meaning in KINDS.items():
        found = record["found"][kind]
        if not found or (kind == "numbers" and record["digits"] == "keep"):
            continue
        if kind == "tags" and record["tags"] == "keep":
            meaning = "tags, each kept as one symbol"
        named = listed([f"{code} {one['count']}" for code, one in found.items()])
        total = sum(one["count"] for one in found.values())
        lines.append(f"  {total:7d}  {meaning} ({named})")
        lines += [f"{'':11}{one['example']}" for one in list(found.values())[:MOST_EXAMPLES]]
    if not lines:
        return ""
    version = record["rules_version"]
    rules = f"text profile {record['profile']}" + (f", rules {version}" if version else "")
    head = f"What the {rules}, did to {sum(record['words'].values())} words:"
    return "".join(f"{line}\n" for line in (head, *lines))
