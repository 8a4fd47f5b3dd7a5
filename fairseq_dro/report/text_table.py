"""Markdown tables that can also be read in a terminal."""

from __future__ import annotations

from collections.abc import Sequence


def layout(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns also line up in a terminal; numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        lines.append("| " + " | ".join(cells) + " |")
        if number == 0:
            rules = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
            lines.append("| " + " | ".join(rules) + " |")
    return "\n".join(lines) + "\n"


def padded(rows: Sequence[Sequence[str]], numeric: Sequence[bool]) -> list[str]:
    """Lines of a Markdown table, the heading first.

    Args:
        numeric: by column, whether its cells stand to the right.
    """
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric)
        ]
        lines.append("| " + " | ".join(cells) + " |")
    rules = [
        "-" * (width + 1) + ":" if right else "-" * (width + 2)
        for width, right in zip(widths, numeric)
    ]
    return [lines[0], "|" + "|".join(rules) + "|", *lines[1:]]
