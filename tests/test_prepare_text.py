"""What prepare does to texts, says of it, and keeps in dataset.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fairseq_dro.cli import main
from fairseq_dro.prepare.numerals import spell_out
from fairseq_dro.text import RULES_VERSION
from tests.corpus_trees import rejected, write_audio, write_lines

DIGITS = [("n1", "train", "eng", "in 1914 and ended in 1918"), ("n2", "test", "eng", "page 3"),
          ("n3", "train", "eng", "no number"), ("n4", "train", "mri", "te 2"),
          ("n5", "train", "mri", "te reo")]  # fmt: skip


def prepare(folder: Path, rows, *options: str) -> tuple[int, Path]:
    """One row each: id, split, language, text."""
    corpus = folder / "corpus"
    for name, *_ in rows:
        if not (corpus / f"{name}.wav").exists():
            write_audio(corpus / f"{name}.wav", 0.5)
    lines = ["path\tsplit\tlanguage\ttext\n"]
    lines += ["\t".join((f"{name}.wav", *rest)) + "\n" for name, *rest in rows]
    table = write_lines(corpus / "t.tsv", lines)
    out = folder / "out"
    call = ["prepare", "table", out, "--table", table, "--workers", "1", *options]
    return main([str(one) for one in call]), out


def words(out: Path, split: str = "train", suffix: str = "wrd") -> list[str]:
    return (out / f"{split}.{suffix}").read_text(encoding="utf-8").splitlines()


def text_record(out: Path) -> dict:
    return json.loads((out / "dataset.json").read_text(encoding="utf-8"))["text"]


def test_each_language_is_spelt_by_its_own_rule(tmp_path):
    rows = [
        ("tur", "IRAK", "ırak"), ("aze", "QIZ", "qız"), ("deu", "IRAK", "irak"),
        ("uzb", "o‘zbek", "o'zbek"), ("mlt", "ta'", "ta'"), ("cat", "col·legi", "col·legi"),
        ("mal", "അവന്\u200d", "അവൻ"), ("fas", "می\u200cرود", "می\u200cرود"),
        ("khm", "ក\u200bខ", "ក ខ"),
    ]  # fmt: skip
    status, out = prepare(
        tmp_path, [(f"u{n}", "train", code, text) for n, (code, text, _) in enumerate(rows)]
    )
    assert status == 0
    assert words(out) == [target for *_, target in rows]
    assert text_record(out)["rules_version"] == RULES_VERSION == 2


def test_words_that_were_cut_joined_or_emptied_are_counted_with_a_place(tmp_path, capsys):
    rows = [
        ("a", "train", "deu", "E-Mail und Auf\u00adlage"), ("b", "train", "deu", "100 € ja"),
        ("c", "train", "eng", "well-known [noise] <unk> words"),
    ]  # fmt: skip
    status, out = prepare(tmp_path, rows)
    assert status == 0
    found, table = text_record(out)["found"], tmp_path / "corpus" / "t.tsv"
    assert found["cut"] == {
        "deu": {"count": 1, "example": f"{table}:2: 'E-Mail' is 'e mail'"},
        "eng": {"count": 1, "example": f"{table}:4: 'well-known' is 'well known'"},
    }
    assert found["joined"]["deu"]["count"] == 1
    assert found["emptied"]["deu"] == {"count": 2, "example": f"{table}:3: '100' is ''"}
    assert found["tags"] == {"eng": {"count": 2, "example": f"{table}:4"}}
    assert found["numbers"]["deu"]["count"] == 1
    assert text_record(out)["words"] == {"deu": 5, "eng": 3}
    said = capsys.readouterr().out
    for part in ("rules 2", "cut", "joined", "emptied", "tags, dropped (eng 2)", "--digits",
                 f"{table}:2: 'E-Mail' is 'e mail'"):  # fmt: skip
        assert part in said


@pytest.mark.parametrize("profile", ["as_is", "ml_superb"])
def test_profiles_that_have_no_word_rule_have_no_version_and_say_nothing(
    tmp_path, capsys, profile
):
    status, out = prepare(
        tmp_path, [("a", "train", "deu", "E-Mail 3 {x}")], "--text-profile", profile
    )
    assert status == 0 and text_record(out)["rules_version"] is None
    assert "did to" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "options, training, test, n_rejected",
    [
        ((), ["in and ended in", "no number", "te", "te reo"], ["page"], 0),
        (("--digits", "keep"),
         ["in 1914 and ended in 1918", "no number", "te 2", "te reo"], ["page 3"], 0),
        (("--digits", "leave-out-of-training"), ["no number", "te reo"], ["page"], 2),
        (("--digits", "spell"),
         ["in nineteen fourteen and ended in nineteen eighteen", "no number", "te",
          "te reo"], ["page three"], 0),
    ],
)  # fmt: skip
def test_digits_do_what_was_asked_for(tmp_path, options, training, test, n_rejected):
    status, out = prepare(tmp_path, DIGITS, *options)
    assert status == 0
    assert (words(out), words(out, "test")) == (training, test)
    assert len(rejected(out)) == n_rejected


def test_digits_are_left_out_of_all_splits(tmp_path):
    status, out = prepare(tmp_path, DIGITS, "--digits", "leave-out")
    assert status == 0 and words(out) == ["no number", "te reo"] and not (out / "test.tsv").exists()
    assert {row["reason"] for row in rejected(out)} == {"text holds a number"}


def test_a_language_whose_texts_all_hold_a_number_is_not_left_out_in_silence(tmp_path, capsys):
    assert prepare(tmp_path, DIGITS[:-1], "--digits", "leave-out")[0] == 2
    assert "nothing is left of mri (1 of 1: text holds a number" in capsys.readouterr().err


def test_numbers_are_counted_by_language_and_named(tmp_path, capsys):
    _, out = prepare(tmp_path, DIGITS)
    found = text_record(out)["found"]["numbers"]
    assert {code: one["count"] for code, one in found.items()} == {"eng": 2, "mri": 1}
    assert text_record(out)["numbers_in_training"] == {"eng": 1, "mri": 1}
    assert "t.tsv:2: 'in 1914 and ended in 1918'" in capsys.readouterr().out
    # num2words knows no Maori: its digits vanish as before, and are counted
    _, out = prepare(tmp_path, DIGITS, "--digits", "spell", "--overwrite")
    assert set(text_record(out)["found"]["numbers"]) == {"mri"}


@pytest.mark.parametrize(
    "language, written, spelled",
    [
        ("eng", "1,000,000", "one million"), ("eng", "3.5", "three point five"),
        ("eng", "007", "zero zero seven"), ("deu", "1.000", "eintausend"),
        ("deu", "1914", "neunzehnhundertvierzehn"), ("eng", "2200", "two thousand, two hundred"),
        ("eng", "9" * 16, " ".join(["nine"] * 16)), ("mri", "3", "3"), ("fra", "٣", "trois"),
    ],
)  # fmt: skip
def test_a_number_is_spelt_out(language, written, spelled):
    assert " ".join(spell_out(f"({written})", language).split()) == " ".join(
        f"( {spelled} )".split() if spelled != written else [f"({written})"]
    )


@pytest.mark.parametrize("units", ["characters", "graphemes"])
def test_a_tag_is_one_symbol_where_it_is_asked_for(tmp_path, units):
    rows = [("a", "train", "deu", "ja [Lachen laut] nein<unk>"), ("b", "train", "deu", "<hes>ja")]
    status, out = prepare(tmp_path, rows, "--tags", "keep", "--units", units)
    assert status == 0
    assert words(out, suffix="ltr") == ["j a | [lachen_laut] | n e i n |", "<hes> | j a |"]
    assert "[lachen_laut] 1" in words(out, "dict.ltr", "txt")
    assert main(["doctor", str(out), "--workers", "1"]) == 0


@pytest.mark.parametrize(
    "options, message",
    [
        (("--text-profile", "ml_superb", "--tags", "keep"), "--tags keep is not for"),
        (("--text-profile", "as_is", "--digits", "keep"), "--digits keep has no effect"),
        (("--text-profile", "whisper", "--digits", "keep"), "--digits keep has no effect"),
    ],
)
def test_an_option_that_a_profile_cannot_follow_is_refused(tmp_path, capsys, options, message):
    status, _ = prepare(tmp_path, DIGITS, *options)
    assert status == 2 and message in capsys.readouterr().err


def test_a_folder_made_by_other_rules_is_not_taken_for_this_one(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("fairseq_dro.prepare.prepare.RULES_VERSION", 1)
    assert prepare(tmp_path, DIGITS)[0] == 0
    monkeypatch.undo()
    assert prepare(tmp_path, DIGITS)[0] == 2
    assert "text_rules" in capsys.readouterr().err
    assert prepare(tmp_path, DIGITS, "--overwrite")[0] == 0
