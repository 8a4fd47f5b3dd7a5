"""What a letter, a word and a tag are, language by language."""

from __future__ import annotations

import importlib.util
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_dro.languages import known_languages
from fairseq_dro.scoring.text import split_language_token
from fairseq_dro.text.casing import lower_case
from fairseq_dro.text.orthography import COLUMNS, TABLE, UNKNOWN, orthography_of
from fairseq_dro.text.profiles import PROFILES
from fairseq_dro.text.signs import APOSTROPHES
from fairseq_dro.text.tags import is_tag, with_whole_tags, without_tags
from fairseq_dro.text.words import ENCODINGS, speller
from tests.stock_commands import REPOSITORY

GOLDEN = Path(__file__).parent / "golden" / "text_profiles.tsv"
LOWER, KEEP_CASE = PROFILES["lower"], PROFILES["keep_case"]
ROWS = [line.split("\t") for line in TABLE.read_text(encoding="utf-8").splitlines()[1:]]
DOTLESS = [code for code, _, dotless, *_ in ROWS if dotless == "yes"]
WITH_MARK = [code for code, apostrophe, *_ in ROWS if apostrophe == "letter"]
WITH_SIGN = [(code, sign) for code, _, _, signs, _ in ROWS for sign in signs]


def golden_rows() -> list[dict[str, str]]:
    """The table; invisible characters are written as ``\\u200c`` in it."""
    lines = GOLDEN.read_text(encoding="utf-8").splitlines()
    header = lines[0].split("\t")
    return [dict(zip(header, map(_read, line.split("\t")))) for line in lines[1:]]


def _read(written: str) -> str:
    first, *others = written.split("\\u")
    return first + "".join(chr(int(other[:4], 16)) + other[4:] for other in others)


@pytest.mark.parametrize("row", golden_rows(), ids=lambda row: row["language"])
def test_a_sentence_is_spelt_as_the_table_says(row):
    assert set(PROFILES) == row.keys() - {"language", "published"}
    for name, profile in PROFILES.items():
        assert profile(row["published"], row["language"]) == row[name], name


def test_the_table_of_sentences_has_twenty_languages_and_more():
    assert len({row["language"] for row in golden_rows()}) >= 20


@pytest.mark.parametrize("code", DOTLESS)
@pytest.mark.parametrize(
    "upper, lower", [("IRAK", "ırak"), ("İZMİR", "izmir"), ("I\u0307R", "ir"), ("ısı", "ısı")]
)
def test_dotless_orthographies_keep_their_two_letters(code, upper, lower):
    assert LOWER(upper, code) == lower_case(upper, code) == lower
    assert lower_case("IRAK", "eng") == "irak" and lower_case("İ", "lit") == "i"


def test_dotless_orthographies_are_the_turkic_ones_and_zaza():
    assert {"tur", "aze", "azj", "crh", "kaa", "zza"} == set(DOTLESS)


@pytest.mark.parametrize("mark", APOSTROPHES)
@pytest.mark.parametrize("code", [*WITH_MARK, "eng", "deu", "rus", None])
def test_every_look_alike_between_letters_is_one_apostrophe_in_every_language(mark, code):
    assert LOWER(f"o{mark}zbek", code) == "o'zbek"


@pytest.mark.parametrize("mark", APOSTROPHES)
@pytest.mark.parametrize("code", WITH_MARK)
def test_a_mark_that_is_a_letter_stays_at_both_edges_and_alone_is_nothing(mark, code):
    assert LOWER(f"ta{mark}, {mark}il ({mark}) {mark}", code) == "ta' 'il"


@pytest.mark.parametrize("code", ["eng", "fra", "ita", "cat", None])
@pytest.mark.parametrize(
    "published, target",
    [
        ("po' di", "po' di"),
        ("'tis", "'tis"),
        ("say 'yes' and 'no.'", "say yes and no"),
        ("‘Well’, he said", "well he said"),
        ("''well''", "well"),
        ("the dogs' 'big' bone", "the dogs' big bone"),
        ("'a 'b' c'", "a b c"),
    ],
)
def test_an_apostrophe_of_elision_stays_and_a_pair_is_quotation(code, published, target):
    assert LOWER(published, code) == target


@pytest.mark.parametrize("code", ["deu", "rus", "spa"])
def test_where_no_alphabet_has_an_apostrophe_it_stays_between_letters_only(code):
    assert LOWER("’s hab' o'b", code) == "s hab o'b"


@pytest.mark.parametrize("code, sign", WITH_SIGN)
def test_a_sign_of_the_orthography_stays_inside_words_and_cuts_others(code, sign):
    assert LOWER(f"l{sign}la {sign}a a{sign} 2{sign}3", code) == f"l{sign}la a a"
    assert LOWER(f"l{sign}la", "deu") == "l la"


@pytest.mark.parametrize("dot", "·‧∙⋅・")
def test_catalan_is_one_word_with_any_middle_dot_and_with_the_compatibility_letter(dot):
    assert LOWER(f"col{dot}legi", "cat") == "col·legi"
    assert LOWER("coŀlegi COĿLEGI", "cat") == "col·legi col·legi"


@pytest.mark.parametrize("legacy, letter", ENCODINGS.items())
def test_a_sequence_that_unicode_calls_a_letter_becomes_it_and_is_not_one_by_nfc(legacy, letter):
    assert unicodedata.normalize("NFC", legacy) == legacy != letter
    code = "cat" if letter.endswith("·") else "afr"
    assert KEEP_CASE(f"{legacy}l", code) == f"{letter}l"


@pytest.mark.parametrize(
    "code, published, target",
    [
        ("fas", "می\u200cخواهم", "می\u200cخواهم"),
        ("fas", "می\u200c\u200cخواهم\u200c و\u200c", "می\u200cخواهم و"),
        ("urd", "آئی\u200cاین", "آئی\u200cاین"),
        ("deu", "Auf\u200clage Auf\u00adlage Auf\u2060lage \ufeffAuflage", "auflage " * 4),
        ("hin", "क्\u200dया क्\u200cया", "क्या क्या"),
        ("sin", "ක්\u200dර ක\u200dර", "ක්\u200dර කර"),
        ("ben", "র\u200d্য ক্\u200dক", "র\u200d্য ক্ক"),
        ("khm", "ក\u200bខ", "ក ខ"),
        ("tha", "ก\u200bข", "ก ข"),
        ("mya", "က\u200bခ", "က ခ"),
        ("lao", "ກ\u200bຂ", "ກ ຂ"),
        ("eng", "a\u200bb", "a b"),
        ("cmn", "葛\U000e0100城\ufe00", "葛城"),
        ("cmn", "二〇一四", "二〇一四"),
        ("hye", "ինչո՞ւ օ՜հ", "ինչու օհ"),
        ("mya", "၎င်း ၏", "၎င်း ၏"),
        ("khk", "\u1820\u180e\u1821 \u1820\u180b", "\u1820\u180e\u1821 \u1820"),
        ("yid", 'חז"ל', "חז״ל"),
        ("que", "ma˥ ꜜa", "ma˥ ꜜa"),
        ("afr", "ŉ ’n 'n", "'n 'n 'n"),
        ("nld", "ĲS ijs", "ijs ijs"),
        ("tha", "น\u0e4d\u0e49\u0e32 น\u0e49\u0e33", "น\u0e49\u0e33 น\u0e49\u0e33"),
        ("tha", "ท\u0e4d\u0e32", "ท\u0e33"),
        ("lao", "ນ\u0ecd\u0ec9\u0eb2", "ນ\u0ec9\u0eb3"),
    ],
)
def test_format_characters_follow_the_rule_of_their_script(code, published, target):
    assert LOWER(published, code) == target.strip()


KNOWN = [*(code for code, *_ in ROWS), None]


@given(
    st.text(
        st.one_of(st.characters(), st.sampled_from("'’`ab·:. \u200c\u200d\u200bIıİi\u0307<[>]ക്നى")),
        max_size=30,
    ),
    st.sampled_from(KNOWN),
    st.sampled_from(sorted(set(PROFILES) - {"ml_superb"})),  # upper case twice is another thing
)
@settings(max_examples=400, deadline=None)
def test_a_text_that_a_profile_has_made_is_not_changed_by_it_again(text, code, profile):
    spelled = PROFILES[profile](text, code)
    assert unicodedata.is_normalized("NFC", spelled)
    assert spelled == " ".join(spelled.split())
    assert PROFILES[profile](spelled, code) == spelled


def test_the_table_is_of_known_languages_and_a_language_without_a_row_is_unknown():
    assert set(DOTLESS) | set(WITH_MARK) <= {code for code, *_ in ROWS} <= set(known_languages())
    assert all(source for *_, source in ROWS)
    assert orthography_of("qqq") is orthography_of(None) is UNKNOWN


@pytest.mark.parametrize(
    "text, kind, before, after",
    [
        ("ein E-Mail", "cut", "E-Mail", "e mail"),
        ("a.b", "cut", "a.b", "a b"),
        ("Auf\u00adlage", "joined", "Auf\u00adlage", "auflage"),
        ("im Jahr 1914", "emptied", "1914", ""),
        ("5 €", "emptied", "5", ""),
    ],
)
def test_a_word_that_is_cut_joined_or_emptied_is_told_with_what_became_of_it(
    text, kind, before, after
):
    assert (kind, before, after) in speller("deu", True).words(text)[1]


@pytest.mark.parametrize("text", ["Grün, „so“ (ja)!", "don't", "— … ?", "e\u0301", "葛\U000e0100"])
def test_a_text_that_only_loses_punctuation_has_no_change(text):
    assert speller("deu", True).words(text)[1] == []


@pytest.mark.parametrize(
    "tag", ["<unk>", "[noise]", "[background music]", "{cough}", "</s>", "<spn/>", "[deu]", "<ХМ>"]
)
def test_a_tag_is_no_word_unless_it_is_kept_whole(tag):
    published = f"ja{tag} nein"
    assert without_tags(published)[1] == 1 and is_tag("_".join(tag.split()))
    for profile in (LOWER, KEEP_CASE, PROFILES["whisper"]):
        assert profile.spell(published, "deu").n_tags == 1
        assert profile(published, "deu") == "ja nein"
        kept = profile.spell(published, "deu", keeps_tags=True).text.split()
        is_fairseqs = tag in ("<unk>", "</s>")
        assert len(kept) == (2 if is_fairseqs else 3)
        assert is_fairseqs or is_tag(kept[1])


@pytest.mark.parametrize(
    "text", ["3 < 4 > 2", "a [1] b", "x <> y", "[" + "a" * 60 + "]", "[a", "{a|b}", "{a / b / @}"]
)
def test_what_is_no_tag_is_text(text):
    assert without_tags(text) == (text, 0) == with_whole_tags(text, lowers=True)


@pytest.mark.parametrize("code", ["deu", "cmn"])
def test_a_language_token_of_scoring_is_a_tag_of_preparing(code):
    assert split_language_token(f"[{code}] ja") == (code, "ja") and is_tag(f"[{code}]")


@pytest.mark.parametrize("kept", ["1914", "3.5", "a4", "१२", "½"])
def test_digits_stay_where_they_are_asked_for(kept):
    assert LOWER.spell(f"im {kept}!", "deu", keeps_numbers=True).text == f"im {kept}"
    assert LOWER.spell(f"im {kept}!", "deu").has_number


def test_the_table_says_what_its_script_makes_an_exception_of():
    spec = importlib.util.spec_from_file_location(
        "make_orthographies", REPOSITORY / "scripts" / "make_orthographies.py"
    )
    made_by = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made_by)
    rows = {row[0]: dict(zip(COLUMNS, row)) for row in ROWS}
    for code, exceptions in made_by.EXCEPTIONS.items():
        for one in exceptions:
            assert rows[code][one.column] == one.value, code
            assert one.source in rows[code]["source"]
    assert made_by.exemplars("[a-c {ch} \\- ʼ]") == set("abch-ʼ")
