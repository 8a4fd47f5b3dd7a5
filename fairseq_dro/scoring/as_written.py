"""Of a model that writes case and punctuation: errors as written, and texts that loop."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
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


def loops(record: Record) -> bool:
    """Whether decoding stopped at a loop, or the hypothesis is one by its compression."""
    if record.stopped == "loop":
        return True
    text = record.hypothesis if record.as_written is None else record.as_written[1]
    return compression_ratio(text) > LOOP_COMPRESSION


def summarise_as_written(records: Iterable[Record]) -> dict[str, Any] | None:
    """By language, CER and WER of the texts as they were written, and which had no end.

    Rates and shares are fractions. ``share_looping`` is of texts for which ``loops`` holds,
    ``share_at_limit`` of those that the limit of tokens cut (0 where records do not say).

    Returns:
        None where no record has its texts as written.
    """
    sums: dict[str, list[Any]] = {}
    for record in records:
        if record.as_written is None:
            continue
        reference, hypothesis = record.as_written
        language = record.language
        characters, words, n_loops, n_cut, n = sums.get(
            language or "", (EditCounts(), EditCounts(), 0, 0, 0)
        )
        sums[language or ""] = [
            characters.plus(
                count_edits(
                    scored_characters(reference, language), scored_characters(hypothesis, language)
                )
            ),
            words.plus(count_edits(scored_words(reference), scored_words(hypothesis))),
            n_loops + loops(record),
            n_cut + (record.stopped == "limit"),
            n + 1,
        ]
    if not sums:
        return None
    languages = {
        language: {
            "cer": characters.error_rate, "wer": words.error_rate,
            "share_looping": n_loops / n, "share_at_limit": n_cut / n,
        }
        for language, (characters, words, n_loops, n_cut, n) in sorted(sums.items())
    }  # fmt: skip
    return {"mean": _means(languages.values()), "languages": languages}


def _means(rows: Iterable[dict[str, float | None]]) -> dict[str, float | None]:
    rows = list(rows)
    means = {}
    for name in rows[0]:
        known = [row[name] for row in rows if row[name] is not None]
        means[name] = sum(known) / len(known) if known else None
    return means


def as_written_sentence(summary: dict[str, Any]) -> str:
    """Means over languages for the table, and who loops most."""
    mean = summary["mean"]
    rates = ", ".join(
        f"{name.upper()} {100 * mean[name]:.2f} %" for name in ("cer", "wer")
        if mean[name] is not None
    )  # fmt: skip
    return (
        "The rates above compare lower case without punctuation. As written, mean over languages: "
        f"{rates}. Texts that repeat themselves (stopped for it, or compressed more than "
        f"{LOOP_COMPRESSION} times): {_share(summary, 'share_looping')}. Texts cut at the limit of "
        f"tokens: {_share(summary, 'share_at_limit')}.\n"
    )


def _share(summary: dict[str, Any], name: str) -> str:
    """Of one kind of text, the mean over languages and the most in one."""
    languages = summary["languages"]
    worst = max(languages, key=lambda language: languages[language][name])
    most = 100 * languages[worst][name]
    named = f", most in {worst} ({most:.1f} %)" if most else ""
    return f"{100 * summary['mean'][name]:.1f} %{named}"
