"""A report as Markdown: the same sections and tables, without the pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fairseq_dro.report.aligned_text import Piece
from fairseq_dro.report.blocks import Block, Cell, ComparedText, Section, Table

_SPECIAL = re.compile(r"([\\`*\[\]|<>~]|(?<!\w)_|_(?!\w))")  # a _ within a word is none


def render_markdown(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """The whole report; pictures are named by their captions."""
    lines = [f"# {escaped(title)}", "", *([escaped(subtitle), ""] if subtitle else [])]
    for section in sections:
        lines += [f"## {escaped(section.title)}", ""]
        for block in section.blocks:
            lines += [*_lines(block), ""]
    return "\n".join(lines).rstrip() + "\n"


def escaped(text: str) -> str:
    """Plain text, whatever characters it holds."""
    return _SPECIAL.sub(r"\\\1", text).replace("\n", " ")


def _prose(text: str) -> str:
    """Escaped, but for what stands between backticks."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(part if number % 2 else escaped(part) for number, part in enumerate(parts))


def _lines(block: Block) -> list[str]:
    if block.kind == "paragraph":
        return [_prose(block.text)]
    if block.kind == "notices":
        if not block.sentences:
            return [escaped(block.none)]
        lines = []
        for name, text, command in block.sentences:
            lines.append(f"- **{escaped(name)}**: {_prose(text)}")
            lines += ["", f"      {command}", ""] if command else []
        return lines
    if block.kind == "table":
        return _table(block)
    if block.kind == "figure":
        links = [f"![{escaped(block.alt)}]({name})" for name in block.files]
        return [*(links or ["*Picture in the page.*"]), "", escaped(block.caption)]
    if block.kind == "code":
        return ["```", block.text.replace("```", "'''"), "```"]
    if block.kind == "examples":
        heading = [f"**{escaped(block.title)}**", ""] if block.title else []
        return heading + [line for text in block.texts for line in _compared(text)]
    inner = [line for one in block.blocks for line in [*_lines(one), ""]]
    return [f"**{escaped(block.title)}**", "", *inner] if block.kind == "folded" else inner


def _table(table: Table) -> list[str]:
    heading = [Cell(column.title) for column in table.columns]
    rows = [
        [_cell(cell, column.numeric) for cell, column in zip(row, table.columns)]
        for row in [heading, *table.rows, *table.foot]
    ]
    for row in rows[1 + len(table.rows) :]:
        row[0] = f"**{row[0]}**"
    caption = [f"{escaped(table.caption)}:", ""] if table.caption else []
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column.numeric else cell.ljust(width)
            for cell, width, column in zip(row, widths, table.columns)
        ]
        lines.append("| " + " | ".join(cells) + " |")
    rules = [
        "-" * (width + 1) + (":" if column.numeric else "-")
        for width, column in zip(widths, table.columns)
    ]
    return [*caption, lines[0], "|" + "|".join(rules) + "|", *lines[1:]]


def _cell(cell: Cell, numeric: bool) -> str:
    if not cell.note:
        return escaped(cell.text)
    return escaped(f"{cell.text} ({cell.note})" if numeric else f"{cell.text}: {cell.note}")


def _compared(text: ComparedText) -> list[str]:
    reference, hypothesis = _marked(text.reference, "~~"), _marked(text.hypothesis, "**")
    return [
        f"- {escaped(text.label)}",
        f"  - reference: {reference.strip() or '–'}",
        f"  - hypothesis: {hypothesis.strip() or '–'}",
    ]


def _marked(pieces: Sequence[Piece], mark: str) -> str:
    """Spaces stay outside the marks, which Markdown takes for text beside one."""
    parts = []
    for piece in pieces:
        before, text, after = piece.text.partition(piece.text.strip() or piece.text)
        text = escaped(text) if piece.equal else f"{mark}{escaped(text.strip() or '␣')}{mark}"
        parts.append(f"{before}{text}{after}")
    return "".join(parts)
