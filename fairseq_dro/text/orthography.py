"""What the text rules ask of a language's spelling, from ``orthographies.tsv``.

The table is made by ``scripts/make_orthographies.py``, which names its sources; each row names its
own. A language that is not in it follows `UNKNOWN`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

TABLE = Path(__file__).with_name("orthographies.tsv")
COLUMNS = ("code", "apostrophe", "dotless_i", "inner_signs", "source")


@dataclass(frozen=True)
class Orthography:
    """One row of the table.

    Attributes:
        apostrophe: ``letter``: it is one, kept wherever it touches a letter. ``edge``: it marks
            what is left out, also at a word's beginning or end; there a pair of them is a pair of
            quotation marks. ``inner``: kept between letters only.
        dotless_i: the lower-case form of I is ı, and that of İ is i.
        inner_signs: further signs that are kept between letters, such as the middle dot of Catalan.
    """

    apostrophe: str = "edge"
    dotless_i: bool = False
    inner_signs: str = ""


UNKNOWN = Orthography()
"""For a language that is not in the table: nobody says that its apostrophes are no letters."""


def orthography_of(language: str | None) -> Orthography:
    """The orthography of an ISO 639-3 code; `UNKNOWN` where the table has none."""
    return _table().get(language, UNKNOWN) if language else UNKNOWN


@lru_cache(maxsize=1)
def _table() -> Mapping[str, Orthography]:
    header, *lines = TABLE.read_text(encoding="utf-8").splitlines()
    assert tuple(header.split("\t")) == COLUMNS
    rows = (line.split("\t") for line in lines)
    return {
        code: Orthography(apostrophe, dotless == "yes", signs)
        for code, apostrophe, dotless, signs, _ in rows
    }
