"""What ``prepare`` did to the texts of a folder, as its ``dataset.json`` says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fairseq_dro.checks.finding import SPOILS_FROM, Finding, Severity
from fairseq_dro.wording import listed

MANY_WORDS = 0.05
"""Share of a language's words that a rule changed from which the rule may not be its own."""
WORDS = {
    "cut": "words that became several",
    "joined": "words in which what stood between two letters is gone",
    "emptied": "words that are spoken and of which nothing is left",
}


def what_prepare_did(folder: Path) -> list[Finding]:
    """Words that the text profile changed, tags that it dropped, numbers that only the audio has.

    Nothing where the folder has no such record.
    """
    try:
        record = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        text, utterances = record["text"], _utterances(record["languages"])
        return [*_words(text), *_tags(text), *_numbers(text, utterances)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []  # made by hand, or before there was such a record


def _utterances(languages: dict[str, Any]) -> dict[str, int]:
    return {
        code: sum(cell["utterances"] for cell in splits.values())
        for code, splits in languages.items()
    }


def _words(text: dict[str, Any]) -> list[Finding]:
    findings = []
    for kind, what in WORDS.items():
        found = text["found"][kind]
        if not found:
            continue
        share = max(one["count"] / text["words"][code] for code, one in found.items())
        findings.append(
            Finding(
                f"words_{kind}", Severity.WARNING if share >= MANY_WORDS else Severity.NOTE,
                f"{what} by the text profile {text['profile']}: {_named(found, text['words'])}",
                "look at the examples: a word that was right needs another --text-profile, or the "
                "text put right before `fairseq-dro prepare`",
                sum(one["count"] for one in found.values()), _examples(found),
            )
        )  # fmt: skip
    return findings


def _tags(text: dict[str, Any]) -> list[Finding]:
    found = text["found"]["tags"]
    if not found or text["tags"] != "drop":
        return []
    return [
        Finding("tags_dropped", Severity.NOTE,
                f"tags such as [noise] that the text profile dropped: {_named(found)}",
                "nothing to do; --tags keep of `fairseq-dro prepare` makes symbols of them",
                sum(one["count"] for one in found.values()), _examples(found))
    ]  # fmt: skip


def _numbers(text: dict[str, Any], utterances: dict[str, int]) -> list[Finding]:
    found = text["found"]["numbers"]
    if not found or text["digits"] != "drop":
        return []
    share = max(one["count"] / utterances[code] for code, one in found.items())
    return [
        Finding(
            "numbers_dropped", Severity.WARNING if share >= SPOILS_FROM else Severity.NOTE,
            "utterances whose audio says a number that the text lacks: "
            f"{_named(found, utterances)}",
            "prepare again with --digits leave-out, leave-out-of-training, spell or keep",
            sum(one["count"] for one in found.values()), _examples(found),
        )
    ]  # fmt: skip


def _named(found: dict[str, Any], totals: dict[str, int] | None = None) -> str:
    return listed(
        [
            f"{code} {one['count']}" + (f" of {totals[code]}" if totals else "")
            for code, one in found.items()
        ]
    )


def _examples(found: dict[str, Any]) -> tuple[str, ...]:
    return tuple(one["example"] for one in found.values())
