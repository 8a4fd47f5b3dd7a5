"""Tables with mistakes, empty cells and losses: what is told, and what stops."""

from __future__ import annotations

import json
import re
import subprocess
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fairseq_dro.cli import main
from fairseq_dro.data.manifest import read_manifest
from fairseq_dro.prepare.cells import cell
from tests.corpus_trees import common_voice_tree, rejected, write_audio, write_lines
from tests.doctor_folder import doctor

HEADER = ["path", "split", "language", "text", "speaker"]
ROWS = [
    ["a.wav", "train", "deu", "ja", "s1"], ["b.wav", "dev", "deu", "jo", "s2"],
    ["c.wav", "test", "deu", "nein", "s3"], ["d.wav", "train", "spa", "si", "s4"],
    ["e.wav", "test", "spa", "sí", "s5"],
]  # fmt: skip


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    for name in "abcde":
        write_audio(tmp_path / "corpus" / f"{name}.wav", 0.5)
    return tmp_path / "corpus"


def written(path: Path, rows, delimiter: str = "\t") -> Path:
    return write_lines(path, [delimiter.join(row) + "\n" for row in rows])


def prepare(table: Path, *options: object) -> int:
    out = table.parent.parent / "out"
    call = ["prepare", "table", out, "--table", table, "--workers", 1, *options]
    return main([str(one) for one in call])


def out_of(corpus: Path) -> Path:
    return corpus.parent / "out"


# --- cells ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value, is_words, text",
    [
        (float("nan"), True, ""), (None, True, ""), ("NaN", True, ""), (" NaN ", False, ""),
        ("nan", True, "nan"), ("nan", False, ""), (3, True, "3"), (0, True, "0"), ("", True, ""),
    ],
)  # fmt: skip
def test_nan_is_an_empty_cell_and_a_word_where_it_may_be_one(value, is_words, text):
    assert cell(value, is_words) == text


def test_nan_in_json_lines_is_no_transcript_and_no_speaker(corpus):
    rows = [
        {"path": "a.wav", "text": float("nan"), "language": "deu"},
        *({"path": f"{name}.wav", "text": f"wort {name}", "language": "deu",
           "speaker": float("nan"), "offset": float("nan"), "id": float("nan")}
          for name in "bcde"),
    ]  # fmt: skip
    table = write_lines(corpus / "t.jsonl", [json.dumps(row) + "\n" for row in rows])
    assert prepare(table, "--valid-fraction", 0.3, "--test-fraction", 0.3) == 0
    assert [(row["utterance"], row["reason"]) for row in rejected(out_of(corpus))] == [
        ("a", "text is empty")
    ]
    assert (out_of(corpus) / "valid.tsv").exists() and (out_of(corpus) / "test.tsv").exists()
    assert not (out_of(corpus) / "train.speaker").exists()


def test_nan_is_empty_in_other_tables_too(corpus, tmp_path):
    rows = [["a.wav", "train", "deu", "NaN", "s1"], ["b.wav", "train", "deu", "ja", "nan"],
            ["c.wav", "train", "deu", "jo", "NaN"]]  # fmt: skip
    assert prepare(written(corpus / "t.tsv", [HEADER, *rows])) == 0
    assert len(read_manifest(out_of(corpus), "train")) == 2
    assert not (out_of(corpus) / "train.speaker").exists()
    root = common_voice_tree(tmp_path / "cv", {"de": {"train": [("x", "NaN"), ("y", "Ja")]}})
    call = ["prepare", "common-voice", tmp_path / "o2", "--root", root, "--skip-missing"]
    assert main([str(one) for one in call]) == 0
    assert len(read_manifest(tmp_path / "o2", "train")) == 1


# --- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, suggestion",
    [("be", "bel (Belarusian)"), ("es", "spa (Spanish)"), ("BEL", "bel (Belarusian)"),
     ("Spanish", "spa (Spanish)"), ("pt-BR", "por (Portuguese)")],
)  # fmt: skip
def test_an_unknown_language_is_told_with_a_suggestion(corpus, capsys, name, suggestion):
    rows = [[*row[:2], name, *row[3:]] for row in ROWS]
    assert prepare(written(corpus / "t.tsv", [HEADER, *rows])) == 2
    said = capsys.readouterr().err
    assert suggestion in said and "t.tsv:2" in said and "(4 more lines)" in said


def test_all_mistakes_of_a_table_are_told_at_once(corpus, capsys):
    rows = [
        ["a.wav", "trian", "es", "x", "s", "0"], ["b.wav", "train", "be", "x", "s", "-1"],
        ["", "train", "deu", "x", "s", "0"], ["c.wav", "train", "deu", "x"],
        ["d.wav", "train", "es", "x", "s", "0"],
    ]  # fmt: skip
    assert prepare(written(corpus / "t.tsv", [[*HEADER, "offset"], *rows])) == 2
    said = capsys.readouterr().err
    for part in (
        "has 6 kinds of mistakes", "t.tsv:2: 'trian' is not a split", "spa (Spanish)",
        "bel (Belarusian)", "t.tsv:3: offset '-1'", "t.tsv:4: the path is empty",
        "t.tsv:5 has 4 fields: expected 6",
    ):  # fmt: skip
        assert part in said
    assert said.count("spa (Spanish)") == 1 and "(1 more line)" in said


def test_missing_columns_are_told_together_with_the_options_that_name_them(corpus, capsys):
    table = written(corpus / "t.tsv", [["audio_filepath", "Sentence", "locale"], ["a", "b", "deu"]])
    assert prepare(table) == 2
    said = capsys.readouterr().err
    for part in ("--path-column audio_filepath", "--text-column Sentence",
                 "--language-column locale"):  # fmt: skip
        assert part in said


@pytest.mark.parametrize(
    "column, is_refused, is_told",
    [("Split", True, True), (" speaker", True, True), ("SPEAKER ", True, True),
     ("client_id", False, True), ("subset", False, True), ("gender", False, False)],
)  # fmt: skip
def test_a_column_that_looks_like_one_that_is_read_is_told(
    corpus, capsys, caplog, column, is_refused, is_told
):
    rows = [["path", "language", "text", column], *([r[0], r[2], r[3], r[1]] for r in ROWS)]
    assert prepare(written(corpus / "t.csv", rows, ",")) == (2 if is_refused else 0)
    said = capsys.readouterr().err + caplog.text
    assert (f"t.csv:1 has the column {column!r}" in said) == is_refused
    assert (f"{column!r}" in said) == is_told


def test_of_two_columns_of_text_it_is_told_which_is_read(corpus, caplog):
    rows = [[*HEADER, "normalised_text"], *([*row, f"x {row[3]}"] for row in ROWS)]
    with caplog.at_level("INFO"):
        assert prepare(written(corpus / "t.tsv", rows)) == 0
    assert "the text is read from the column normalised_text, not from text" in caplog.text
    assert (out_of(corpus) / "train.wrd").read_text().splitlines() == ["x ja", "x si"]


def test_a_column_that_is_kept_is_meant_as_it_is(corpus, caplog):
    rows = [["path", "language", "text", "client_id"], *([*r[:1], *r[2:]] for r in ROWS)]
    assert prepare(written(corpus / "t.tsv", rows), "--keep", "client_id") == 0
    assert "is not read" not in caplog.text


@pytest.mark.parametrize("column", ["text", "split"])
def test_a_column_that_is_there_twice_stops_the_command(corpus, capsys, column):
    rows = [[*HEADER, column], *([*row, row[HEADER.index(column)]] for row in ROWS)]
    assert prepare(written(corpus / "t.tsv", rows)) == 2
    assert f"the column {column!r} twice" in capsys.readouterr().err


@pytest.mark.parametrize("indent", [None, 1])
def test_one_json_array_is_told_with_the_command_that_writes_lines(corpus, capsys, indent):
    rows = [dict(zip(HEADER, row)) for row in ROWS]
    table = corpus / "t.json"
    table.write_text(json.dumps(rows, indent=indent), encoding="utf-8")
    assert prepare(table) == 2
    assert f"`jq -c '.[]' {table} > NEW.jsonl`" in capsys.readouterr().err


def test_a_file_of_no_json_is_told_by_its_lines(corpus, capsys):
    (corpus / "t.jsonl").write_text("{'path': 'a.wav'}\n", encoding="utf-8")
    assert prepare(corpus / "t.jsonl") == 2
    assert "t.jsonl:1 is not JSON" in capsys.readouterr().err


def test_names_in_quotation_marks_between_tabs_are_told(corpus, capsys):
    rows = [[f'"{value}"' for value in row] for row in [HEADER, *ROWS]]
    assert prepare(written(corpus / "t.tsv", rows)) == 2
    assert "names in quotation marks" in capsys.readouterr().err
    assert prepare(written(corpus / "t.csv", rows, ",")) == 0


@pytest.mark.parametrize(
    "texts, n_told",
    [(['"er ""sagte"" ja"'], 1), (['"ja"', '""', 'sag ""ja""', '"ja" und "nein"'], 0),
     (['"ja, gut"', '"so, so"', '"na, ja"', "nein"], 3), (['"ja, gut"', '"so, so"', "na, ja"], 0),
     (['"ja, gut"', '"so, so"'], 0)],
)  # fmt: skip
def test_texts_that_a_sheet_quoted_between_tabs_are_told(corpus, caplog, texts, n_told):
    texts = texts + ["ja"] * (len(ROWS) - len(texts))
    rows = [[*row[:3], text, row[4]] for row, text in zip(ROWS, texts)]
    assert prepare(written(corpus / "t.tsv", [HEADER, *rows]), "--text-profile", "whisper") == 0
    assert (f"t.tsv:2: {n_told} text" in caplog.text) == bool(n_told)


def test_rows_of_commas_at_the_end_of_a_sheet_are_no_rows(corpus):
    rows = [HEADER, *ROWS, [""] * len(HEADER), [" "] * len(HEADER)]
    assert prepare(written(corpus / "t.csv", rows, ",")) == 0
    assert rejected(out_of(corpus)) == []


def test_columns_are_taken_by_the_names_that_are_given(corpus):
    rows = [[row[0], row[3], row[2], "train"] for row in ROWS]
    table = written(corpus / "t.tsv", [["wav", "sentence", "locale", "split"], *rows])
    options = ("--path-column", "wav", "--text-column", "sentence", "--language-column", "locale")
    assert prepare(table, *options) == 0
    assert len(read_manifest(out_of(corpus), "train")) == len(ROWS)


@pytest.mark.parametrize(
    "train, valid, test",
    [("Train", "DEV", "Test"), ("TRAIN", "validation", "test"), ("train", "Valid", "EVAL"),
     ("train", "eval", "TEST")],
)  # fmt: skip
def test_splits_are_understood_in_any_case(corpus, train, valid, test):
    names = {"train": train, "dev": valid, "test": test}
    rows = [[row[0], names[row[1]], *row[2:]] for row in ROWS]
    assert prepare(written(corpus / "t.tsv", [HEADER, *rows])) == 0
    sizes = [len(read_manifest(out_of(corpus), split)) for split in ("train", "valid", "test")]
    assert sizes == [2, 1, 2]


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
@pytest.mark.parametrize("delimiter", ",;\t")
def test_what_stands_between_fields_is_seen_in_the_first_line(corpus, suffix, delimiter):
    assert prepare(written(corpus / f"t.{suffix}", [HEADER, *ROWS], delimiter)) == 0
    assert len(read_manifest(out_of(corpus), "train")) == 2


@pytest.mark.parametrize("suffix", ["xlsx", "XLS", "ods"])
def test_a_spreadsheet_is_to_be_saved_as_csv(corpus, capsys, suffix):
    (corpus / f"t.{suffix}").write_bytes(b"PK\x03\x04\xff\xfe")
    assert prepare(corpus / f"t.{suffix}") == 2
    said = capsys.readouterr().err
    assert "CSV UTF-8" in said and "iconv" not in said


def test_a_folder_is_no_table_and_the_table_in_it_is_named(corpus, capsys):
    written(corpus / "t.tsv", [HEADER, *ROWS])
    assert prepare(corpus) == 2
    assert f"--table {corpus / 't.tsv'}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.encode("cp1252"), lambda text: text.encode("utf-16"),
        lambda text: text.replace("\n", "\r").encode(),
    ],
)  # fmt: skip
def test_the_command_that_a_message_names_converts_the_table(corpus, capsys, spoil):
    table = written(corpus / "t.tsv", [HEADER, *ROWS])
    table.write_bytes(spoil(table.read_text(encoding="utf-8")))
    assert prepare(table) == 2
    command = re.search("`([^`]* > NEW)`", capsys.readouterr().err)[1]
    new = corpus / "new.tsv"
    command = command.replace("OLD", str(table)).replace("NEW", str(new))
    subprocess.run(command, shell=True, check=True)
    assert prepare(new) == 0
    assert "sí" in (out_of(corpus) / "test.wrd").read_text(encoding="utf-8").split()


@pytest.mark.parametrize("lengths, is_refused", [((500, 3250), True), ((0.25, 0.5), False)])
def test_milliseconds_are_told_from_seconds(corpus, capsys, lengths, is_refused):
    rows = [[*row, str(length)] for row, length in zip(ROWS[:1] + ROWS[3:4], lengths)]
    table = written(corpus / "t.tsv", [[*HEADER, "duration"], *rows])
    assert prepare(table) == (2 if is_refused else 0)
    assert ("milliseconds" in capsys.readouterr().err) == is_refused


# --- losses --------------------------------------------------------------------------------------


def test_a_language_of_which_nothing_is_left_stops_the_command(corpus, capsys):
    rows = [*ROWS, ["x.WAV", "train", "dan", "ja", "s6"], ["y.WAV", "dev", "dan", "jo", "s7"]]
    table = written(corpus / "t.tsv", [HEADER, *rows])
    assert prepare(table) == 2
    said = capsys.readouterr().err
    for part in ("nothing is left of dan (2 of 2: ", f"first {table}:7", "--skip-missing"):
        assert part in said
    assert len(rejected(out_of(corpus))) == 2
    assert prepare(table, "--skip-missing") == 0
    record = json.loads((out_of(corpus) / "dataset.json").read_text("utf-8"))
    assert len(record["skipped_parts"]) == 1 and set(record["languages"]) == {"deu", "spa"}


@pytest.mark.parametrize("n_lost, is_told", [(1, False), (2, True)])
def test_more_than_five_per_cent_of_a_language_is_a_warning_with_its_reason(
    corpus, capsys, n_lost, is_told
):
    rows = [["a.wav", "train", "deu", f"wort {chr(97 + n)}", "s", f"i{n}"] for n in range(24)]
    rows += [["none.wav", "train", "deu", "x", "s", f"m{n}"] for n in range(n_lost)]
    table = written(corpus / "t.tsv", [[*HEADER, "id"], *rows])
    assert prepare(table) == 0
    said = capsys.readouterr().out
    told = f"warning: 1 language lost more than 5% of the utterances: deu {n_lost} of {24 + n_lost}"
    assert (told in said) == is_told


@pytest.mark.parametrize("option, seconds", [("--max-seconds", 3), ("--min-seconds", 0.4)])
def test_what_an_option_leaves_out_is_no_loss(corpus, capsys, option, seconds):
    write_audio(corpus / "f.wav", 4)
    write_audio(corpus / "g.wav", 0.3)
    rows = [*ROWS, ["f.wav", "train", "deu", "lang", "s1"], ["g.wav", "train", "spa", "no", "s4"]]
    assert prepare(written(corpus / "t.tsv", [HEADER, *rows]), option, seconds) == 0
    assert len(rejected(out_of(corpus))) == 1
    assert "lost more than" not in capsys.readouterr().out


def test_what_cannot_be_converted_is_not_counted_with_the_numbers(corpus, capsys):
    for name in "de":
        silence = np.full(8000, np.nan, np.float32)
        soundfile.write(corpus / f"{name}.wav", silence, 16_000, subtype="FLOAT")
    rows = [[*row[:3], f"{row[3]} e-mail 8", row[4]] for row in ROWS]
    assert prepare(written(corpus / "t.tsv", [HEADER, *rows]), "--skip-missing") == 0
    found = json.loads((out_of(corpus) / "dataset.json").read_text("utf-8"))["text"]["found"]
    assert {code: one["count"] for code, one in found["numbers"].items()} == {"deu": 3}
    kinds = doctor(capsys, out_of(corpus))[1]
    assert {"words_cut", "words_emptied", "numbers_dropped"} <= set(kinds)


def test_letters_that_never_occur_in_train_are_named(corpus, capsys):
    assert prepare(written(corpus / "t.tsv", [HEADER, *ROWS])) == 0
    said = capsys.readouterr().out
    assert (
        "2 languages have letters in valid or test that never occur in train: "
        "deu (n, o, e), spa (í)\n"
    ) in said


def test_letters_are_not_counted_for_a_model_with_a_tokenizer_of_its_own(corpus, capsys):
    assert prepare(written(corpus / "t.tsv", [HEADER, *ROWS]), "--text-profile", "whisper") == 0
    assert "never occur in train" not in capsys.readouterr().out


@pytest.mark.parametrize("split_by, is_told", [("both", True), ("speaker", True), ("text", False)])
def test_one_speaker_is_the_reason_for_no_valid_and_test(corpus, capsys, caplog, split_by, is_told):
    rows = [[row[0], "deu" if n < 3 else "spa", f"wort {n}", "s"] for n, row in enumerate(ROWS)]
    table = written(corpus / "t.tsv", [["path", "language", "text", "speaker"], *rows])
    with caplog.at_level("INFO"):
        options = ("--split-by", split_by, "--valid-fraction", 0.3, "--test-fraction", 0.3)
        assert prepare(table, *options) == 0
    told = "deu and spa have one speaker or one file each, so no valid and test: add --split-by"
    assert (told in caplog.text) == is_told


def file_of_sides(corpus: Path) -> dict[str, set[str]]:
    """In which splits each file of the corpus is."""
    sides = defaultdict(set)
    for path in out_of(corpus).glob("*.utt"):
        for one in path.read_text(encoding="utf-8").split():
            sides[one.partition("@")[0]].add(path.stem)
    return sides


@pytest.mark.parametrize("split_by, is_whole", [("both", True), ("speaker", True), ("text", False)])
def test_parts_of_a_file_without_a_speaker_stay_on_one_side(corpus, split_by, is_whole):
    for name in "abcdefghij":
        write_audio(corpus / f"{name}.wav", 4)
    rows = [[f"{name}.wav", "deu", f"wort {name} {chr(97 + n)}", str(n), "1"]
            for name in "abcdefghij" for n in range(4)]  # fmt: skip
    table = written(corpus / "t.tsv", [["path", "language", "text", "offset", "duration"], *rows])
    assert prepare(table, "--split-by", split_by) == 0
    sides = file_of_sides(corpus)
    assert set().union(*sides.values()) == {"train", "valid", "test"}
    assert all(len(found) == 1 for found in sides.values()) == is_whole


def test_a_speaker_that_is_known_counts_and_not_the_file(corpus):
    write_audio(corpus / "a.wav", 10)
    rows = [["a.wav", "deu", f"wort {chr(97 + n)}", str(n), "1", f"s{n}"] for n in range(10)]
    head = ["path", "language", "text", "offset", "duration", "speaker"]
    assert prepare(written(corpus / "t.tsv", [head, *rows])) == 0
    assert file_of_sides(corpus) == {"a": {"train", "valid", "test"}}


@pytest.mark.parametrize("option, codes", [("es,BEL", "spa,bel"), ("Spanish", "spa")])
def test_an_option_that_names_languages_otherwise_is_told_their_codes(
    corpus, capsys, option, codes
):
    table = written(corpus / "t.tsv", [HEADER, *ROWS])
    assert prepare(table, "--languages", option) == 2
    assert f"such as {codes}." in capsys.readouterr().err
