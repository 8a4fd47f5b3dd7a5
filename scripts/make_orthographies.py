"""Make ``fairseq_dro/text/orthographies.tsv`` from published alphabets.

    npm pack cldr-misc-full@48.2.0 && tar -xzf cldr-misc-full-48.2.0.tgz   # -> package/
    pip download --no-deps gflanguages==0.7.11 && unzip gflanguages-0.7.11-*.whl -d gflanguages
    python scripts/make_orthographies.py --cldr package --gflanguages gflanguages

Of each language of ``languages.tsv`` the exemplar characters are read: those of CLDR (Unicode
licence v3) and of gflanguages (Apache 2.0). What the rules of ``fairseq_dro/text`` ask of
an alphabet is worked out from them and joined with Unicode's Word_Break property (UAX #29) and with
``EXCEPTIONS``. Languages with no alphabet in either have no row.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import regex

from fairseq_dro.languages import Language, known_languages
from fairseq_dro.text.orthography import COLUMNS, TABLE
from fairseq_dro.text.signs import APOSTROPHES

CLDR, GFLANGUAGES = "CLDR 48.2.0", "gflanguages 0.7.11"
MACRO = {"kmr": "ku", "ory": "or", "azj": "az", "arb": "ar"}
"""Languages whose alphabet CLDR has under the code of their macrolanguage (ISO 639-3)."""
INSIDE_WORDS = regex.compile(r"\p{Word_Break=MidLetter}|\p{Word_Break=MidNumLet}")


class Exception_(NamedTuple):
    """What no exemplar set says of an orthography, and who does."""

    column: str
    value: str
    source: str


EXCEPTIONS: dict[str, tuple[Exception_, ...]] = {
    "mlt": (
        Exception_(
            "apostrophe", "letter",
            "Kunsill Nazzjonali tal-Ilsien Malti, Deċiżjonijiet 1 (2008), "
            "ikteb.mt/decizjonijiet-1: ta'",
        ),
    ),
    "eng": (
        Exception_("apostrophe", "edge", "stylemanual.org/apostrophe.html: the girls'"),
    ),
    "fra": (
        Exception_(
            "apostrophe", "edge",
            "Dictionnaire de l'Académie française, 9e éd., "
            "dictionnaire-academie.fr/article/A9A2160: l', s'",
        ),
    ),
    "ita": (
        Exception_(
            "apostrophe", "edge",
            "C. Trabalza, Dal dialetto alla lingua (1917), 31, it.wikisource.org: po', "
            "di'",
        ),
    ),
    "cat": (
        Exception_(
            "apostrophe", "edge",
            "Universitat Pompeu Fabra, Llibre d'estil, "
            "upf.edu/web/llibre-estil/articles-i-preposicions: l', d'",
        ),
    ),
    "nld": (
        Exception_("apostrophe", "edge", "beterspellen.nl, apostrof: 's, 't, 'n, Kees'"),
    ),
    "afr": (
        Exception_(
            "apostrophe", "edge",
            "Afrikaanse Woordelys en Spelreëls, 11th ed., rule 2.15, after "
            "maroelamedia.co.za: 'n, 'k, 't",
        ),
    ),
    "cym": (
        Exception_("apostrophe", "edge", "en.wikibooks.org/wiki/Welsh/Grammar/Articles: 'r"),
    ),
    "gla": (
        Exception_(
            "apostrophe", "edge",
            "SQA, Gaelic Orthographic Conventions (2009), yumpu.com 11919291: a', 'son",
        ),
    ),
    "gle": (
        Exception_("apostrophe", "edge", "stopwords-iso/stopwords-ga: b', d', m'"),
    ),
    "heb": (
        Exception_("apostrophe", "edge", "UAX #29, WB7a: geresh after a letter"),
    ),
    "yid": (
        Exception_("apostrophe", "edge", "UAX #29, WB7a: geresh after a letter"),
        Exception_("inner_signs", "\u05f4", "UAX #29, WB7b and WB7c: gershayim"),
    ),
    "som": (
        Exception_(
            "apostrophe", "letter",
            "J. Korpela, Kirjainten tarinoita, 6.51 (jkorpela.fi): a consonant",
        ),
    ),
    "swe": (
        Exception_("inner_signs", ":", "Unicode L2/04-215, 3: abbreviations in Swedish"),
    ),
    "fin": (
        Exception_(
            "inner_signs", ":",
            "Kotus, Nostoja Kielitoimiston ohjepankista (22.9.2017): YK:n",
        ),
    ),
    "chr": (
        Exception_(
            "inner_signs", ":",
            "languages-of-the-world.org, CherokeeProposal: romanised, a colon marks a "
            "long vowel",
        ),
    ),
    "crh": (
        Exception_(
            "dotless_i", "yes",
            "en.wikipedia.org/wiki/Crimean_Tatar_alphabet, the alphabet of 1997: I ı, İ i",
        ),
    ),
}  # fmt: skip
"""Each source was looked up, and says what stands after its colon. Not found: English 'em, Italian
'sto, Catalan 'l after a verb, Welsh 'n and 'i, and what the Taalunie's Leidraad and An Caighdeán
Oifigiúil themselves say; that signs stand at an edge there is known from texts."""


class Alphabet(NamedTuple):
    source: str
    main: frozenset[str]
    auxiliary: frozenset[str]


def exemplars(written: str) -> frozenset[str]:
    """Characters of a UnicodeSet such as ``[a-c {ch} \\- ʼ]``; those of a cluster singly."""
    found: set[str] = set()
    for cluster, escaped, first, last, one in re.findall(
        r"\{([^}]*)\}|\\(.)|([^\s\\{}])-([^\s\\{}])|(\S)", written.strip()[1:-1]
    ):
        if first:
            found.update(map(chr, range(ord(first), ord(last) + 1)))
        else:
            found.update((cluster or escaped or one).replace("\\", ""))
    return frozenset(found)


def of_cldr(root: Path, language: Language) -> Alphabet | None:
    for code in (*(c for c in language.other_codes if len(c) == 2), language.code,
                 MACRO.get(language.code, "")):  # fmt: skip
        for locale in (code, f"{code}-{language.script}"):
            path = root / "main" / locale / "characters.json"
            if not code or not path.is_file():
                continue
            said = json.loads(path.read_text(encoding="utf-8"))["main"][locale]["characters"]
            said = {name: re.sub(r"\\u([0-9A-Fa-f]{4})", lambda m: chr(int(m[1], 16)), value)
                    for name, value in said.items() if isinstance(value, str)}  # fmt: skip
            main = exemplars(said.get("exemplarCharacters", "[]"))
            if main and script_of(main) in scripts_of(language):
                return Alphabet(
                    f"{CLDR}: {locale}", main, exemplars(said.get("auxiliary", "[]"))
                )
    return None


def of_gflanguages(root: Path, language: Language) -> Alphabet | None:
    for code in (*(c for c in language.other_codes if len(c) == 2), language.code):
        path = root / "gflanguages" / "data" / "languages" / f"{code}_{language.script}.textproto"
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        said = dict(re.findall(r'^  (base|auxiliary): "((?:[^"\\]|\\.)*)"', text, re.MULTILINE))
        main, auxiliary = (
            frozenset(said.get(name, "").replace("\\'", "'")) - set(" {}\\")
            for name in ("base", "auxiliary")
        )
        if main:
            return Alphabet(f"{GFLANGUAGES}: {path.stem}", main, auxiliary)
    return None


def joined(cldr: Alphabet | None, gflanguages: Alphabet | None) -> Alphabet | None:
    """CLDR's alphabet, with the signs besides letters that only the other one has."""
    if cldr is None or gflanguages is None:
        return cldr or gflanguages
    signs = {one for one in gflanguages.main - cldr.main if one in APOSTROPHES}
    if not signs:
        return cldr
    source = f"{cldr.source}; {gflanguages.source}"
    return Alphabet(source, cldr.main | signs, cldr.auxiliary)


def script_of(characters: frozenset[str]) -> str:
    """The script that most letters of an alphabet have, by its long name."""
    counts: Counter[str] = Counter()
    for one in characters:
        for name in SCRIPTS:
            if regex.match(rf"\p{{Script={name}}}", one):
                counts[name] += 1
    return counts.most_common(1)[0][0] if counts else "Zyyy"


SCRIPTS = (
    "Latn", "Cyrl", "Grek", "Armn", "Hebr", "Arab", "Syrc", "Thaa", "Nkoo", "Deva", "Beng", "Guru",
    "Gujr", "Orya", "Taml", "Telu", "Knda", "Mlym", "Sinh", "Thai", "Laoo", "Tibt", "Mymr", "Geor",
    "Hang", "Ethi", "Cher", "Cans", "Khmr", "Mong", "Hira", "Kana", "Hani", "Tfng", "Olck", "Mtei",
    "Adlm", "Vaii", "Yiii", "Copt", "Cakm", "Java", "Bali", "Sund",
)  # fmt: skip
_ALSO = {
    "Jpan": ("Hira", "Kana", "Hani"), "Kore": ("Hang",), "Hans": ("Hani",), "Hant": ("Hani",),
    "Aran": ("Arab",),
}  # fmt: skip


def scripts_of(language: Language) -> tuple[str, ...]:
    return _ALSO.get(language.script, (language.script,))


def row_of(language: Language, alphabet: Alphabet | None) -> dict[str, str] | None:
    """What the rules ask of an orthography; None where nobody says anything of it."""
    exceptions = EXCEPTIONS.get(language.code, ())
    if alphabet is None and not exceptions:
        return None
    main, auxiliary = alphabet[1:] if alphabet else (frozenset(), frozenset())
    inner = {
        one for one in main | auxiliary if INSIDE_WORDS.match(one) and one not in APOSTROPHES
    }
    row = {
        "code": language.code,
        "apostrophe": "letter" if main & set(APOSTROPHES) else "inner",
        "dotless_i": "yes" if "\u0131" in main else "no",
        "inner_signs": "".join(sorted(inner)),
        "source": "; ".join(
            [*([alphabet.source] if alphabet else []), *(one.source for one in exceptions)]
        ),
    }
    for one in exceptions:
        row[one.column] = one.value
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cldr", type=Path, required=True, help="npm's cldr-misc-full, unpacked")
    parser.add_argument("--gflanguages", type=Path, required=True, help="the wheel, unpacked")
    args = parser.parse_args()
    rows = [
        row_of(one, joined(of_cldr(args.cldr, one), of_gflanguages(args.gflanguages, one)))
        for one in known_languages().values()
    ]
    kept = [row for row in rows if row is not None]
    lines = ["\t".join(COLUMNS), *("\t".join(row[name] for name in COLUMNS) for row in kept)]
    TABLE.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    sys.stdout.write(f"{TABLE}: {len(kept)} of {len(rows)} languages have an alphabet\n")


if __name__ == "__main__":
    main()
