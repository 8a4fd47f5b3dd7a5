"""Of a model that writes case and punctuation: errors as written, and texts that have no end."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairseq_dro.scoring.edits import EditCounts, count_edits
from fairseq_dro.scoring.records import Record
from fairseq_dro.scoring.text import scored_characters, scored_words

LOOP_COMPRESSION = 2.4
"""openai's threshold (``transcribe.py``): a text that zlib makes so many times smaller loops."""


def compression_ratio(text: str) -> float:
    """Characters of a text over bytes of it compressed, one byte a character; 0 for an empty text.

    openai compresses UTF-8, in which a script of three bytes a character looks repetitive: 400
    characters of Pa'O sentences shrink 3.3 times there and 1.7 times here, of English ones 1.7
    times. zlib adds 11 bytes, so no text below 27 characters reaches ``LOOP_COMPRESSION``.
    """
    numbers: dict[str, int] = {}
    data = bytes(numbers.setdefault(character, len(numbers)) % 256 for character in text)
    return len(data) / len(zlib.compress(data)) if data else 0.0


def loops(text: str, stopped: str | None = None) -> bool:
    """Whether decoding stopped at a loop, or the text is one by its compression."""
    return stopped == "loop" or compression_ratio(text) > LOOP_COMPRESSION


def count_as_written(
    reference: str, hypothesis: str, language: str | None
) -> tuple[EditCounts, EditCounts]:
    """Edits of characters and of words, case and punctuation included."""
    characters = (scored_characters(text, language) for text in (reference, hypothesis))
    return count_edits(*characters), count_edits(scored_words(reference), scored_words(hypothesis))


@dataclass
class WrittenSums:
    """Sums over the utterances of a group whose texts are known as written."""

    n_utterances: int = 0
    n_looping: int = 0
    n_at_limit: int = 0  # cut at the limit of tokens; 0 where records do not say
    characters: EditCounts = EditCounts()
    words: EditCounts = EditCounts()

    def add(self, record: Record) -> None:
        """Count one more utterance; ``record.as_written`` must be there."""
        reference, hypothesis = record.as_written
        characters, words = count_as_written(reference, hypothesis, record.language)
        self.n_utterances += 1
        self.n_looping += loops(hypothesis, record.stopped)
        self.n_at_limit += record.stopped == "limit"
        self.characters = self.characters.plus(characters)
        self.words = self.words.plus(words)

    @property
    def share_looping(self) -> float:
        return self.n_looping / self.n_utterances

    def as_record(self) -> dict[str, float | None]:
        """Fractions; a rate is None without a reference."""
        return {
            "cer": self.characters.error_rate,
            "wer": self.words.error_rate,
            "share_looping": self.share_looping,
            "share_at_limit": self.n_at_limit / self.n_utterances,
        }


def summarise_as_written(groups: Mapping[str, WrittenSums]) -> dict[str, Any]:
    """The part ``as_written`` of ``scores.json``: by group, and the mean over groups.

    Utterances without a group (the name is empty) are left out, unless all are.
    """
    named = [name for name in sorted(groups) if name] or groups
    rows = {name: groups[name].as_record() for name in named}
    means = {}
    for name in next(iter(rows.values())):
        known = [row[name] for row in rows.values() if row[name] is not None]
        means[name] = sum(known) / len(known) if known else None
    return {"mean": means, "languages": rows}


def as_written_note(summary: Mapping[str, Any], noun: str = "language") -> str:
    """Means over groups, and who loops most, in sentences for a table.

    Args:
        summary: of ``summarise_as_written``.
    """
    mean = summary["mean"]
    rates = ", ".join(
        f"{name.upper()} {100 * mean[name]:.2f} %" for name in ("cer", "wer")
        if mean[name] is not None
    )  # fmt: skip
    return (
        f"The rates above compare lower case without punctuation. As written, mean over {noun}s: "
        f"{rates}. Texts that repeat themselves (stopped for it, or compressed more than "
        f"{LOOP_COMPRESSION} times): {_share(summary, 'share_looping')}. Texts cut at the limit of "
        f"tokens: {_share(summary, 'share_at_limit')}."
    )


def _share(summary: Mapping[str, Any], name: str) -> str:
    """Of one kind of text, the mean over groups and the most in one."""
    groups = summary["languages"]
    worst = max(groups, key=lambda group: groups[group][name])
    most = 100 * groups[worst][name]
    named = f", most in {worst} ({most:.1f} %)" if most and worst else ""
    return f"{100 * summary['mean'][name]:.1f} %{named}"
