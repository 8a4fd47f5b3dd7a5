"""The doctor finds each planted defect, by line, and nothing in a clean folder."""

from __future__ import annotations

import codecs
import json
import re
import shutil
import subprocess
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from fairseq.data import Dictionary

from fairseq_dro.checks.audio import header_findings
from fairseq_dro.checks.letter_encodings import PAIRS, TATWEEL
from fairseq_dro.cli import main
from fairseq_dro.data.manifest import read_manifest
from fairseq_dro.doctor import copies
from fairseq_dro.errors import UserError
from fairseq_dro.languages import COLUMNS
from tests.doctor_folder import (
    audio_of,
    copy_of,
    doctor,
    edit,
    remove,
    spoil_audio,
    write_clean_folder,
)
from tests.in_process import make_task
from tests.stock_commands import BIN, environment


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    return write_clean_folder(tmp_path_factory.mktemp("clean"))


@pytest.fixture
def data(clean: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return copy_of(clean, tmp_path / "data")


def test_nothing_is_found_in_a_clean_folder(data, capsys):
    assert doctor(capsys, data, "--all") == (0, {})
    assert main(["doctor", str(data)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"{data}: nothing found (")


def test_the_table_counts_what_is_there(data, capsys):
    main(["doctor", str(data), "--json"])
    rows = {row["group"]: row for row in json.loads(capsys.readouterr().out)["languages"]}
    assert set(rows) == {"deu", "rus", "ell"}
    n_samples = [int(line.split("\t")[1]) for line in (data / "train.tsv").read_text().split("\n")
                 if line.startswith("wav/rus")]  # fmt: skip
    row = rows["rus"]
    assert row["utterances"] == 24 and row["utterances_of_others"] == {"valid": 3, "test": 3}
    assert row["hours"] == pytest.approx(sum(n_samples) / 16_000 / 3600)
    assert row["mean_seconds"] == pytest.approx(np.mean(n_samples) / 16_000)
    assert row["p95_seconds"] == pytest.approx(np.quantile(n_samples, 0.95) / 16_000)
    assert row["characters"] == 24 * 15
    assert row["characters_per_second"] == pytest.approx(24 * 15 / (row["hours"] * 3600))
    assert row["batches_per_epoch"] == round(row["hours"] * 3600 / 50)


def test_a_language_table_of_the_folder_is_known(data, capsys):
    for split in ("train", "valid", "test"):
        path = data / f"{split}.lang"
        path.write_text(path.read_text().replace("rus", "xzz"))
    assert doctor(capsys, data)[1]["unknown_language"]["count"] == 1
    row = ("xzz", "Zedish", "Isolate", "Cyrl", "no", "")
    (data / "languages.tsv").write_text("\t".join(COLUMNS[:6]) + "\n" + "\t".join(row) + "\n")
    assert doctor(capsys, data) == (0, {})
    assert main(["doctor", str(data)]) == 0
    assert "xzz Zedish" in capsys.readouterr().out


def test_a_look_alike_is_named_and_is_a_warning_where_it_is_rare(data, capsys):
    edit(data / "train.ltr", 30, lambda text: "a " + text)
    _, found = doctor(capsys, data)
    assert "'a' is LATIN SMALL LETTER A (U+0061)" in found["look_alikes"]["places"][0]
    for suffix, first in (("tsv", 1), ("ltr", 0), ("lang", 0)):
        path = data / f"train.{suffix}"
        lines = path.read_text().splitlines()
        path.write_text("\n".join(lines + 5 * lines[first:]) + "\n")
    status, found = doctor(capsys, data)
    assert found["look_alikes"]["severity"] == "error"  # 6 of 144 are as large a share
    edit(data / "train.ltr", 30, lambda text: text.removeprefix("a "))
    for copy in range(1, 5):
        edit(data / "train.ltr", 30 + 72 * copy, lambda text: text.removeprefix("a "))
    _, found = doctor(capsys, data)
    assert found["look_alikes"]["severity"] == "warning"  # 1 of 144


def test_scripts_that_are_mixed_in_ordinary_text_are_not_look_alikes(data, capsys):
    for line, word in ((2, "T 恤"), (3, "か 漢 カ"), (4, "1 2 a"), (60, "α ' | a b c")):
        edit(data / "train.ltr", line, lambda text, word=word: f"{word} | {text}")
    assert "look_alikes" not in doctor(capsys, data)[1]


@pytest.mark.parametrize("pair", [*PAIRS, TATWEEL, "ﻳ", "ａ", "ﬁ"])
@pytest.mark.parametrize("glue", [" ", "\u0651"])  # units of one and of several code points
def test_a_letter_in_two_encodings_is_found_with_the_rarer_one(data, capsys, pair, glue):
    rare, usual = (pair[-1], pair[0]) if len(pair) == 2 else (pair, "a")
    edit(data / "train.ltr", 3, lambda text: f"{text} {usual}{glue}{usual} {usual} {rare}{glue} |")
    _, found = doctor(capsys, data)
    assert found["two_encodings"]["severity"] == "warning"
    assert found["two_encodings"]["count"] == 1
    assert found["two_encodings"]["places"] == ["train.ltr:3 (wav/deu_train_2)"]
    told = f"deu {rare} (U+{ord(rare):04X}) 1 times beside {usual}"
    assert (told if len(pair) == 2 else "1 times") in found["two_encodings"]["what"]


@pytest.mark.parametrize("language, is_found", [("fas", True), ("pus", False)])
def test_a_language_whose_alphabet_has_both_letters_has_no_letter_twice(
    data, capsys, language, is_found
):
    edit(data / "train.ltr", 3, lambda text: f"ي ی | {text}")
    edit(data / "train.lang", 3, lambda _: language)
    assert ("two_encodings" in doctor(capsys, data)[1]) == is_found
    edit(data / "train.ltr", 3, lambda text: text.replace("ي", "ی"))
    assert "two_encodings" not in doctor(capsys, data)[1]


def test_text_that_is_not_composed_is_found_across_its_units(data, capsys):
    letters = " ".join(unicodedata.normalize("NFD", "ö"))
    edit(data / "train.ltr", 3, lambda text: f"{letters} {text}")
    with open(data / "dict.ltr.txt", "a") as file:
        file.write("o 1\n\u0308 1\n")
    status, found = doctor(capsys, data)
    assert status == 1 and set(found) == {"not_composed"}
    assert found["not_composed"]["places"][0].startswith("train.ltr:3")
    assert "deu 1 of 24" in found["not_composed"]["what"]


def test_language_tokens_that_contradict_the_languages(data, capsys):
    with open(data / "dict.ltr.txt", "a") as file:
        file.write("[deu] 1\n[rus] 1\n[ell] 1\n")
    for split in ("train", "valid", "test"):
        languages = (data / f"{split}.lang").read_text().split()
        for line, language in enumerate(languages, start=1):
            edit(data / f"{split}.ltr", line, lambda text, iso=language: f"[{iso}] {text}")
    assert doctor(capsys, data) == (0, {})
    edit(data / "train.ltr", 4, lambda text: text.replace("[deu]", "[rus]"))
    edit(data / "train.ltr", 6, lambda text: text.removeprefix("[deu] "))
    status, found = doctor(capsys, data)
    assert status == 1
    assert found["token_contradicts_lang"]["places"] == [
        "train.ltr:4 (wav/deu_train_3): [rus], and .lang says deu"
    ]
    assert found["token_on_some_lines"]["places"] == ["train.ltr:6 (wav/deu_train_5)"]


@pytest.mark.parametrize("name", ["12:30.wav", "a:1:2/b.wav"])
def test_a_colon_in_a_name_is_no_slice_of_a_zip(data, capsys, name):
    path = audio_of(data, 2)
    (data / name).parent.mkdir(exist_ok=True)
    path.rename(data / name)
    edit(data / "train.tsv", 2, lambda row: row.replace(str(path.relative_to(data)), name))
    assert doctor(capsys, data, "--all") == (0, {})
    manifest = read_manifest(data, "train", "ltr")
    assert header_findings(manifest, [0], 16_000) == []
    assert manifest.utterance_ids[0] == name.removesuffix(".wav")
    (data / name).rename(data / "a.zip")
    edit(data / "train.tsv", 2, lambda row: row.replace(name, "a.zip:0:99999999"))
    assert doctor(capsys, data, "--all") == (0, {})
    assert header_findings(read_manifest(data, "train", "ltr"), [0], 16_000) == []


@pytest.mark.parametrize("name", ["train.lang", "test.tsv", "dict.ltr.txt"])
def test_a_byte_order_mark_is_one_finding_with_the_command_that_removes_it(data, capsys, name):
    path = data / name
    clean = path.read_bytes()
    path.write_bytes(codecs.BOM_UTF8 + clean)
    status, found = doctor(capsys, data)
    assert status == 1 and len(found) == 1
    (finding,) = found.values()
    assert f"{name}:1 begins with a byte order mark" in finding["what"]
    if name == "train.lang":
        with pytest.raises(UserError, match="train.lang:1 begins with a byte order mark"):
            make_task(data).load_dataset("train")
    command = re.search("`(.*)`", finding["what"] + finding["fix"])[1]
    subprocess.run(command, shell=True, check=True)
    assert path.read_bytes() == clean


def test_a_raw_file_is_one_that_cannot_be_read(data, capsys):
    path = audio_of(data, 2)
    path.rename(path.with_suffix(".raw"))
    edit(data / "train.tsv", 2, lambda row: row.replace(".wav", ".raw"))
    status, found = doctor(capsys, data)
    assert status == 1 and found["audio_unreadable"]["places"][0].startswith("train.tsv:2")
    (of_header,) = header_findings(read_manifest(data, "train", "ltr"), [0], 16_000)
    assert of_header.kind == "audio_unreadable"


def test_much_silence_is_an_error_and_a_sample_finds_it(data, capsys):
    for line in range(2, 26):
        spoil_audio(audio_of(data, line), "silent")
    status, found = doctor(capsys, data, "--audio-per-language", "4")
    assert status == 1 and found["audio_silent"]["severity"] == "error"
    assert "4 of 12 files read" in found["audio_silent"]["what"]


def test_silence_of_one_language_among_many_files_is_an_error(data, capsys):
    """3 of 72 files are many of one language; 2 of them may be an accident."""
    for line in (30, 31):
        spoil_audio(audio_of(data, line), "silent")
    assert doctor(capsys, data, "--all")[1]["audio_silent"]["severity"] == "warning"
    spoil_audio(audio_of(data, 32), "silent")
    status, found = doctor(capsys, data, "--all")
    assert status == 1 and found["audio_silent"]["severity"] == "error"
    assert found["audio_silent"]["what"].endswith("3 of 72 files read of train (rus 3)")


@pytest.mark.parametrize(("symbol", "is_bad"), [("<s>", True), ("<s>", False), ("a", False)])
def test_a_unit_that_fairseq_has_already_is_told_unless_it_overwrites(
    data, capsys, symbol, is_bad
):
    with open(data / "dict.ltr.txt", "a") as file:
        file.write(f"{symbol} 1{'' if is_bad else ' #fairseq:overwrite'}\n")
    if not is_bad:
        assert doctor(capsys, data) == (0, {})
        return Dictionary.load(str(data / "dict.ltr.txt"))
    status, found = doctor(capsys, data)
    assert status == 1 and found["bad_dictionary"]["places"][0].startswith("dict.ltr.txt:29")
    with pytest.raises(RuntimeError, match="Duplicate word"):
        Dictionary.load(str(data / "dict.ltr.txt"))


def test_control_characters_reach_no_terminal(data, capsys):
    edit(data / "train.lang", 3, lambda text: f"\x00{text}")
    assert main(["doctor", str(data)]) == 1
    out = capsys.readouterr().out
    assert "\x00" not in out and "\\x00deu" in out


def test_a_terminal_without_utf_8_shows_codes_and_json_stays_json(data):
    edit(data / "train.ltr", 5, lambda text: f"ß {text}")
    for option in ("--show=1", "--json"):
        done = subprocess.run(
            [str(BIN / "fairseq-dro"), "doctor", str(data), option], text=True, encoding="ascii",
            env=environment(PYTHONIOENCODING="ascii"), stdout=subprocess.PIPE,
        )  # fmt: skip
        assert done.returncode == 1 and "\\" in done.stdout
    assert "ß" in json.loads(done.stdout)["findings"][0]["what"]


def test_clipping_of_recordings_is_one_warning_for_all_splits_however_much_there_is(data, capsys):
    lines = {"train": range(2, 40), "valid": range(2, 5), "test": (3,)}
    for split, spoilt in lines.items():
        for line in spoilt:
            spoil_audio(audio_of(data, line, split), "clipped")
    status, found = doctor(capsys, data, "--all")
    clipping = found.pop("audio_clipped")
    assert (status, clipping["severity"], clipping["count"], found) == (0, "warning", 42, {})
    assert "clipping in 42 of 90 files read: 38 of train (" in clipping["what"]
    assert "3 of valid" in clipping["what"] and "1 of test" in clipping["what"]
    assert clipping["places"][-1].startswith("test.tsv:3 ")


def test_every_place_of_a_finding_is_in_the_record(data, capsys):
    for line in range(1, 41):
        edit(data / "train.ltr", line, lambda text: f"ß {text}")
    finding = doctor(capsys, data)[1]["outside_dictionary"]
    assert finding["count"] == len(finding["places"]) == 40
    assert finding["places"][39] == "train.ltr:40 (wav/rus_train_15)"


def test_one_file_in_two_splits_under_its_own_name_or_another(data, capsys):
    row = (data / "train.tsv").read_text().splitlines()[4]
    text = (data / "train.ltr").read_text().splitlines()[3]
    edit(data / "test.tsv", 3, lambda _: row)
    status, found = doctor(capsys, data)
    assert status == 1 and found["shared_audio"]["places"][0].startswith("test.tsv:3")
    shutil.copy(audio_of(data, 5), data / "wav" / "copy.wav")
    edit(data / "test.tsv", 3, lambda _: "wav/copy.wav\t" + row.split("\t")[1])
    edit(data / "test.ltr", 2, lambda _: text)
    status, found = doctor(capsys, data)
    assert status == 1 and "copied under another name" in found["shared_audio"]["what"]
    edit(data / "test.ltr", 2, lambda _: "a b c d e f g h |")
    assert "shared_audio" not in doctor(capsys, data)[1]
    _, found = doctor(capsys, data, "--all")
    assert found["shared_audio"]["places"] == ["test.tsv:3 (wav/copy)"]
    edit(data / "test.ltr", 2, lambda _: text)
    spoil_audio(data / "wav" / "copy.wav", "clipped")
    assert "shared_audio" not in doctor(capsys, data)[1]
    assert "shared_audio" not in doctor(capsys, data, "--all")[1]


def test_validation_and_test_are_compared_too(data, capsys):
    """Copies of audio, and sentences, of which one is no more than a note."""
    row = (data / "valid.tsv").read_text().splitlines()[3]
    texts = (data / "valid.ltr").read_text().splitlines()
    shutil.copy(audio_of(data, 4, "valid"), data / "wav" / "copy.wav")
    edit(data / "test.tsv", 4, lambda _: "wav/copy.wav\t" + row.split("\t")[1])
    assert "shared_audio" not in doctor(capsys, data)[1]
    status, found = doctor(capsys, data, "--all")
    assert status == 1 and "audio of valid copied" in found["shared_audio"]["what"]
    for line in (1, 2, 3):
        edit(data / "test.ltr", line, lambda _, line=line: texts[line - 1])
    status, found = doctor(capsys, data)
    assert status == 1 and found["shared_audio"]["places"] == ["test.tsv:4 (wav/copy)"]
    assert found["shared_text"]["severity"] == "note"
    assert "that are sentences of valid: 3 of 9 (deu 100 %)" in found["shared_text"]["what"]


def test_likely_copies_that_are_not_compared_are_counted(data, capsys, monkeypatch):
    lines = (data / "train.tsv").read_text().splitlines()
    texts = (data / "train.ltr").read_text().splitlines()
    for i in range(3):
        edit(data / "test.tsv", i + 2,
             lambda _, i=i: f"wav/copy{i}.wav\t" + lines[i + 1].split("\t")[1])  # fmt: skip
        edit(data / "test.ltr", i + 1, lambda _, i=i: texts[i])
        shutil.copy(audio_of(data, i + 2), data / "wav" / f"copy{i}.wav")
    assert "copies_not_compared" not in doctor(capsys, data)[1]
    monkeypatch.setattr(copies, "MOST_PAIRS", 2)
    _, found = doctor(capsys, data)
    assert found["copies_not_compared"]["count"] == 1 and found["shared_audio"]["count"] == 2
    assert "train and test" in found["copies_not_compared"]["what"]
    assert "1 of 3 pairs" in found["copies_not_compared"]["what"]


def test_sentences_of_training_in_test(data, capsys):
    lines = (data / "train.ltr").read_text().splitlines()
    edit(data / "test.ltr", 1, lambda _: lines[0])
    _, found = doctor(capsys, data)
    assert found["shared_text"]["severity"] == "note"
    assert "1 of 9 (deu 33 %)" in found["shared_text"]["what"]
    edit(data / "test.ltr", 2, lambda _: lines[1])
    assert doctor(capsys, data)[1]["shared_text"]["severity"] == "warning"
    edit(data / "test.lang", 2, lambda _: "rus")  # the same letters in another language
    assert "1 of 9" in doctor(capsys, data)[1]["shared_text"]["what"]


def test_languages_that_a_split_lacks(data, capsys):
    remove(data, "valid", lambda _, language: language == "ell")
    remove(data, "test", lambda _, language: language == "rus")
    status, found = doctor(capsys, data)
    assert status == 0 and "(ell)" in found["language_not_validated"]["what"]
    assert "(rus)" in found["language_not_tested"]["what"]
    remove(data, "train", lambda _, language: language == "ell")
    status, found = doctor(capsys, data)
    assert (status, found["language_not_trained"]["severity"]) == (0, "warning")


def test_a_split_without_languages_is_not_one_that_lacks_them(data, capsys):
    (data / "test.lang").unlink()
    assert doctor(capsys, data) == (0, {})
    (data / "valid.tsv").unlink()
    assert doctor(capsys, data)[1].keys() == {"no_validation"}


def test_units_that_training_lacks_cannot_be_learnt(data, capsys):
    with open(data / "dict.ltr.txt", "a") as file:
        file.write("q 0\n")
    edit(data / "test.ltr", 2, lambda text: f"q q {text}")
    status, found = doctor(capsys, data)
    assert status == 0 and found["never_learnt"]["count"] == 2
    edit(data / "test.ltr", 3, lambda text: f"ŋ {text}")
    assert doctor(capsys, data)[1]["outside_dictionary"]["severity"] == "warning"


def test_a_recording_much_longer_than_others(data, capsys):
    edit(data / "train.tsv", 12, lambda row: f"{row.split(chr(9))[0]}\t600000")
    status, found = doctor(capsys, data, "--audio-per-language", "0")
    for kind in ("duration_outlier", "rate_outlier"):
        assert found[kind]["count"] == 1 and found[kind]["places"][0].startswith("train.tsv:12")
    assert status == 0
    edit(data / "train.tsv", 12, lambda row: f"{row.split(chr(9))[0]}\t1200000")
    _, found = doctor(capsys, data, "--audio-per-language", "0")
    assert found["longer_than_batch"]["places"] == ["train.tsv:12 (wav/deu_train_10): 75.0 s"]


def test_a_language_that_cannot_fill_a_batch(data, capsys):
    remove(data, "train", lambda i, language: language == "rus" and i % 3 > 0)
    status, found = doctor(capsys, data)
    assert status == 0 and "1 language (rus 20 s)" in found["batch_not_filled"]["what"]
    assert "group_loss=per_second" in found["batch_not_filled"]["fix"]


def test_ids_and_files_that_stand_twice(data, capsys):
    edit(data / "train.tsv", 8, lambda _: (data / "train.tsv").read_text().splitlines()[2])
    _, found = doctor(capsys, data)
    assert found["id_twice"]["places"] == ["train.utt:7 (wav/deu_train_1)"]
    assert found["audio_twice"]["places"] == ["train.tsv:8 (wav/deu_train_1)"]


def test_what_is_shown_is_short_and_says_how_much_there_is(data, capsys):
    for line in range(1, 21):
        edit(data / "train.ltr", line, lambda text: f"ß {text}")
    assert main(["doctor", str(data), "--show", "2"]) == 1
    out = capsys.readouterr().out
    assert out.count("train.ltr:") == 2 and "... 18 more" in out
    assert "ß (U+00DF)" in out and "    -> normalise the text" in out
    assert out.splitlines()[0].split()[:4] == ["language", "utts", "hours", "mean"]
    assert out.splitlines()[-1].startswith(f"{data}: 1 error")
    summed_up = out[out.index("Before training, put right:") :].splitlines()
    assert summed_up[1].startswith("  1. outside_dictionary (20): normalise the text")
    assert " 1.0 min " in out and "batches: in an epoch; each is of one row alone" in out


def test_a_folder_that_is_none_is_a_usage_error(tmp_path):
    for arguments, said in ((["nowhere"], "does not exist"), ([str(tmp_path)], "holds no split")):
        done = subprocess.run(
            [str(BIN / "fairseq-dro"), "doctor", *arguments], cwd=tmp_path, env=environment(),
            text=True, capture_output=True,
        )  # fmt: skip
        assert done.returncode == 2 and said in done.stderr and done.stdout == ""


def test_training_says_at_its_start_what_would_spoil_it(data, caplog):
    task = make_task(data)
    task.load_dataset("train")
    assert not caplog.records
    edit(data / "train.ltr", 30, lambda text: f"a {text}")
    edit(data / "train.ltr", 4, lambda text: f"ş ș | {text}")
    edit(data / "dict.ltr.txt", 1, lambda line: f"{line}\nş 1\nș 1")
    edit(data / "train.lang", 3, lambda _: "fra")
    task = make_task(data)
    task.load_dataset("train")
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 3 and all("`fairseq-dro doctor " in sentence for sentence in said)
    assert "two alphabets: 1 utterance of train (rus 1), first train.ltr:30" in said[0]
    assert "two encodings of one script in train: deu" in said[1]
    assert "one utterance in train: 1 language (fra)" in said[2]
    caplog.clear()
    task.load_dataset("valid")
    assert not caplog.records
    shortest = int(task.datasets["valid"].sizes.min())
    make_task(data, min_sample_size=shortest + 1).load_dataset("valid")
    (said,) = (record.getMessage() for record in caplog.records)
    assert said.startswith("1 utterances of valid are shorter than task.min_sample_size=")
