"""Languages that the synthesiser speaks, each with a small vocabulary in its own spelling.

Names of weekdays and months come from the Unicode CLDR through Babel; ``spoken_languages.tsv``
carries counting words (one to ten) for languages that CLDR does not cover (or, as Haitian, covers
with another language's words). Four of espeak-ng's languages are absent: Cherokee, Faroese and
Kara-Kalpak stay silent (the wheel lacks their dictionaries), and Japanese kanji are unread.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from fairseq_dro.errors import UserError
from fairseq_dro.text.profiles import PROFILES


@dataclass(frozen=True)
class SpokenLanguage:
    """One row of ``spoken_languages.tsv``.

    Attributes:
        code: ISO 639-3.
        voice: espeak-ng's name of the language.
        locale: CLDR locale, or empty.
        words: counting words where ``locale`` is empty.
    """

    code: str
    voice: str
    locale: str
    words: tuple[str, ...]


@lru_cache(maxsize=1)
def spoken_languages() -> dict[str, SpokenLanguage]:
    """All languages by code; the six of the demo come first."""
    table = files("fairseq_dro.demo").joinpath("spoken_languages.tsv").read_text("utf-8")
    rows = csv.DictReader(table.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    return {
        row["language"]: SpokenLanguage(
            row["language"], row["voice"], row["locale"], tuple(row["words"].split())
        )
        for row in rows
    }


def choose_languages(choice: str) -> list[SpokenLanguage]:
    """Read a choice such as ``6`` (the first six of the table) or ``deu,kat``.

    Raises:
        UserError: the number is out of range, or a code is not in the table.
    """
    table = spoken_languages()
    if choice.isdigit():
        if not 1 <= int(choice) <= len(table):
            raise UserError(
                f"--languages {choice} is out of range: expected 1 to {len(table)}, "
                "or codes such as deu,kat."
            )
        return list(table.values())[: int(choice)]
    codes = [code.strip() for code in choice.split(",") if code.strip()]
    for code in codes:
        if code not in table:
            raise UserError(
                f"--languages: {code!r} is not a language that can be synthesised; "
                f"expected a number or codes among {' '.join(sorted(table))}."
            )
    if not codes or len(set(codes)) != len(codes):
        raise UserError(f"--languages {choice!r}: expected one or more codes, each once.")
    return [table[code] for code in codes]


def vocabulary(language: SpokenLanguage) -> tuple[str, ...]:
    """Words or short phrases of one language, at least seven, in target spelling, no duplicates."""
    if not language.locale:
        names: list[str] = list(language.words)
    else:
        from babel import Locale

        locale = Locale.parse(language.locale)
        # "format" only: Babel 2.18 answers Azerbaijani names for other languages' "stand-alone"
        # months once the Azerbaijani locale has been loaded in the same process.
        names = [*locale.days["format"]["wide"].values(), *locale.months["format"]["wide"].values()]
    # Korean "1월" and its like would all shrink to one word without its digit.
    lower = PROFILES["lower"]
    spelled = [lower(name, language.code) for name in names if not any(map(str.isdigit, name))]
    return tuple(dict.fromkeys(filter(None, spelled)))
