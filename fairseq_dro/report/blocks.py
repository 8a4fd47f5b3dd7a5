"""What a report is made of: sections of paragraphs, tables, pictures, code and compared texts.

Sections are built once and written twice, as HTML (``page.py``) and as Markdown (``markdown.py``),
so that both say the same. All text here is plain; each writer escapes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fairseq_dro.report.aligned_text import Piece

MISSING = "–"  # what a cell shows where there is no number


class Block:
    """What stands below a heading."""

    @property
    def kind(self) -> str:
        """``paragraph``, ``table`` ...: what writers tell blocks by."""
        return type(self).__name__.lower()


@dataclass(frozen=True)
class Paragraph(Block):
    """One paragraph; ``small`` for what explains rather than tells."""

    text: str
    small: bool = False


@dataclass(frozen=True)
class Notices(Block):
    """Sentences that must not be overlooked, or the one that says there are none."""

    sentences: Sequence[tuple[str, str, str]]  # (short name, sentence, command to type or "")
    none: str = ""


@dataclass(frozen=True)
class Cell:
    """What a cell shows and what it is sorted by (its text where that is None)."""

    text: str
    sort: float | str | None = None
    note: str = ""  # beside it or below, smaller: an interval
    words: bool = False  # text in a column of numbers, which may be broken into lines


@dataclass(frozen=True)
class Column:
    """Heading, what it means, and whether the column holds numbers (set to the right)."""

    title: str
    help: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Table(Block):
    """``rows`` may be sorted by the reader, ``foot`` stays below."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    foot: Sequence[Sequence[Cell]] = ()
    sortable: bool = False
    caption: str = ""


@dataclass(frozen=True)
class Figure(Block):
    """One or more SVG pictures side by side; ``alt`` says in words what they show.

    ``width`` is the widest a single picture is laid out, in CSS pixels; more pictures than fit
    beside each other go below.
    """

    svgs: Sequence[str]
    caption: str
    alt: str
    width: int = 420
    files: Sequence[str] = ()  # names of the same pictures as files beside the page


@dataclass(frozen=True)
class Code(Block):
    """Something to copy."""

    text: str


@dataclass(frozen=True)
class ComparedText:
    """One utterance: its reference over its hypothesis."""

    label: str
    reference: Sequence[Piece]
    hypothesis: Sequence[Piece]
    right_to_left: bool = False


@dataclass(frozen=True)
class Examples(Block):
    title: str
    texts: Sequence[ComparedText]


@dataclass(frozen=True)
class Folded(Block):
    """Blocks that are there for whoever looks for them."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Beside(Block):
    """Blocks side by side where there is room, else one below the other."""

    blocks: Sequence[Block]


@dataclass
class Section:
    """A heading and what stands below; ``key`` is its anchor."""

    key: str
    title: str
    blocks: list[Block] = field(default_factory=list)


def per_cent(fraction: float | None, digits: int = 1) -> str:
    """``12.3`` for 0.123; the unit stands in the column's heading."""
    if fraction is None or fraction != fraction:
        return MISSING
    return f"{round(100 * fraction, digits) + 0.0:.{digits}f}"  # + 0.0: no minus before a zero


def rate_cell(
    fraction: float | None, low: float | None = None, high: float | None = None, digits: int = 1
) -> Cell:
    """A rate in per cent with its interval on a second line; what is missing sorts last."""
    if fraction is None or fraction != fraction:
        return Cell(MISSING, -1.0)
    known = low is not None and high is not None and low == low and high == high
    note = f"{per_cent(low, digits)}–{per_cent(high, digits)}" if known else ""
    return Cell(per_cent(fraction, digits), fraction, note)


def number_cell(value: float | None, form: str = ",") -> Cell:
    """A number, formatted; what is missing sorts last."""
    if value is None or value != value:
        return Cell(MISSING, -1.0)
    return Cell(format(value, form), float(value))
