"""Which languages of a corpus are wanted, and what the corpus calls them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairseq_dro import languages
from fairseq_dro.errors import UserError
from fairseq_dro.language_sets import read_set

_CODES = re.compile(r"[a-z]{3}(,[a-z]{3})*,?")


@dataclass
class LanguageChoice:
    """The languages to take.

    Attributes:
        wanted: ISO 639-3 codes; all that the corpus has when None.
        own_table: a further language table in the columns of ``languages.tsv``.
    """

    wanted: frozenset[str] | None = None
    own_table: Path | None = None
    _translated: dict[tuple[str, str], str] = field(default_factory=dict)

    def code_of(self, name: str, corpus: str, where: str) -> str:
        """ISO 639-3 code of a language as ``corpus`` calls it.

        Args:
            corpus: a name of the column ``corpus_names``, such as ``fleurs``.

        Raises:
            UserError: nobody knows the name; it says the nearest languages.
        """
        key = (corpus, name)
        if key not in self._translated:
            known = languages.of_corpus(corpus, name, self.own_table)
            if known is None:
                try:
                    known = languages.require_known(name, where, self.own_table)
                except UserError as error:
                    raise UserError(
                        f"{error}; a language that is not in the table is added by a table of your "
                        "own: --languages FILE"
                    ) from None
            self._translated[key] = known.code
        return self._translated[key]

    def takes(self, code: str) -> bool:
        """Whether a language is wanted."""
        return self.wanted is None or code in self.wanted


def choose(languages_option: str | None, set_name: str | None) -> LanguageChoice:
    """From ``--languages`` (codes such as ``deu,kat``, or a table's file) and ``--languages-set``.

    Raises:
        UserError: an unknown code, a file or a set that does not exist.
    """
    own_table, wanted = None, None
    if languages_option is not None:
        if os.path.isfile(languages_option):
            own_table = Path(languages_option)
            languages.known_languages(own_table)  # says now what is wrong with it
        elif _CODES.fullmatch(languages_option):
            wanted = frozenset(codes_or_set(languages_option, "--languages"))
        else:
            raise UserError(
                f"--languages {languages_option!r} is neither a file nor codes: expected a table "
                "in the columns of languages.tsv, or ISO 639-3 codes such as "
                f"{_as_codes(languages_option) or 'deu,kat'}."
            )
    if set_name is not None:
        chosen = frozenset(read_set(set_name, own_table))
        wanted = chosen if wanted is None else wanted & chosen
        if not wanted:
            raise UserError(
                f"--languages-set {set_name} has none of --languages {languages_option}: leave one "
                "of them out."
            )
    return LanguageChoice(wanted, own_table)


def _as_codes(option: str) -> str:
    """``spa,bel`` for ``es,Belarusian``; empty where a part of it is no language."""
    found = [languages.find(part) for part in option.split(",") if part.strip()]
    return ",".join(one.code for one in found if one) if found and all(found) else ""


def codes_or_set(option: str, name: str, own_table: Path | None = None) -> list[str]:
    """Codes such as ``deu,kat``, or those of a set.

    Raises:
        UserError: an unknown code, or no such set.
    """
    if not _CODES.fullmatch(option):
        return read_set(option, own_table, name)
    codes = [code for code in option.split(",") if code]
    for code in codes:
        languages.require_known(code, name, own_table)
    return codes


def describe_set(name: str, codes: Collection[str]) -> dict[str, Any]:
    """What ``dataset.json`` says of a choice of languages: the same codes give the same sum."""
    ordered = sorted(set(codes))
    text = "".join(f"{code}\n" for code in ordered)
    return {
        "name": name, "languages": len(ordered),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }  # fmt: skip
