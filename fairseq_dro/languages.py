"""Names and properties of languages by ISO 639-3 code, from one table in the package.

A language is named by its three-letter ISO 639-3 code everywhere: in ``{split}.lang``, in the
history of a run and in the scores. The table ``languages.tsv`` holds the languages of ML-SUPERB
(143 published codes), FLEURS (102), Common Voice (up to release 27) and espeak-ng. A language
outside it is added by a table of one's own, in the same columns (``own_table``); a row there
replaces a row of the package.

The one file access is reading these tables; everything else is a function of its arguments.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from os.path import commonprefix
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from fairseq_dro.errors import UserError
from fairseq_dro.text_lines import lines_of

PACKAGE_TABLE = Path(__file__).with_name("languages.tsv")
COLUMNS = (
    "code", "name", "family", "script", "scored_without_spaces", "other_codes", "corpus_names",
    "whisper",
)
N_NEEDED_COLUMNS = 6  # a table of one's own may leave out the others, from the last on
N_SUGGESTIONS = 3
_CODE = re.compile(r"[a-z]{3}(_[a-z0-9]+)*")  # it becomes a folder's and a group's name
OWN_TABLE = "languages.tsv"  # name of a table of one's own in a data folder


@dataclass(frozen=True)
class Language:
    """One row of the table."""

    code: str  # ISO 639-3, three lower-case letters
    name: str  # English name, as CLDR has it with few exceptions
    family: str  # top-level family; "Constructed" and "Isolate" stand where there is none
    script: str  # ISO 15924 code of the script it is mostly written in
    scored_without_spaces: bool  # spaces are removed from both sides before CER is counted
    other_codes: tuple[str, ...]  # codes met in the wild: ISO 639-1, 639-2/B, corpora's own
    corpus_names: tuple[str, ...] = ()  # what each corpus calls it: common_voice=zh-CN
    whisper: str = ""  # its token in Whisper, jw for <|jw|>; empty where it has none


class _Tables(NamedTuple):
    by_code: Mapping[str, Language]
    by_other_code: Mapping[str, str]
    by_corpus_name: Mapping[str, str]


def name_of(code: str, own_table: str | Path | None = None) -> str:
    """English name of a language; the code itself where no table knows it.

    Reports are also made of runs whose own table is no longer at hand, so an unknown code is no
    error here; `require_known` is the gate through which every data folder passes.
    """
    language = _tables(own_table).by_code.get(code)
    return language.name if language else code


def label_of(code: str) -> str:
    """``kat Georgian``; the code alone where its name is not known."""
    name = name_of(code)
    return code if name == code else f"{code} {name}"


def scored_without_spaces(code: str, own_table: str | Path | None = None) -> bool:
    """Whether spaces are removed before CER is counted (ML-SUPERB: cmn, jpn, tha and yue).

    False for a code that no table knows.
    """
    language = _tables(own_table).by_code.get(code)
    return bool(language and language.scored_without_spaces)


def whisper_code(code: str, own_table: str | Path | None = None) -> str | None:
    """openai's code of the language, as in the token ``<|jw|>``; None where it has no token."""
    language = _tables(own_table).by_code.get(code)
    return (language.whisper or None) if language else None


def is_code(tag: str) -> bool:
    """Whether the package's table has ``tag`` as a code of a language, its own or another one
    (``deu``, ``ger``, ``org_jpn``).
    """
    tables = _tables(None)
    return tag in tables.by_code or tag in tables.by_other_code


def known_languages(own_table: str | Path | None = None) -> Mapping[str, Language]:
    """All languages by code, the rows of ``own_table`` replacing those of the package."""
    return _tables(own_table).by_code


def find(tag: str, own_table: str | Path | None = None) -> Language | None:
    """The language that a code, a locale such as ``pt-BR`` or an English name stands for.

    Meant for suggestions and for translating the codes of other tools; a `.lang` file is never
    read through it, because a guess there would change which group an utterance trains.
    """
    tables = _tables(own_table)
    wanted = tag.strip().strip("[]").lower()
    # "org_jpn" is a code of its own, "pt_br" a locale: the whole is tried before its parts
    for candidate in (wanted, wanted.replace("_", "-").split("-")[0]):
        code = candidate if candidate in tables.by_code else tables.by_other_code.get(candidate)
        if code:
            return tables.by_code[code]
    for language in tables.by_code.values():
        if language.name.lower() == wanted:
            return language
    return None


def of_corpus(corpus: str, name: str, own_table: str | Path | None = None) -> Language | None:
    """The language that a corpus calls ``name``, exactly; None where no table says so.

    Args:
        corpus: ``common_voice``, ``fleurs``, ``ml_superb``, or another of a table of one's own.
    """
    tables = _tables(own_table)
    code = tables.by_corpus_name.get(f"{corpus}={name}")
    return tables.by_code[code] if code else None


def nearest(tag: str, own_table: str | Path | None = None) -> tuple[Language, ...]:
    """At most three languages that the writer of ``tag`` may have meant, the likeliest first."""
    certain = find(tag, own_table)
    if certain:
        return (certain,)
    tables = _tables(own_table)
    wanted = tag.strip().strip("[]").lower()
    if not wanted:
        return ()
    by_spelling: dict[str, str] = {}
    for language in tables.by_code.values():
        by_spelling.setdefault(language.name.lower(), language.code)
    begin_alike = sorted(
        (name for name in by_spelling if len(wanted) >= 3 and name.startswith(wanted)), key=len
    )
    if not begin_alike:
        by_spelling.update({code: code for code in tables.by_code})
        alike = difflib.get_close_matches(wanted, by_spelling, n=3 * N_SUGGESTIONS, cutoff=0.6)
        # a slip of the finger rarely hits the first letters: "frc" is French before it is Greek
        begin_alike = sorted(alike, key=lambda spelling: -len(commonprefix((wanted, spelling))))
    codes = dict.fromkeys(by_spelling[spelling] for spelling in begin_alike)
    return tuple(tables.by_code[code] for code in list(codes)[:N_SUGGESTIONS])


def own_table_of(data_folder: str | Path) -> Path | None:
    """The table of one's own that ``prepare --languages FILE`` left in a data folder."""
    path = Path(data_folder) / OWN_TABLE
    return path if path.is_file() else None


def require_known(code: str, where: str, own_table: str | Path | None = None) -> Language:
    """The table's row of ``code``.

    Args:
        code: what a data folder says, taken literally.
        where: ``file:line`` or another place the user can go to.
        own_table: path of a further table in the columns of ``languages.tsv``.

    Raises:
        UserError: the code is in neither table; the sentence names the nearest languages.
    """
    language = _tables(own_table).by_code.get(code)
    if language:
        return language
    near = nearest(code, own_table)
    if near:
        advice = "did you mean " + " or ".join(f"{one.code} ({one.name})" for one in near) + "?"
    else:
        advice = "write the three lower-case letters of the language, such as deu for German"
    raise UserError(f"{where}: {code!r} is not an ISO 639-3 code in the language table; {advice}")


@lru_cache(maxsize=8)
def _tables(own_table: str | Path | None) -> _Tables:
    by_code = dict(_read(PACKAGE_TABLE))
    if own_table is not None:
        by_code.update(_read(Path(own_table)))
    by_other_code = {
        other: language.code for language in by_code.values() for other in language.other_codes
    }
    by_corpus_name = {
        name: language.code for language in by_code.values() for name in language.corpus_names
    }
    return _Tables(
        MappingProxyType(by_code), MappingProxyType(by_other_code), MappingProxyType(by_corpus_name)
    )


def _read(path: Path) -> dict[str, Language]:
    """Rows of a table by code; a `UserError` names the line that has another form."""
    lines = [line for _, line in lines_of(path)]
    header = lines[0].split("\t") if lines else []
    if len(header) < N_NEEDED_COLUMNS or tuple(header) != COLUMNS[: len(header)]:
        expected = "\t".join(COLUMNS)
        raise UserError(
            f"{path}:1: the first line of a language table must be {expected!r} (tab-separated; "
            "the last columns may be missing)"
        )
    rows: dict[str, Language] = {}
    for number, line in enumerate(lines[1:], start=2):
        fields = line.split("\t")
        if len(fields) != len(header) or fields[4] not in ("yes", "no"):
            raise UserError(
                f"{path}:{number}: expected {len(header)} tab-separated columns "
                f"({', '.join(header)}), the fifth being yes or no"
            )
        code, name, family, script, without_spaces, others = fields[:N_NEEDED_COLUMNS]
        if not _CODE.fullmatch(code):
            raise UserError(
                f"{path}:{number}: {code!r} is not a code: expected three lower-case letters, such "
                "as deu, which may continue as in org_jpn"
            )
        if code in rows:
            raise UserError(f"{path}:{number}: {code} has a line already; leave one of them")
        corpus_names, whisper = [*fields[N_NEEDED_COLUMNS:], "", ""][:2]
        rows[code] = Language(
            code, name, family, script, without_spaces == "yes", tuple(others.split()),
            tuple(corpus_names.split()), whisper,
        )
    return rows
