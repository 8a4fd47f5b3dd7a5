"""Look-alikes, encodings, normal forms and case: the same is found in letters and in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairseq_dro.checks import letter_case, spelling
from fairseq_dro.checks.finding import Finding
from fairseq_dro.checks.split_survey import SplitSurvey, survey
from fairseq_dro.data.manifest import read_manifest
from fairseq_dro.prepare.units import Characters, Graphemes

MAKERS = {
    "characters": ("ltr", Characters().labels), "graphemes": ("ltr", Graphemes().labels),
    "words": ("wrd", str),
    "pieces": ("spm", lambda text: " ".join(f"\u2581{w[:3]} {w[3:]}" for w in text.split())),
}  # fmt: skip
KINDS = pytest.mark.parametrize("kind", MAKERS)


@pytest.fixture
def surveyed(tmp_path: Path):
    def look(kind: str, texts: list[str], language: str = "rus") -> SplitSurvey:
        suffix, labels = MAKERS[kind]
        rows = "".join(f"{n}.wav\t32000\n" for n in range(len(texts)))
        (tmp_path / "train.tsv").write_text(f"/\n{rows}")
        (tmp_path / "train.lang").write_text(f"{language}\n" * len(texts))
        lines = "".join(f"{labels(text)}\n" for text in texts)
        (tmp_path / f"train.{suffix}").write_text(lines, encoding="utf-8")
        return survey(read_manifest(tmp_path, "train", suffix), None)

    return look


def found(one: SplitSurvey) -> dict[str, Finding]:
    findings = [
        *spelling.look_alikes(one), *spelling.two_encodings(one), *spelling.normal_forms(one)
    ]  # fmt: skip
    return {finding.kind: finding for finding in findings}


@KINDS
@pytest.mark.parametrize(
    "word, stray",
    [("перво\u0065", "e"), ("IT-рын\u006fк", "o"), ("\u0063ʼїзд", "c"), ("и/и\u0061и", "a"),
     ("м\u0430ма\u0301p", "p")],
)  # fmt: skip
def test_a_stray_letter_is_found_in_any_units(surveyed, kind, word, stray):
    one = found(surveyed(kind, ["раз два", f"это {word} три"]))
    assert set(one) == {"look_alikes"}
    place = one["look_alikes"].places[0]
    assert place.startswith("train.") and ":2 (1)" in place and f"'{stray}' is LATIN" in place


@KINDS
@pytest.mark.parametrize("text", ["HTML-код", "Wi-Fi-сеть", "IT/мир", "iPhone5с", "α-лучи"])
def test_words_of_two_alphabets_that_a_sign_parts_are_no_look_alikes(surveyed, kind, text):
    assert "look_alikes" not in found(surveyed(kind, [text]))


@KINDS
def test_letters_of_two_encodings_are_counted_in_any_units(surveyed, kind):
    texts = ["\u06a9\u064a\u06cc \u06a9\u06cc", "\u0628\u064a\u064a\u06cc\u06cc"]
    what = found(surveyed(kind, texts, "fas"))["two_encodings"].what
    assert "fas \u064a (U+064A) 3 times beside \u06cc (U+06CC)" in what


@KINDS
def test_a_mark_that_begins_a_word_is_no_other_normal_form(surveyed, kind):
    assert found(surveyed(kind, ["те \u0306х"])) == {}


def test_a_text_of_words_is_shown_with_its_blanks(surveyed):
    assert surveyed("words", ["раз два"]).text(0) == "раз два"


@KINDS
@pytest.mark.parametrize(
    "texts, is_told",
    [(["ein haus am see"] * 9 + ["EIN HAUS AM SEE"] * 3, True),
     (["Ein Haus am See."] * 3 + ["EIN HAUS AM SEE."] * 9, True),
     (["ein haus am see"] * 9 + ["EIN HAUS AM SEE"] * 2, False),
     (["EIN HAUS AM SEE"] * 9, False),
     (["SIA\u207f-IM TSHU-KU", "PEH OE JI BO HU"] * 9, False),
     (["die usa", "USA", "DIE USA"] * 9, False),
     (["日本放送協会の記者", "日本放送協会のNHKの記者"] * 9, False)],
)  # fmt: skip
def test_a_language_that_is_in_capitals_in_a_part_is_told(surveyed, kind, texts, is_told):
    assert bool(letter_case.two_cases([surveyed(kind, texts, "deu")])) == is_told


def test_a_language_token_does_not_hide_capitals(surveyed):
    texts = ["[deu] ein haus am see"] * 9 + ["[deu] EIN HAUS AM SEE"] * 3
    assert letter_case.two_cases([surveyed("words", texts, "deu")])
