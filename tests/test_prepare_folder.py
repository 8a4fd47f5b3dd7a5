"""What a prepared folder holds and says, and when it may be written."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from fairseq.data import Dictionary

from fairseq_dro.checks.groups import unknown_languages
from fairseq_dro.cli import main
from fairseq_dro.data.manifest import read_manifest
from fairseq_dro.data.manifest_writer import Utterance, write_data_folder
from fairseq_dro.prepare.conversion import target_of
from tests.corpus_trees import rejected, write_audio, write_lines

ROWS = [
    ("a", "train", "deu", "ja nein", "s1"), ("b", "train", "deu", "ja ja", "s2"),
    ("c", "dev", "deu", "jo", "s3"), ("d", "test", "deu", "nein", "s4"),
    ("e", "train", "ell", "ναι", ""), ("f", "dev", "ell", "ναι", ""),
    ("g", "test", "ell", "ναι", ""),
]  # fmt: skip
HEADER = "path\tsplit\tlanguage\ttext\tspeaker\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    for name, *_ in ROWS:
        write_audio(tmp_path / "corpus" / f"{name}.wav", 0.5)
    return write_table(tmp_path / "corpus" / "t.tsv", ROWS)


def write_table(path: Path, rows) -> Path:
    lines = ["\t".join((f"{name}.wav", *rest)) + "\n" for name, *rest in rows]
    return write_lines(path, [HEADER, *lines])


def prepare(out: Path, table: Path, *options: object) -> int:
    return main(["prepare", "table", str(out), "--table", str(table), *map(str, options)])


def record(folder: Path) -> dict:
    return json.loads((folder / "dataset.json").read_text(encoding="utf-8"))


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def test_every_file_has_one_line_an_utterance_in_one_order(tmp_path, table):
    assert prepare(tmp_path / "out", table) == 0
    out = tmp_path / "out"
    assert lines(out / "train.tsv") == [
        str(tmp_path / "corpus"), "a.wav\t8000", "b.wav\t8000", "e.wav\t8000"
    ]  # fmt: skip
    assert lines(out / "train.ltr") == ["j a | n e i n |", "j a | j a |", "ν α ι |"]
    assert lines(out / "train.wrd") == ["ja nein", "ja ja", "ναι"]
    assert lines(out / "train.lang") == ["deu", "deu", "ell"]
    assert lines(out / "train.utt") == ["a", "b", "e"]
    assert lines(out / "train.speaker") == ["s1", "s2", ""]
    assert not (out / "train.corpus").exists() and not (out / "preparing.json").exists()
    assert not list(out.rglob("*.partial"))
    assert read_manifest(out, "valid").speakers == ["s3", ""]


def test_the_record_says_what_was_made_from_what_and_by_whom(tmp_path, table):
    assert prepare(tmp_path / "out", table) == 0
    made = record(tmp_path / "out")
    assert made["reader"] == "table" and made["units"] == "characters"
    assert made["splits"] == {"train": 3, "valid": 2, "test": 2}
    assert made["languages"]["deu"]["train"] == {"utterances": 2, "seconds": 1.0}
    assert made["coverage"] == {"deu": pytest.approx(7 / 8), "ell": 1.0}
    assert {"fairseq_dro", "soundfile", "libsndfile", "soxr", "unicode"} <= made["versions"].keys()
    assert made["request"]["options"]["units"] == "characters" and len(made["fingerprint"]) == 64


def test_the_fingerprint_changes_with_a_text_and_not_with_the_place(tmp_path, table):
    assert prepare(tmp_path / "out", table) == 0
    moved = tmp_path / "moved"
    table.parent.rename(moved)
    assert prepare(tmp_path / "out2", moved / "t.tsv") == 0
    assert record(tmp_path / "out2")["fingerprint"] == record(tmp_path / "out")["fingerprint"]
    write_table(moved / "t.tsv", [(*row[:3], row[3].replace("jo", "oj"), row[4]) for row in ROWS])
    assert prepare(tmp_path / "out3", moved / "t.tsv") == 0
    assert record(tmp_path / "out3")["fingerprint"] != record(tmp_path / "out")["fingerprint"]


def test_symbols_are_ordered_by_count_then_code_point_the_unlearnt_last(tmp_path, table):
    assert prepare(tmp_path / "out", table, "--language-tokens") == 0
    assert lines(tmp_path / "out" / "dict.ltr.txt") == [
        "| 5", "a 3", "j 3", "n 2", "e 1", "i 1", "α 1", "ι 1", "ν 1", "[deu] 0", "[ell] 0", "o 0"
    ]  # fmt: skip
    loaded = Dictionary.load(str(tmp_path / "out" / "dict.ltr.txt"))
    assert loaded.index("[ell]") == len(loaded) - 2


def test_a_dictionary_is_reused_and_what_it_lacks_is_left_out(tmp_path, table, capsys):
    own = write_lines(tmp_path / "dict.txt", ["j 9\n", "a 8\n", "n 7\n", "e 6\n", "i 5\n", "| 4\n"])
    assert prepare(tmp_path / "out", table, "--dictionary", own) == 0
    assert lines(tmp_path / "out" / "dict.ltr.txt") == lines(own)
    found = {(r["utterance"], r["detail"]) for r in rejected(tmp_path / "out")}
    assert found == {("c", "o"), ("e", "α ι ν"), ("f", "α ι ν"), ("g", "α ι ν")}
    said = capsys.readouterr().out
    assert "symbol outside the dictionary (ell 3, deu 1)" in said
    # of deu `j o |` lacks o, of ell `ν α ι |` has only the end of the word
    covered = record(tmp_path / "out")["coverage"]
    assert covered == {"deu": pytest.approx(21 / 22), "ell": pytest.approx(1 / 4)}
    assert "the share of their units that it has (2 in all): ell 25.00%, deu 95.45%" in said
    assert prepare(tmp_path / "o2", table, "--dictionary", own, "--language-tokens") == 2
    assert "lacks the language tokens [deu] [ell]: add a line" in capsys.readouterr().err
    write_lines(own, ["j 9\n", "a\n"])
    assert prepare(tmp_path / "o3", table, "--dictionary", own) == 2
    assert "dict.txt:2: 'a' has no count" in capsys.readouterr().err


def test_texts_and_ids_that_are_of_no_use_are_left_out_with_their_reasons(tmp_path, table):
    rows = [*ROWS, ("a", "train", "deu", "noch einmal", ""), ("b", "test", "deu", "5 - 6", ""),
            ("c", "train", "ell", "", "")]  # fmt: skip
    write_lines(table, ["id\t" + HEADER] + [
        "\t".join((f"u{n}" if n != 7 else "u0", f"{row[0]}.wav", *row[1:])) + "\n"
        for n, row in enumerate(rows)
    ])  # fmt: skip
    assert prepare(tmp_path / "out", table) == 0
    found = rejected(tmp_path / "out")
    assert [(r["utterance"], r["split"], r["reason"]) for r in found] == [
        ("u0", "train", "id that another utterance has"),
        ("u8", "test", "text is empty after normalisation"),
        ("u9", "train", "text is empty"),
    ]
    assert found[0]["detail"] == f"first at {table}:2" and found[1]["where"] == f"{table}:10"
    assert record(tmp_path / "out")["rejected"] == {
        "id that another utterance has": {"deu": 1}, "text is empty": {"ell": 1},
        "text is empty after normalisation": {"deu": 1},
    }  # fmt: skip
    assert "u0" in lines(tmp_path / "out" / "train.utt")
    kept = sum(record(tmp_path / "out")["splits"].values())
    assert kept + len(found) == len(rows)  # nothing gets lost


def test_a_bar_in_a_text_is_not_taken_for_the_end_of_a_word(tmp_path, table):
    write_table(table, [*ROWS[:-1], ("g", "test", "ell", "a|b", "")])
    assert prepare(tmp_path / "out", table, "--text-profile", "as_is") == 0
    (row,) = rejected(tmp_path / "out")
    assert row["reason"] == "text holds |, which stands between words"


def test_a_folder_with_another_data_set_is_left_alone_without_overwrite(tmp_path, table, capsys):
    out = tmp_path / "out"
    write_lines(out / "train.tsv", ["/somewhere\n"])
    write_lines(out / "notes.txt", ["mine\n"])
    assert prepare(out, table) == 2
    assert "holds another data set (train.tsv" in capsys.readouterr().err
    assert prepare(out, table, "--overwrite") == 2  # no record: not ours to replace
    assert "--overwrite" not in capsys.readouterr().err
    assert lines(out / "train.tsv") == ["/somewhere"]
    (out / "train.tsv").unlink()
    assert prepare(out, table) == 0
    assert prepare(out, table, "--units", "graphemes") == 2
    said = capsys.readouterr().err
    assert "other options or another corpus (units)" in said and "--overwrite" in said
    write_audio(out / "converted" / "deu" / "old.flac")
    assert prepare(out, table, "--units", "graphemes", "--overwrite") == 0
    assert record(out)["units"] == "graphemes" and not (out / "converted").exists()
    assert lines(out / "notes.txt") == ["mine"]


def test_overwriting_removes_nothing_before_the_new_data_set_is_known_to_work(tmp_path, table):
    out = tmp_path / "out"
    assert prepare(out, table) == 0
    before = {path: path.read_bytes() for path in out.iterdir()}
    own = write_lines(tmp_path / "dict.txt", ["a 1\n"])
    assert prepare(out, table, "--overwrite", "--dictionary", own, "--language-tokens") == 2
    write_lines(table, [HEADER, "a.wav\tnowhere\tdeu\tja\t\n"])
    assert prepare(out, table, "--overwrite") == 2
    for rows in ("", "none.wav\t\tdeu\tja\t\n"):
        write_lines(table, [HEADER, rows])
        assert prepare(out, table, "--overwrite") == 2
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_a_file_that_is_read_is_never_overwritten(tmp_path, table, capsys):
    out = tmp_path / "corpus"
    own = table.rename(out / "train.tsv")
    written = own.read_bytes()
    for options in ([], ["--overwrite"]):
        assert prepare(out, own, *options) == 2
        assert "train.tsv is read for this data set" in capsys.readouterr().err
    assert own.read_bytes() == written and not (out / "dataset.json").exists()
    made = tmp_path / "made"
    assert prepare(made, own) == 0
    symbols = (made / "dict.ltr.txt").read_bytes()
    assert prepare(made, own, "--overwrite", "--dictionary", made / "dict.ltr.txt") == 2
    assert "dict.ltr.txt is read for" in capsys.readouterr().err
    assert (made / "dict.ltr.txt").read_bytes() == symbols


def test_audio_that_is_read_is_never_removed_or_overwritten(tmp_path, table, capsys):
    out = tmp_path / "out"
    assert prepare(out, table) == 0
    kept = [write_audio(out / "converted" / "deu" / "a.wav", 0.5, 8000),
            write_audio(out / "mine" / "b.wav", 0.5)]  # fmt: skip
    link = tmp_path / "corpus" / "link.wav"
    link.symlink_to(kept[0])
    (tmp_path / "linked").symlink_to(out / "converted")
    for path in (kept[0], link, tmp_path / "linked" / "deu" / "a.wav"):
        own = write_lines(tmp_path / "t.tsv", ["path\ttext\tlanguage\n", f"{path}\tja\tdeu\n"])
        assert prepare(out, own, "--overwrite") == 2
        assert f"{path} is read for this data set and lies in" in capsys.readouterr().err
    listed = ["path\ttext\tlanguage\n", f"{kept[1]}\tja\tdeu\n"]
    own = write_lines(out / "converted" / "t.tsv", listed)
    assert prepare(out, own, "--overwrite") == 2 and own.is_file()
    own = write_lines(tmp_path / "t.tsv", listed)
    assert kept[0].is_file() and record(out)["splits"]["train"] == 3
    assert prepare(out, own, "--overwrite") == 0
    assert not kept[0].exists() and kept[1].is_file()


def test_converted_audio_behind_a_link_is_not_used_for_another_data_set(tmp_path, table):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "converted").symlink_to(tmp_path / "disk")
    write_audio(table.parent / "a.wav", 0.5, 8000)
    assert prepare(tmp_path / "out", table) == 0
    old = tmp_path / "disk" / "deu" / "a.flac"
    write_audio(old, 0.1)
    assert prepare(tmp_path / "out", table, "--overwrite") == 0
    assert old.is_file() and lines(tmp_path / "out" / "train.tsv")[1].endswith("\t8000")


def test_what_is_not_utf_8_or_not_closed_is_told_in_one_sentence(tmp_path, table, capsys):
    own = tmp_path / "own.txt"
    own.write_bytes(b"\xff 1\n")
    assert prepare(tmp_path / "out", table, "--dictionary", own) == 2
    assert "own.txt:1 is not UTF-8 text: convert" in capsys.readouterr().err
    for option in ("--languages", "--languages-set", "--few-shot=1 --few-shot-languages"):
        assert prepare(tmp_path / "out", table, *option.split(), own) == 2
        assert "own.txt:1 is not UTF-8 text: convert" in capsys.readouterr().err
    own.write_bytes("deu\n".encode("utf-16"))
    assert prepare(tmp_path / "out", table, "--languages-set", own) == 2
    assert "`iconv -f UTF-16 -t UTF-8 OLD > NEW`" in capsys.readouterr().err
    rows = [f"a.wav,{'ja ' * 5},deu\n".encode() for _ in range(900)]
    sheet = table.with_suffix(".CSV")
    sheet.write_bytes(b"path,text,language\n" + b"".join(rows) + b"b.wav,\xff,deu\n")
    assert prepare(tmp_path / "out", sheet) == 2
    assert "t.CSV:902 is not UTF-8 text" in capsys.readouterr().err
    sheet.write_bytes(b"path,text,language\n" + rows[0] + b'b.wav,"ja,deu\n' + rows[1])
    assert prepare(tmp_path / "out", sheet) == 2
    assert "t.CSV:3 is not a row of a CSV file" in capsys.readouterr().err


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path, table):
    symbols = [f"{symbol} 1\n" for symbol in "|aeijnoαιν\u0085"]
    own_set, own_dictionary = tmp_path / "set.txt", tmp_path / "dict.txt"
    header = "code\tname\tfamily\tscript\tscored_without_spaces\tother_codes\n"
    own_languages = tmp_path / "languages.tsv"
    call = ["--languages-set", own_set, "--dictionary", own_dictionary, "--languages",
            own_languages]  # fmt: skip
    rows = [",".join(line.split("\t")) for line in lines(table)]
    written = []
    for mark, end in (("", "\n"), ("\ufeff", "\r\n")):
        for path, text in (
            (own_set, "deu\nell\n"), (own_dictionary, "".join(symbols)),
            (own_languages, f"{header}deu\tGerman\tOurs\tLatn\tno\t\n"),
            (table.with_suffix(".csv"), "\n".join(rows) + "\n"),
            (table, "\n".join(lines(table)) + "\n"),
        ):  # fmt: skip
            path.write_bytes((mark + text.replace("\n", end)).encode())
        for kind in (".tsv", ".csv"):
            out = tmp_path / f"out{len(written)}"
            assert prepare(out, table.with_suffix(kind), *call) == 0
            names = ("train.ltr", "train.lang", "train.tsv", "test.utt", "dict.ltr.txt")
            written.append([(out / name).read_bytes() for name in names])
    assert written[0][-1] == "".join(symbols).encode()
    assert all(one == written[0] for one in written)


def test_a_table_without_rows_is_told_as_one(tmp_path, table, capsys):
    write_lines(table, [HEADER])
    assert prepare(tmp_path / "out", table) == 2
    assert "left in the split 'train': the corpus has none.\n" in capsys.readouterr().err
    assert prepare(tmp_path / "out", table, "--test-fraction", 0.2) == 2  # which has no effect
    assert "left in the split 'train': the corpus has none.\n" in capsys.readouterr().err
    table.write_bytes(table.read_bytes().replace(b"\n", b"\r") + b"a.wav\ttrain\tdeu\tja\t\r")
    assert prepare(tmp_path / "out", table) == 2
    assert "t.tsv has the line ends of old Macintosh programs" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["a 1", "<pad> 1", "</s> 0", "c 1.5", ""])
def test_a_dictionary_at_which_fairseq_would_stop_is_refused_by_line(tmp_path, table, capsys, line):
    own = write_lines(tmp_path / "dict.txt", ["\ufeffa 2\r\n", "b 1\r\n", f"{line}\r\n", "d 1\n"])
    assert prepare(tmp_path / "out", table, "--dictionary", own) == 2
    assert f"dict.txt:3: {line!r} " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_dictionary_may_overwrite_its_own_lines_as_in_fairseq(tmp_path, table):
    units = [f"{unit} 9\n" for unit in "jaonei|ανι"]
    own = write_lines(tmp_path / "dict.txt", [*units, "a 3 #fairseq:overwrite\n"])
    assert prepare(tmp_path / "out", table, "--dictionary", own) == 0
    assert lines(tmp_path / "out" / "dict.ltr.txt") == lines(own)


def test_ids_that_are_one_when_written_are_one_utterance(tmp_path, table):
    one = {"path": "a.wav", "text": "ja", "language": "deu", "split": "train"}
    listed = [json.dumps({**one, "id": name}) + "\n" for name in ("x y", "x  y", "x\u3000y")]
    assert prepare(tmp_path / "out", write_lines(tmp_path / "corpus" / "t.jsonl", listed)) == 0
    assert lines(tmp_path / "out" / "train.utt") == ["x y"]
    assert [row["reason"] for row in rejected(tmp_path / "out")] == [
        "id that another utterance has"
    ] * 2


def test_audio_in_a_folder_whose_name_ends_in_a_space_is_found(tmp_path, table):
    write_audio(tmp_path / "mine " / "a.wav")
    own = write_lines(tmp_path / "mine " / "t.tsv", [HEADER, "a.wav\ttrain\tdeu\tja\t\n"])
    assert prepare(tmp_path / "out", own) == 0
    assert read_manifest(tmp_path / "out", "train").audio_path(0).is_file()


def test_half_a_character_is_rejected_and_written_down(tmp_path, table):
    one = {"path": "a.wav", "text": "ja", "language": "deu", "split": "train"}
    odd = [{"id": "x\udcff"}, {"text": "\udcff", "id": "t"}, {"path": "\udcff.wav", "id": "p"}]
    listed = [json.dumps({**one, **change}) + "\n" for change in ({}, *odd)]
    assert prepare(tmp_path / "out", write_lines(tmp_path / "corpus" / "t.jsonl", listed)) == 0
    found = [row["utterance"] for row in rejected(tmp_path / "out")]
    assert found == ["x\\udcff", "t", "p"]


def test_no_file_of_a_replaced_data_set_is_left_or_used_again(tmp_path, table):
    out = tmp_path / "out"
    write_audio(table.parent / "a.wav", 0.5, 8000)
    assert prepare(out, table) == 0
    old = out / "converted" / "deu" / "a.flac"
    write_audio(old, 0.1)
    write_table(table, [row for row in ROWS if row[1] != "test"])
    assert prepare(out, table, "--overwrite") == 0
    assert not list(out.glob("test.*")) and lines(out / "train.tsv")[1].endswith("\t8000")
    write_audio(old, 0.1)
    assert prepare(out, table, "--overwrite") == 0
    assert lines(out / "train.tsv")[1].endswith("\t8000")


def test_a_split_that_is_not_written_leaves_no_file(tmp_path):
    stale = write_lines(tmp_path / "test.tsv", ["/\n"])
    one = Utterance(tmp_path / "a.wav", 8000, "deu", "j a |", "a", "train")
    write_data_folder(tmp_path, [one], tmp_path)
    assert not stale.exists()


def test_a_changed_option_file_is_not_taken_for_the_same_command(tmp_path, table, capsys):
    symbols = [f"{symbol} 1\n" for symbol in "|aeijno"]
    own = write_lines(tmp_path / "dict.txt", symbols)
    assert prepare(tmp_path / "out", table, "--dictionary", own) == 0
    write_lines(own, symbols[::-1])
    assert prepare(tmp_path / "out", table, "--dictionary", own) == 2
    said = capsys.readouterr().err
    assert "(dictionary_sha256)" in said and "--overwrite" in said


def test_the_name_of_a_converted_file_fits_any_file_system():
    names = [target_of(Path("out"), "deu", "語" * 90 + end).name for end in ("", "x", "y")]
    assert len(set(names)) == 3 and max(len(name.encode()) for name in names) < 200
    assert target_of(Path("out"), "deu", "a").name == "a.flac"


def test_who_has_a_split_in_some_rows_keeps_it_in_the_others(tmp_path, table):
    rows = [("a", "test", "deu", "ja", "s1"), ("b", "", "deu", "nein", "s1"),
            ("c", "", "deu", "jo", "s1"), ("d", "train", "deu", "oj", "s2"),
            ("e", "", "deu", "na", "s2")]  # fmt: skip
    assert prepare(tmp_path / "out", write_table(table, rows)) == 0
    assert lines(tmp_path / "out" / "test.utt") == ["a", "b", "c"]
    assert lines(tmp_path / "out" / "train.utt") == ["d", "e"]


def test_a_text_that_has_a_split_in_some_rows_keeps_it_in_the_others(tmp_path, table):
    rows = [("a", "test", "deu", "ja", "s1"), ("b", "", "deu", "Ja!", "s2"),
            ("c", "", "deu", "nein", "s2"), ("d", "train", "deu", "oj", "s3"),
            ("e", "", "deu", "ja", "s3")]  # fmt: skip
    assert prepare(tmp_path / "out", write_table(table, rows)) == 0
    # b and e say what is tested, e by a voice of training, c is of the voice of b
    assert lines(tmp_path / "out" / "test.utt") == ["a"]
    assert lines(tmp_path / "out" / "train.utt") == ["c", "d"]
    reason = "no split given, and tied to two by speaker and text"
    assert [(r["utterance"], r["reason"]) for r in rejected(tmp_path / "out")] == [
        ("b", reason), ("e", reason)
    ]  # fmt: skip


def test_a_changed_table_is_not_taken_for_the_same_command(tmp_path, table, capsys):
    assert prepare(tmp_path / "out", table) == 0
    assert prepare(tmp_path / "out", table) == 0
    assert "there already" in capsys.readouterr().out
    write_table(table, ROWS[:-1])
    assert prepare(tmp_path / "out", table) == 2
    assert "(source)" in capsys.readouterr().err


def test_another_number_of_workers_is_the_same_command(tmp_path, table, capsys):
    assert prepare(tmp_path / "out", table, "--workers", 1) == 0
    assert prepare(tmp_path / "out", table, "--workers", 2) == 0
    assert "there already" in capsys.readouterr().out


def test_an_unfinished_folder_resumes_under_the_same_command_only(tmp_path, table, capsys):
    out = tmp_path / "out"
    assert prepare(out, table) == 0
    made = record(out)
    (out / "dataset.json").unlink()
    write_lines(out / "preparing.json", [json.dumps({"request": made["request"]})])
    (out / "train.ltr").unlink()
    assert prepare(out, table, "--seed", 5) == 2
    assert "(seed)" in capsys.readouterr().err
    assert prepare(out, table) == 0
    assert record(out) == made and (out / "train.ltr").exists()


def test_options_may_be_changed_as_long_as_nothing_is_lost(tmp_path, table, capsys):
    call = ["--units", "sentencepiece", "--vocabulary-size"]
    assert prepare(tmp_path / "out", table, *call, 5000) == 2
    assert "--vocabulary-size 5000 does not suit" in capsys.readouterr().err
    assert prepare(tmp_path / "out", table, *call, 10) == 0


def test_a_folder_that_cannot_be_written_is_told_in_one_sentence(tmp_path, table, capsys):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    assert prepare(tmp_path / "file" / "out", table) == 2
    assert "cannot be written (Not a directory)" in capsys.readouterr().err
    (tmp_path / "out" / "train.lang.partial").mkdir(parents=True)
    assert prepare(tmp_path / "out", table) == 2
    assert "train.lang.partial cannot be written (Is a directory)" in capsys.readouterr().err


def test_sentencepiece_units_have_files_of_their_own_and_a_model_to_reuse(tmp_path, table):
    call = ["--units", "sentencepiece", "--vocabulary-size", 10]
    assert prepare(tmp_path / "out", table, *call) == 0
    out = tmp_path / "out"
    symbols = {line.split()[0] for line in lines(out / "dict.spm.txt")}
    assert symbols >= set(" ".join(lines(out / "train.spm")).split())
    joined = [line.replace(" ", "").replace("\u2581", " ") for line in lines(out / "train.spm")]
    assert [line.strip() for line in joined] == lines(out / "train.wrd")
    assert not (out / "train.ltr").exists()
    again = tmp_path / "again"
    reuse = ["--units", "sentencepiece", "--sentencepiece-model", out / "sentencepiece.model"]
    assert prepare(again, table, *reuse, "--dictionary", out / "dict.spm.txt") == 0
    assert lines(again / "train.spm") == lines(out / "train.spm")


def test_the_corpus_splits_can_be_replaced_and_training_bounded(tmp_path, table):
    out = tmp_path / "out"
    call = ["--splits", "hash", "--valid-seconds", 0, "--test-seconds", 0]
    assert prepare(out, table, *call, "--max-seconds-per-language", 1.0) == 0
    assert record(out)["languages"] == {
        "deu": {"train": {"utterances": 2, "seconds": 1.0}},
        "ell": {"train": {"utterances": 2, "seconds": 1.0}},
    }
    assert {r["reason"] for r in rejected(out)} == {"over --max-seconds-per-language"}
    few = tmp_path / "few"
    assert prepare(few, table, *call, "--few-shot", 1, "--few-shot-languages", "ell,nld") == 0
    assert record(few)["splits"] == {"train": 5}
    assert prepare(tmp_path / "short", table, "--min-seconds", 0.6) == 2


def test_only_the_languages_of_a_set_or_a_list_are_taken(tmp_path, table, capsys):
    assert prepare(tmp_path / "a", table, "--languages", "ell") == 0
    assert set(record(tmp_path / "a")["languages"]) == {"ell"}
    own_set = write_lines(tmp_path / "mine.txt", ["# mine\n", "ell\tel\n", "fra\n"])
    assert prepare(tmp_path / "b", table, "--languages-set", own_set) == 2
    assert "holds no utterance of fra" in capsys.readouterr().err
    assert prepare(tmp_path / "b", table, "--languages-set", own_set, "--skip-missing") == 0
    assert set(record(tmp_path / "b")["languages"]) == {"ell"}
    assert prepare(tmp_path / "c", table, "--languages-set", "six") == 2
    assert "expected one of" in (said := capsys.readouterr().err) and "six_languages" in said
    assert prepare(tmp_path / "c", table, "--languages", "xyz") == 2
    assert "'xyz' is not an ISO 639-3 code" in capsys.readouterr().err
    assert prepare(tmp_path / "c", table, "--languages", "no such file") == 2
    assert "is neither a file nor codes" in capsys.readouterr().err


def test_the_record_says_which_languages_a_set_meant(tmp_path, table, capsys):
    own_set = write_lines(tmp_path / "mine.txt", ["ell\n", "deu\n"])
    call = ["--languages-set", own_set, "--few-shot", 1, "--few-shot-languages", "deu"]
    assert prepare(tmp_path / "a", table, *call) == 0
    made = record(tmp_path / "a")["request"]
    assert made["languages"] == {
        "name": str(own_set), "languages": 2,
        "sha256": hashlib.sha256(b"deu\nell\n").hexdigest(),
    }  # fmt: skip
    assert made["few_shot_languages"]["name"] == "deu"
    write_lines(own_set, ["ell\n"])
    assert prepare(tmp_path / "a", table, *call) == 2
    assert "(languages, languages_set_sha256)" in capsys.readouterr().err


def test_a_list_that_is_given_twice_is_refused_and_of_a_value_the_last_counts(
    tmp_path, table, capsys
):
    for option in ("--languages", "--languages-set", "--few-shot-languages"):
        with pytest.raises(SystemExit):
            prepare(tmp_path / "out", table, option, "deu", option, "ell")
        assert f"argument {option}: given twice" in capsys.readouterr().err
    assert prepare(tmp_path / "out", table, "--seed", 1, "--seed", 2) == 0
    assert record(tmp_path / "out")["request"]["options"]["seed"] == 2


def test_a_table_of_ones_own_adds_a_language(tmp_path, table):
    write_table(table, [(*row[:2], row[2].replace("ell", "qqa"), *row[3:]) for row in ROWS])
    header = "code\tname\tfamily\tscript\tscored_without_spaces\tother_codes\n"
    own = write_lines(tmp_path / "own.tsv", [header, "qqa\tOurs\tIsolate\tGrek\tno\t\n"])
    assert prepare(tmp_path / "out", table) == 2
    assert prepare(tmp_path / "out", table, "--languages", own) == 0
    assert lines(tmp_path / "out" / "train.lang") == ["deu", "deu", "qqa"]
    assert unknown_languages(read_manifest(tmp_path / "out", "train")) == []  # training asks it
    (tmp_path / "out" / "languages.tsv").unlink()
    (found,) = unknown_languages(read_manifest(tmp_path / "out", "train"))
    assert found.places[0].startswith("train.lang:3 (e): 'qqa'")


@pytest.mark.parametrize(
    "options, message",
    [
        (["--valid-fraction", "0.9"], "--valid-fraction: expected 0 to 0.5"),
        (["--valid-fraction", "0.1", "--valid-seconds", "9"], "contradict each other"),
        (["--test-fraction", "0.1"], "--test-fraction has no effect, because the corpus has a spl"),
        (["--valid-seconds", "9", "--splits", "corpus"], "--valid-seconds has no effect"),
        (["--few-shot-languages", "ell"], "needs --few-shot N"),
        (["--vocabulary-size", "9"], "it needs --units sentencepiece"),
        (["--languages", "fra", "--languages-set", "six_languages"], "six_languages has none of"),
        (["--languages-set", "{empty}"], "names no language: expected one code a line"),
        (["--max-seconds", "-1"], "--max-seconds: expected 0 or more"),
        (["--workers", "0"], "--workers: expected 1 or more"),
        (["--dictionary", "none.txt"], "--dictionary: none.txt does not exist"),
        (["--few-shot", "1", "--few-shot-languages", "xyz"], "--few-shot-languages: 'xyz' is not"),
        (["--sentencepiece-model", "{table}"], "needs --units sentencepiece"),
        (["--units", "sentencepiece", "--dictionary", "{table}"], "add --sentencepiece-model"),
    ],
)
def test_an_option_out_of_range_is_refused_by_name(tmp_path, table, capsys, options, message):
    empty = write_lines(tmp_path / "empty.txt", ["# nothing\n"])
    options = [option.format(table=table, empty=empty) for option in options]
    assert prepare(tmp_path / "out", table, *options) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("by_option", [False, True])
def test_audio_beside_a_folder_that_a_link_leads_to_is_found_again(tmp_path, by_option):
    for name in "abc":
        write_audio(tmp_path / "disk" / "audio" / f"{name}.wav")
    (tmp_path / "disk" / "lists").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "lists").symlink_to(tmp_path / "disk" / "lists")
    above = "" if by_option else "../audio/"
    rows = [f"{above}{name}.wav\ttrain\tdeu\twort {name}\ts\n" for name in "abc"]
    table = write_lines(tmp_path / "disk" / "lists" / "t.tsv", [HEADER, *rows])
    linked = tmp_path / "home" / "lists"
    options = ("--audio-root", linked / ".." / "audio") if by_option else ()
    assert prepare(tmp_path / "out", linked / table.name, *options) == 0
    train = read_manifest(tmp_path / "out", "train")
    assert all(train.audio_path(row).is_file() for row in range(3))


def test_a_folder_that_is_named_through_a_link_and_back_finds_its_own_audio(tmp_path):
    write_audio(tmp_path / "disk" / "data" / "audio" / "a.wav")
    (tmp_path / "disk" / "lists").mkdir()
    (tmp_path / "lists").symlink_to(tmp_path / "disk" / "lists")
    data = tmp_path / "lists" / ".." / "data"
    write_data_folder(
        data, [Utterance(data / "audio" / "a.wav", 16_000, "deu", "j a |", "a", "train")], data
    )
    assert lines(data / "train.tsv") == [".", "audio/a.wav\t16000"]
    assert read_manifest(data, "train").audio_path(0).is_file()
