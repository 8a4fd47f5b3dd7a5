"""Scores of one decoded split as a Markdown table."""

from __future__ import annotations

from typing import Any

from fairseq_dro.languages import name_of

_HEADER = ("language", "utterances", "audio", "CER %", "WER %", "S", "D", "I")


def scores_table(scores: dict[str, Any], title: str) -> str:
    """Markdown: languages by falling CER, then mean, worst and all together.

    Args:
        scores: the content of ``scores.json`` (``Scores.as_record``).
        title: the heading, such as the name of the split.

    S, D and I are characters: substituted, deleted, inserted. The column of language identification
    is there only where some reference begins with a language token.
    """
    languages = scores["languages"]
    with_lid = scores["all"]["lid_accuracy"] is not None
    rows = [
        _row(f"{code} {name_of(code)}".strip() if name_of(code) != code else code, languages[code])
        for code in sorted(languages, key=lambda code: (-(languages[code]["cer"] or 0), code))
    ]
    if scores["mean"]:
        rows.append(_row(f"**mean** of {scores['mean']['n_languages']}", scores["mean"]))
    if scores["worst"]:
        rows.append(_row(f"**worst**, {scores['worst']['language']}", scores["worst"]))
    rows.append(_row("**all together**", scores["all"]))
    header = _HEADER + (("LID %",) if with_lid else ())
    table = [header, *(row if with_lid else row[:-1] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    lines = [_line(row, widths) for row in table]
    right = ("-" * (width + 1) + ":" for width in widths[1:])
    rule = "|".join(["", "-" * (widths[0] + 2), *right, ""])
    notes = [
        "CER and WER count errors against reference characters and words; S, D, I: characters "
        "substituted, deleted, inserted."
    ]
    if not languages:
        notes.append("The split has no .lang file, so all utterances are scored together.")
    return "\n".join([f"## {title}", "", lines[0], rule, *lines[1:], "", *notes, ""])


def _row(label: str, record: dict[str, Any]) -> tuple[str, ...]:
    """Cells of one line; what a record does not hold stays empty."""
    counts = [_count(record, key) for key in ("substitutions", "deletions", "insertions")]
    return (
        label, _count(record, "n_utterances"), _duration(record.get("audio_seconds")),
        _per_cent(record["cer"]), _per_cent(record["wer"]), *counts,
        _per_cent(record["lid_accuracy"]),
    )


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    first, *others = (
        cell.ljust(width) if column == 0 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths))
    )
    return "| " + " | ".join([first, *others]) + " |"


def _count(record: dict[str, Any], key: str) -> str:
    return f"{record[key]:,}" if key in record else ""


def _per_cent(fraction: float | None) -> str:
    return "–" if fraction is None else f"{100 * fraction:.2f}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.2f} h"
