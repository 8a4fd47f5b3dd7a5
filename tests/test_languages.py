"""Laws of the language table, held against langcodes, espeak-ng and the published sets."""

from __future__ import annotations

import ast
import hashlib
import re
from pathlib import Path

import espeakng_loader
import langcodes
import pytest

from fairseq_dro import languages
from fairseq_dro.errors import UserError
from fairseq_dro.language_sets import FOLDER, names, read_set
from fairseq_dro.prepare.language_choice import describe_set

MANIFESTS = Path(__file__).parent.parent / "manifests"
SETS = {  # lines, distinct languages, SHA-256 of their sorted codes: a name has one meaning
    "ml_superb_143": (143, 141, "81c339f2a509dc257792d6b09fbc78ea"),
    "few_shot_20": (20, 20, "be3f431128e12da113f46aba073aadfa"),
    "fleurs_102": (102, 102, "6bd6d95261413eec39d3938e03ed1fd8"),
    "common_voice_17": (205, 202, "e272197d7028295990dc0bf7962f4c1a"),
    "common_voice_27": (353, 350, "9734b75c492384d0b465ca235907822b"),
    "six_languages": (6, 6, "547a6b37b66df347ad1959c75bd68874"),
}
REAL_CORPUS = "arb ben blk chr cmn deu ell eng fra gla isl ita nld pol rus spa tok".split()

# Where our table differs from langcodes (CLDR), and why.
NAME_EXCEPTIONS = {
    "ben": "CLDR says Bangla; the speech corpora and their papers say Bengali",
    "kaa": "CLDR says Kara-Kalpak; Common Voice and espeak-ng say Karakalpak",
    "luo": "CLDR adds the countries, which no other Luo of the table makes necessary",
    "tgl": "CLDR folds tgl into Filipino; Common Voice has it beside fil",
    "wep": "CLDR writes Westphalien",
}
SCRIPT_EXCEPTIONS = {
    "blk": "langcodes does not know the language and answers Latin; Pa'o is written in Burmese",
    **dict.fromkeys(
        "bgp bsh bsk btv dmk dml ggg gig lrk lss mve odk phr plk sbn ssi ush xhe xka ydg".split(),
        "langcodes does not know or guesses; written in Arabic letters where it is spoken, in and "
        "around Pakistan",
    ),
    "bax": "CLDR thinks of the Bamum script; today's texts are in Latin letters",
    "bbl": "langcodes does not know the language and answers Latin; Bats is written in Georgian",
    "fub": "CLDR says Arabic; Cameroon writes it in Latin letters",
    "sva": "langcodes does not know the language and answers Latin; Svan is written in Georgian",
    "crh": "Common Voice's Crimean Tatar sentences are in Latin letters",
    "grc": "CLDR thinks of Cypriot inscriptions",
    "hak": "espeak-ng and most corpora of it use traditional characters",
    "hyw": "langcodes does not know the code and answers Latin",
    "kjh": "langcodes does not know the language and answers Latin; Khakas is written in Cyrillic",
    "kaa": "Latin letters are official since 1995 and what espeak-ng reads",
    "nan": "ML-SUPERB's nan is Common Voice's nan-tw: Taiwan writes traditional characters",
    "nog": "langcodes does not know the language and answers Latin",
}
VALIDITY_EXCEPTIONS = {"tok": "registered in 2022, after the list that langcodes checks"}
TWO_LETTER_EXCEPTIONS = {
    "cmn": "zh is the macrolanguage zho; people who write it mean Mandarin",
}
# Voices of espeak-ng for languages without an ISO 639-3 code.
ESPEAK_WITHOUT_CODE = {"py": "Pyash", "qdb": "Lang Belta", "xex": "a test of Xextan"}
FAMILY_OF_ESPEAK_FOLDER = {
    "aav": "Austroasiatic", "art": "Constructed", "azc": "Uto-Aztecan", "bnt": "Atlantic-Congo",
    "bat": "Indo-European", "ccs": "Kartvelian", "cel": "Indo-European", "cus": "Afro-Asiatic",
    "dra": "Dravidian", "esx": "Eskimo-Aleut", "gmq": "Indo-European", "gmw": "Indo-European",
    "grk": "Indo-European", "inc": "Indo-European", "ine": "Indo-European",
    "ira": "Indo-European", "iro": "Iroquoian", "itc": "Indo-European", "jpx": "Japonic",
    "map": "Austronesian", "miz": "Mixe-Zoquean", "myn": "Mayan", "poz": "Austronesian",
    "roa": "Indo-European", "sai": "Tupian", "sem": "Afro-Asiatic", "sit": "Sino-Tibetan",
    "tai": "Kra-Dai", "trk": "Turkic", "urj": "Uralic", "zle": "Indo-European",
    "zls": "Indo-European", "zlw": "Indo-European",
}  # fmt: skip


def _langcodes(code: str) -> langcodes.Language:
    """langcodes' view of an ISO 639-3 code, which it files under two letters where it can."""
    as_written = langcodes.Language.get(code, normalize=False)
    if "Unknown" in as_written.language_name():
        return langcodes.Language.get(code)
    return as_written


def _read_set(name: str) -> list[list[str]]:
    lines = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


def _espeak_voices() -> list[tuple[str, str]]:
    """(folder, language tag) of every voice in the installed espeak-ng data."""
    root = Path(espeakng_loader.get_data_path()) / "lang"
    voices = []
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        tag = re.search(r"^language\s+(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        voices.append((path.relative_to(root).parts[0], tag.group(1)))
    return voices


def test_names_are_those_of_langcodes_but_for_listed_exceptions():
    differing = {
        code
        for code, language in languages.known_languages().items()
        if language.name != _langcodes(code).language_name()
    }
    assert differing == set(NAME_EXCEPTIONS)


def test_scripts_are_those_of_langcodes_but_for_listed_exceptions():
    differing = {
        code
        for code, language in languages.known_languages().items()
        if language.script != _langcodes(code).maximize().script
    }
    assert differing == set(SCRIPT_EXCEPTIONS)


def test_codes_are_three_letters_in_order_and_registered():
    codes = list(languages.known_languages())
    assert codes == sorted(codes)
    assert all(re.fullmatch("[a-z]{3}", code) for code in codes)
    assert {code for code in codes if not _langcodes(code).is_valid()} == set(VALIDITY_EXCEPTIONS)


def test_two_letter_codes_lead_to_the_language_that_langcodes_names():
    differing = set()
    for code, language in languages.known_languages().items():
        ours = {other for other in language.other_codes if len(other) == 2}
        theirs = langcodes.Language.get(code).language
        if any(langcodes.Language.get(other).language != theirs for other in ours):
            differing.add(code)
        if len(_langcodes(code).language) == 2 and theirs not in ours:
            differing.add(code)
    assert differing == set(TWO_LETTER_EXCEPTIONS)


def test_no_other_code_stands_for_two_languages_or_hides_a_code():
    table = languages.known_languages()
    others = [other for language in table.values() for other in language.other_codes]
    assert len(others) == len(set(others))
    assert not set(others) & set(table)


@pytest.mark.parametrize("name", SETS)
def test_every_language_of_a_published_set_is_in_the_table(name):
    rows = _read_set(name)
    for row in rows:
        languages.require_known(row[0], f"{name}.txt")
        corpus_code = row[-1]
        assert corpus_code == "zh-HK" or languages.find(corpus_code).code == row[0]
    described = describe_set(name, read_set(name))
    assert (len(rows), described["languages"], described["sha256"][:32]) == SETS[name]
    text = "".join(f"{code}\n" for code in sorted({row[0] for row in rows}))
    assert described["sha256"] == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "name, corpus",
    [("common_voice_27", "common_voice"), ("fleurs_102", "fleurs"), ("ml_superb_143", "ml_superb")],
)
def test_the_table_knows_exactly_what_each_corpus_calls_its_languages(name, corpus):
    listed = {row[-1]: row[0] for row in _read_set(name)}
    in_table = {
        entry.removeprefix(f"{corpus}="): code
        for code, language in languages.known_languages().items()
        for entry in language.corpus_names
        if entry.startswith(f"{corpus}=")
    }
    assert in_table == listed
    assert all(languages.of_corpus(corpus, called).code == listed[called] for called in listed)


def test_corpora_call_languages_by_names_that_no_rule_could_guess():
    of = languages.of_corpus
    assert of("common_voice", "pa-IN").code == of("fleurs", "pa_in").code == "pan"
    assert of("common_voice", "zh-CN").code == of("fleurs", "cmn_hans_cn").code == "cmn"
    assert of("common_voice", "zh-HK").code == of("fleurs", "yue_hant_hk").code == "yue"
    assert of("ml_superb", "org_jpn").code == "jpn" and of("ml_superb", "lga").code == "lug"
    assert of("fleurs", "pa-IN") is None and of("common_voice", "xx") is None


def test_every_set_in_the_folder_has_its_meaning_pinned():
    assert names() == sorted(SETS)


def test_few_shot_languages_are_languages_of_ml_superb():
    few, full = ({row[0] for row in _read_set(n)} for n in ("few_shot_20", "ml_superb_143"))
    assert few <= full


def test_every_language_of_the_real_corpus_is_in_the_table():
    assert all(languages.require_known(code, "corpus").code == code for code in REAL_CORPUS)


def test_every_espeak_language_is_found_and_its_family_agrees():
    found = set()
    for folder, tag in _espeak_voices():
        language = languages.find(tag)
        if language is None:
            assert tag in ESPEAK_WITHOUT_CODE
            continue
        found.add(language.code)
        expected = FAMILY_OF_ESPEAK_FOLDER.get(folder, language.family)
        assert language.family == expected, (tag, folder)
    assert len(found) >= 100


def test_ml_superb_scores_four_languages_without_spaces():
    assert {c for c in languages.known_languages() if languages.scored_without_spaces(c)} == {
        "cmn",
        "jpn",
        "tha",
        "yue",
    }


@pytest.mark.parametrize(
    "written, meant",
    [
        ("de", "deu (German)"),
        ("DEU", "deu (German)"),
        ("ger", "deu (German)"),
        ("German", "deu (German)"),
        ("engl", "eng (English)"),
        ("frc", "fra (French)"),
        ("pt-BR", "por (Portuguese)"),
        ("zh_CN", "cmn (Mandarin Chinese)"),
        ("org_jpn", "jpn (Japanese)"),
        ("[nan]", "nan (Min Nan Chinese)"),
        ("eng ", "eng (English)"),
        ("", "three lower-case letters"),
        ("qqq", "three lower-case letters"),
    ],
)
def test_an_unknown_code_is_refused_with_its_place_and_the_nearest_languages(written, meant):
    with pytest.raises(UserError) as refusal:
        languages.require_known(written, "train.lang:7")
    message = str(refusal.value)
    assert message.startswith(f"train.lang:7: {written!r} ")
    assert meant in message
    assert "\n" not in message


def test_an_unknown_code_is_named_by_itself_and_scored_with_spaces():
    assert languages.name_of("qqq") == "qqq"
    assert languages.scored_without_spaces("qqq") is False


def test_languages_have_the_tokens_of_whisper():
    tokens = {
        code: languages.whisper_code(code) for code in languages.known_languages()
    }
    given = {token for token in tokens.values() if token}
    assert len(given) == 99  # large-v3 has 100: Sanskrit is in no corpus of the table
    assert tokens["jav"] == "jw" and tokens["arb"] == tokens["ara"] == "ar"
    assert tokens["gla"] is None and languages.whisper_code("qqq") is None
    in_superb = {
        code
        for code, language in languages.known_languages().items()
        if tokens[code] and any(name.startswith("ml_superb=") for name in language.corpus_names)
    }
    assert len(in_superb - {"fil", "nob", "yue"}) == 88


def test_own_table_adds_languages_and_replaces_rows(tmp_path):
    own = tmp_path / "mine.tsv"
    own.write_text(
        "\t".join(languages.COLUMNS)
        + "\nqqa\tOur Village\tIsolate\tLatn\tno\tvillage\tours=v1 ours=v2\tcy"
        + "\nnan\tHokkien\tSino-Tibetan\tHant\tyes\t\t\t\n",
        encoding="utf-8",
    )
    assert languages.require_known("qqa", "x:1", own).name == "Our Village"
    assert languages.find("village", own).code == "qqa"
    assert languages.of_corpus("ours", "v2", own).code == "qqa"
    assert languages.whisper_code("qqa", own) == "cy"
    assert languages.name_of("nan", own) == "Hokkien"
    assert languages.scored_without_spaces("nan", own)
    assert languages.name_of("nan") == "Min Nan Chinese"
    with pytest.raises(UserError):
        languages.require_known("qqa", "x:1")


@pytest.mark.parametrize(
    "text, place",
    [
        ("code\tname\n", ":1:"),
        ("{header}\nqqa\tOurs\n", ":2:"),
        ("{header}\nqqa\tOurs\tIsolate\tLatn\tperhaps\t\n", ":2:"),
        ("{header}\nqqa\ta\tb\tLatn\tno\t\nqqa\ta\tb\tLatn\tno\t\n", ":3:"),
    ],
)
def test_a_broken_own_table_is_refused_by_line(tmp_path, text, place):
    own = tmp_path / "mine.tsv"
    header = "\t".join(languages.COLUMNS[: languages.N_NEEDED_COLUMNS])
    own.write_text(text.format(header=header), encoding="utf-8")
    with pytest.raises(UserError, match=re.escape(f"{own}{place}")):
        languages.name_of("deu", own)


def test_a_missing_own_table_is_refused_by_name(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        languages.name_of("deu", tmp_path / "absent.tsv")


def test_the_module_needs_neither_fairseq_nor_torch():
    tree = ast.parse(Path(languages.__file__).read_text(encoding="utf-8"))
    imported = {
        name.name.split(".")[0] if isinstance(node, ast.Import) else node.module
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in node.names
    }
    assert not imported & {"fairseq", "torch", "hydra", "omegaconf", "langcodes"}


def test_the_example_folder_follows_its_own_description():
    folder = MANIFESTS / "example"
    units: dict[str, int] = {}
    for split in ("train", "valid"):
        lines = {
            kind: (folder / f"{split}.{kind}").read_text(encoding="utf-8").splitlines()
            for kind in ("tsv", "ltr", "lang", "utt")
        }
        assert len(lines["tsv"]) - 1 == len(lines["ltr"]) == len(lines["lang"]) == len(lines["utt"])
        assert all(languages.require_known(code, split) for code in lines["lang"])
        assert len(set(lines["utt"])) == len(lines["utt"])
        for unit in " ".join(lines["ltr"]).split():
            assert split == "train" or unit in units
            units[unit] = units.get(unit, 0) + (split == "train")
    by_count = sorted(units.items(), key=lambda pair: (-pair[1], pair[0]))
    dictionary = (folder / "dict.ltr.txt").read_text(encoding="utf-8").splitlines()
    assert dictionary == [f"{unit} {count}" for unit, count in by_count]


@pytest.mark.parametrize("code", ["my lang", "../../z", "de", "DEU", "deu/mls", ""])
def test_a_code_of_an_own_table_can_name_a_folder_and_a_group(tmp_path, code):
    own = tmp_path / "own.tsv"
    header = "code\tname\tfamily\tscript\tscored_without_spaces\tother_codes\n"
    own.write_text(f"{header}{code}\tOurs\tIsolate\tLatn\tno\t\n", encoding="utf-8-sig")
    with pytest.raises(UserError, match="own.tsv:2: .* is not a code: expected three"):
        languages.known_languages(own)
