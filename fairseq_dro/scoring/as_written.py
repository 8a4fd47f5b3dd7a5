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
    """Bytes of a text over bytes of it compressed; 0 for an empty text."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0


def summarise_as_written(records: Iterable[Record]) -> dict[str, Any] | None:
    """By language, CER and WER of the texts as they were written, and the share that loops.

    Rates are fractions; None where no record has its texts as written.
    """
    sums: dict[str, list[Any]] = {}
    for record in records:
        if record.as_written is None:
            continue
        reference, hypothesis = record.as_written
        language = record.language
        characters, words, n_loops, n = sums.get(language or "", (EditCounts(), EditCounts(), 0, 0))
        sums[language or ""] = [
            characters.plus(
                count_edits(
                    scored_characters(reference, language), scored_characters(hypothesis, language)
                )
            ),
            words.plus(count_edits(scored_words(reference), scored_words(hypothesis))),
            n_loops + (compression_ratio(hypothesis) > LOOP_COMPRESSION),
            n + 1,
        ]
    if not sums:
        return None
    languages = {
        language: {
            "cer": characters.error_rate, "wer": words.error_rate, "share_looping": n_loops / n,
        }
        for language, (characters, words, n_loops, n) in sorted(sums.items())
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
    mean, languages = summary["mean"], summary["languages"]
    worst = max(languages, key=lambda language: languages[language]["share_looping"])
    rates = ", ".join(
        f"{name.upper()} {100 * mean[name]:.2f} %" for name in ("cer", "wer")
        if mean[name] is not None
    )  # fmt: skip
    loops = 100 * mean["share_looping"]
    most = f", most in {worst} ({100 * languages[worst]['share_looping']:.1f} %)" if loops else ""
    return (
        "The rates above compare lower case without punctuation. As written, mean over languages: "
        f"{rates}. Texts that repeat themselves (compressed more than {LOOP_COMPRESSION} times): "
        f"{loops:.1f} %{most}.\n"
    )
