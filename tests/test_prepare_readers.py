"""Each corpus in its true layout becomes the utterances that its own rules say, and no others."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
import soundfile

from fairseq_dro.cli import main
from fairseq_dro.data.manifest import read_manifest
from fairseq_dro.language_sets import FEW_SHOT, read_set
from fairseq_dro.prepare.readers import READERS
from fairseq_dro.prepare.readers.ml_superb import few_shot_utterances
from tests.corpus_trees import (
    common_voice_tree,
    fleurs_tree,
    ml_superb_tree,
    parquet_tree,
    rejected,
    spontaneous_tree,
    write_audio,
    write_lines,
)

TEXTS = {
    "deu": ["Ja!", "Nein.", "Grün [lacht] ist's", "Zwei; drei"],
    "org_jpn": ["いち", "に", "さん", "よん"],
    "dan": ["en", "to", "tre", "fire"],
}


def prepare(*arguments: object) -> int:
    return main(["prepare", *map(str, arguments)])


def reasons(folder: Path) -> Counter[tuple[str, str]]:
    return Counter((row["language"], row["reason"]) for row in rejected(folder))


def test_ml_superb_becomes_a_folder_by_the_rules_of_the_benchmark(tmp_path, capsys):
    root = ml_superb_tree(tmp_path / "root", TEXTS)
    few_shot = root / "commonvoice" / "dan" / "transcript_10min_train.txt"
    write_lines(few_shot, ["cv_dan_000158 x tre\n", "cv_dan_000159 x fire\n"])
    for one in ("cv_dan_000158", "cv_dan_000159"):
        write_audio(root / "commonvoice" / "dan" / "wav" / f"{one}.wav")
    folder = root / "commonvoice" / "deu"
    for split in ("train", "dev", "test"):  # 21 s: too long for all but test
        write_audio(folder / "wav" / f"commonvoice_deu_long_{split}.wav", 20.5)
        with open(folder / f"transcript_10min_{split}.txt", "a", encoding="utf-8") as stream:
            stream.write(f"commonvoice_deu_long_{split} x lang\n")
    with open(folder / "transcript_10min_train.txt", "a", encoding="utf-8") as stream:
        stream.write("commonvoice_deu_900000 x\ncommonvoice_deu_900001 x kein Ton\n\n")
    write_audio(folder / "wav" / "commonvoice_deu_900002.wav")
    out = tmp_path / "out"
    assert prepare("ml-superb", out, "--root", root, "--corpora", "commonvoice,fleurs") == 0

    train = read_manifest(out, "train")
    german = [i for i, code in enumerate(train.languages) if code == "deu"]
    assert [train.labels[i] for i in german][:2] == ["G R Ü N | I S T S |", "Z W E I | D R E I |"]
    assert train.utterance_ids[german[0]] == "commonvoice_deu_000002"
    assert Counter(train.languages) == {"deu": 4, "jpn": 4, "dan": 1}
    assert set(train.corpora) == {"commonvoice", "fleurs"} and train.speakers == []
    assert Path(train.root) == root  # nothing was copied
    assert "commonvoice_deu_long_test" in read_manifest(out, "test").utterance_ids
    assert "1 language lost more than 5% of the utterances: deu" in capsys.readouterr().out
    counts = reasons(out)
    not_few_shot = "not one of the five training utterances of a few-shot language"
    assert counts.pop(("dan", not_few_shot)) == 3  # one of commonvoice, two of fleurs
    # the two of dan that no transcript names any more are still in that of one hour
    assert counts == {
        ("deu", "longer than allowed"): 2,
        ("deu", "transcript line without text"): 1,
        ("deu", "audio file missing"): 1,
        ("deu", "audio without a transcript line"): 1,
    }
    words = (out / "train.wrd").read_text(encoding="utf-8").splitlines()
    assert words[german[0]] == "GRÜN ISTS" and len(words) == len(train)


def test_ml_superb_trains_on_all_of_a_few_shot_language_when_told(tmp_path):
    root = ml_superb_tree(tmp_path / "root", {"dan": TEXTS["dan"]}, ["NST"])
    call = ["ml-superb", tmp_path / "out", "--root", root, "--corpora", "NST", "--no-few-shot"]
    assert prepare(*call) == 0
    assert len(read_manifest(tmp_path / "out", "train")) == 2


def test_the_few_shot_table_has_five_utterances_of_each_published_language():
    assert set(few_shot_utterances()) == set(read_set(FEW_SHOT))
    for code, utterances in few_shot_utterances().items():
        assert len(utterances) == 5
        assert all(re.fullmatch(rf"[A-Za-z0-9-]+_{code}_\d{{6}}", one) for one in utterances)


@pytest.mark.parametrize(
    "missing, message",
    [
        ("fleurs", r"lacks the corpus fleurs: unpack it"),
        ("fleurs/deu/wav", r"fleurs/deu lacks the folder wav"),
        ("fleurs/deu/transcript_10min_dev.txt", r"lacks transcript_10min_dev.txt"),
    ],
)
def test_a_part_that_ml_superb_lacks_is_named_and_can_be_skipped(
    tmp_path, capsys, missing, message
):
    root = ml_superb_tree(tmp_path / "root", {"deu": TEXTS["deu"]})
    (root / missing).rename(tmp_path / "elsewhere")
    call = ["ml-superb", tmp_path / "out", "--root", root, "--corpora", "commonvoice,fleurs"]
    assert prepare(*call) == 2
    said = capsys.readouterr().err
    assert re.search(message, said) and "--skip-missing" in said
    assert prepare(*call, "--skip-missing") == 0
    record = json.loads((tmp_path / "out" / "dataset.json").read_text(encoding="utf-8"))
    (skipped,) = record["skipped_parts"]
    assert missing.split("/")[-1] in skipped


def test_a_root_that_is_not_there_and_a_corpus_that_is_none_are_refused(tmp_path, capsys):
    assert prepare("ml-superb", tmp_path / "out", "--root", tmp_path / "none") == 2
    assert "is not a folder: expected the unpacked ML-SUPERB" in capsys.readouterr().err
    assert prepare("ml-superb", tmp_path / "o", "--root", tmp_path, "--corpora", "mls,libri") == 2
    assert "'libri' is not a corpus of ML-SUPERB" in capsys.readouterr().err
    write_audio(tmp_path / "mls" / "qqq" / "wav" / "a.wav")
    assert prepare("ml-superb", tmp_path / "o", "--root", tmp_path, "--corpora", "mls") == 2
    assert re.search(r"mls/qqq: 'qqq' is not .* --languages FILE", capsys.readouterr().err)


def test_parquet_is_read_by_row_group_and_each_utterance_gets_its_own_audio(tmp_path):
    train = [(f"mls_deu_{n:06d}", f"[deu] WORT {'ABCDE'[n]}", "deu") for n in range(5)]
    root = parquet_tree(
        tmp_path / "root",
        {
            "train": [*train, ("cv_jpn_000001", "[org_jpn] さん", "org_jpn")],
            "dev": [("mls_deu_000009", "[deu] NEIN", "deu")],
            "dev_dialect": [("ms_speech_tam_000001", "[hin] ஒன்று", "hin")],
        },
    )
    out = tmp_path / "out"
    assert prepare("ml-superb-parquet", out, "--root", root) == 0
    manifest = read_manifest(out, "train")
    assert manifest.labels[:2] == ["W O R T | A |", "W O R T | B |"]
    assert manifest.languages == ["deu"] * 5 + ["jpn"]
    audio = {manifest.audio_path(i).read_bytes() for i in range(6)}
    assert len(audio) == 6 and all(
        soundfile.info(manifest.audio_path(i)).frames == manifest.n_samples[i] == 8000
        for i in range(6)
    )
    assert read_manifest(out, "test").languages == ["tam"]
    call = ["ml-superb-parquet", tmp_path / "cased", "--root", root, "--text-profile", "keep_case"]
    assert prepare(*call) == 0
    assert read_manifest(tmp_path / "cased", "train").labels[0] == "W O R T | A |"
    assert read_manifest(out, "valid").utterance_ids == ["mls_deu_000009"]


@pytest.mark.parametrize("lhotse", [False, True])
def test_audio_of_fleurs_without_its_table_is_a_missing_part(tmp_path, lhotse, capsys):
    root = fleurs_tree(tmp_path / "root", {"de_de": ["Ja."], "da_dk": ["Nej."]}, lhotse)
    for table in root.rglob("da_dk/*.tsv"):
        table.unlink()
    call = ["fleurs", tmp_path / "out", "--root", root]
    assert prepare(*call) == 2
    assert "da_dk holds audio and there is no table of it" in capsys.readouterr().err
    assert prepare(*call, "--languages", "deu") == 0


def test_a_locale_is_called_as_its_link_is(tmp_path):
    root = common_voice_tree(tmp_path / "root", {"de": CV["de"]})
    (root / "de").rename(tmp_path / "elsewhere")
    (root / "de").symlink_to(tmp_path / "elsewhere")
    assert prepare("common-voice", tmp_path / "out", "--root", root) == 0
    assert set(read_manifest(tmp_path / "out", "train").languages) == {"deu"}


def test_a_null_in_parquet_is_rejected(tmp_path):
    rows = [("a", "[deu] ja", "deu"), ("b", None, "deu"), ("c", "[deu] ja", None),
            (None, "[deu] ja", "deu")]  # fmt: skip
    splits = {"train": rows, "dev": rows[:1], "dev_dialect": rows[:1]}
    root = parquet_tree(tmp_path / "root", splits)
    assert prepare("ml-superb-parquet", tmp_path / "out", "--root", root) == 0
    found = [(row["utterance"], row["detail"]) for row in rejected(tmp_path / "out")]
    nulls = [("b", "text is null"), ("c", "language is null"), ("", "id is null")]
    assert [one for one in found if one in nulls] == nulls


def test_a_language_token_that_contradicts_its_column_is_rejected_and_counted(tmp_path, capsys):
    rows = [("a", "[deu] ja", "deu"), ("b", "[nld] ja", "deu"), ("c", "[org_jpn] さん", "jpn"),
            ("d", "[lga] eno", "lug"), ("e", "[hes] eh", "deu"), ("f", "nein", "deu")]  # fmt: skip
    root = parquet_tree(tmp_path / "root", {s: rows for s in ("train", "dev", "dev_dialect")})
    out = tmp_path / "out"
    assert prepare("ml-superb-parquet", out, "--root", root) == 0
    assert read_manifest(out, "train").utterance_ids == ["a", "c", "d", "e", "f"]
    (row,) = [row for row in rejected(out) if row["utterance"] == "b" and row["split"] == "train"]
    assert row["detail"] == "[nld] in the text, deu in the column"
    reason = "language token that contradicts the language column"
    assert row["reason"] == reason and f"{reason} (deu 3)" in capsys.readouterr().out


def test_parquet_that_is_damaged_inside_is_told_by_row_group(tmp_path, capsys):
    rows = [(f"r{n}", f"[deu] wort {n}", "deu") for n in range(4)]
    splits = {name: rows for name in ("train", "dev", "dev_dialect")}
    (path,) = parquet_tree(tmp_path / "root", splits).glob("data/train-*")
    data = bytearray(path.read_bytes())
    data[4:400] = bytes(byte ^ 0x5A for byte in data[4:400])
    path.write_bytes(data)
    assert prepare("ml-superb-parquet", tmp_path / "out", "--root", tmp_path / "root") == 2
    assert re.search(r"train-\S+: row group 0 cannot be read \(.*\): dow", capsys.readouterr().err)


def test_parquet_without_a_column_or_that_is_none_is_refused(tmp_path, capsys):
    import pyarrow
    from pyarrow import parquet

    (tmp_path / "dev-0.parquet").write_bytes(b"PAR")
    (tmp_path / "train-0.parquet").write_bytes(b"no table")
    assert prepare("ml-superb-parquet", tmp_path / "out", "--root", tmp_path) == 2
    assert "train-0.parquet cannot be read as Parquet" in capsys.readouterr().err
    parquet.write_table(pyarrow.table({"id": ["a"]}), tmp_path / "train-0.parquet")
    assert prepare("ml-superb-parquet", tmp_path / "out", "--root", tmp_path) == 2
    assert "train-0.parquet has no column 'text'" in capsys.readouterr().err
    columns = {"id": ["a"], "text": ["[deu] ja"], "language": [3], "audio": [{"bytes": b""}]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "train-0.parquet")
    assert prepare("ml-superb-parquet", tmp_path / "out", "--root", tmp_path) == 2
    assert "the column 'language' is of type int64: expected string" in capsys.readouterr().err


CV = {
    "de": {
        "train": [("s1", 'Er sagt: "Ja."'), ("s1", "Grün"), ("s2", "Zwei")],
        "dev": [("s3", "Nein")],
        "test": [("s4", "Drei")],
    },
    "zh-CN": {"train": [("s1", "你好")], "dev": [("s5", "三")], "test": [("s6", "二")]},
}


def test_common_voice_is_converted_from_mp3_with_its_speakers(tmp_path):
    root = common_voice_tree(tmp_path / "root", CV)
    write_audio(root / "de" / "clips" / "common_voice_de_99.mp3", 0.6, 32_000, format="MP3")
    out = tmp_path / "out"
    assert prepare("common-voice", out, "--root", root) == 0
    manifest = read_manifest(out, "train")
    assert manifest.languages == ["deu", "deu", "deu", "cmn"]
    assert manifest.speakers == ["s1", "s1", "s2", "s1"]
    assert manifest.labels[0] == "e r | s a g t | j a |" and manifest.corpora[0] == "commonvoice"
    for index in range(4):
        header = soundfile.info(manifest.audio_path(index))
        assert (header.samplerate, header.channels, header.subtype) == (16_000, 1, "PCM_16")
        assert header.frames == manifest.n_samples[index]
        assert abs(header.frames - 0.6 * 16_000) < 2000  # an MP3 is padded to whole frames
    assert reasons(out) == {("deu", "clip that no table names"): 1}


def test_one_locale_of_common_voice_can_be_split_anew_from_all_validated_clips(tmp_path, capsys):
    speakers = {"train": [(f"s{n}", f"satz {chr(97 + n)}") for n in range(12)]}
    root = common_voice_tree(tmp_path / "root", {"de": speakers})
    assert prepare("common-voice", tmp_path / "out", "--root", root / "de", "--validated") == 0
    contradiction = ("--root", root / "de", "--validated", "--splits", "corpus")
    assert prepare("common-voice", tmp_path / "o", *contradiction) == 2
    assert "--validated and --splits corpus contradict" in capsys.readouterr().err
    sizes = {s: len(read_manifest(tmp_path / "out", s)) for s in ("train", "valid", "test")}
    assert sum(sizes.values()) == 12 and min(sizes.values()) >= 1


SPONTANEOUS = {
    "de": [("s1", "Ja, also.", "train"), ("s1", "Eben", "train"), ("s2", "Wie \"das\"?", "dev"),
           ("s3", "Nein", "test"), ("s4", "Vielleicht", "unassigned"), ("s5", "", "unassigned")],
    "zh-CN": [("s6", "你好", "train"), ("s7", "三", "dev"), ("s8", "二", "")],
}  # fmt: skip


@pytest.mark.parametrize("locales", [("de", "zh-CN"), ("de",)])
def test_spontaneous_speech_of_common_voice_is_read_in_its_own_layout(tmp_path, capsys, locales):
    root = spontaneous_tree(tmp_path / "root", {code: SPONTANEOUS[code] for code in locales})
    if len(locales) == 1:
        root = root / "sps-corpus-3.0-2026-03-09-de"
    write_audio(next(root.rglob("audios")) / "other.mp3", 0.6, 32_000, format="MP3")
    out = tmp_path / "out"
    call = ["common-voice-spontaneous", out, "--root", root, "--keep", "gender"]
    assert prepare(*call) == 0
    train = read_manifest(out, "train")
    assert train.utterance_ids[:2] == ["spontaneous-speech-de-0", "spontaneous-speech-de-1"]
    assert train.languages == ["deu", "deu", "cmn"][: len(train)]
    assert train.labels[0] == "j a | a l s o |"
    assert set(train.corpora) == {"commonvoice_spontaneous"}
    assert train.speakers[:2] == ["s1", "s1"]
    assert soundfile.info(train.audio_path(0)).samplerate == 16_000
    assert read_manifest(out, "valid").labels[0] == "w i e | d a s |"
    unassigned = "in no split of the release (--unassigned takes it)"
    expected = {("deu", unassigned): 2, ("deu", "clip that no table names"): 1}
    assert reasons(out) == expected | ({("cmn", unassigned): 1} if "zh-CN" in locales else {})
    assert "deu 1 of 5 (clip that no table names)" in capsys.readouterr().out
    assert prepare(*call, "--unassigned", "--overwrite") == 0
    assert ("deu", "text is empty") in reasons(out)
    names = [n for s in ("train", "valid", "test") for n in read_manifest(out, s).utterance_ids]
    assert "spontaneous-speech-de-4" in names


def test_spontaneous_speech_is_no_locale_of_read_speech_and_the_other_way_round(tmp_path, capsys):
    root = spontaneous_tree(tmp_path / "root", {"de": SPONTANEOUS["de"]})
    for place in (root, root / "sps-corpus-3.0-2026-03-09-de"):
        assert prepare("common-voice", tmp_path / "out", "--root", place) == 2
        said = capsys.readouterr().err
        assert f"prepare common-voice-spontaneous OUT --root {place}`" in said
    read = common_voice_tree(tmp_path / "read", {"de": CV["de"]})
    assert prepare("common-voice-spontaneous", tmp_path / "out", "--root", read) == 2
    assert "holds no spontaneous speech: expected ss-corpus-*.tsv" in capsys.readouterr().err
    table = root / "sps-corpus-3.0-2026-03-09-de" / "ss-corpus-de.tsv"
    table.write_text(table.read_text("utf-8").replace("\tdev\t", "\tlater\t"), "utf-8")
    assert prepare("common-voice-spontaneous", tmp_path / "out", "--root", root) == 2
    assert "ss-corpus-de.tsv:4: 'later' is not a split" in capsys.readouterr().err


def test_a_locale_that_lacks_a_table_or_a_column_is_named(tmp_path, capsys):
    root = common_voice_tree(tmp_path / "root", CV)
    (root / "de" / "dev.tsv").unlink()
    assert prepare("common-voice", tmp_path / "out", "--root", root) == 2
    assert "de lacks dev.tsv" in capsys.readouterr().err
    assert prepare("common-voice", tmp_path / "out", "--root", root, "--skip-missing") == 0
    write_lines(root / "de" / "dev.tsv", ["client_id\tpath\n"])
    assert prepare("common-voice", tmp_path / "o2", "--root", root) == 2
    assert "dev.tsv:1 has no column 'sentence'" in capsys.readouterr().err


def test_a_line_of_another_form_is_left_out_and_the_rest_continues(tmp_path):
    root = common_voice_tree(tmp_path / "cv", CV)
    for name in ("train", "other"):  # a table that is only asked which clips it names may be odd
        with open(root / "de" / f"{name}.tsv", "a", encoding="utf-8") as stream:
            stream.write("s9\tcommon_voice_de_77.mp3\n")
    assert prepare("common-voice", tmp_path / "a", "--root", root) == 0
    assert reasons(tmp_path / "a") == {("deu", "transcript line of another form"): 1}
    root = fleurs_tree(tmp_path / "fleurs", {"de_de": ["eins", "zwei"]})
    table = root / "data" / "de_de" / "train.tsv"
    table.write_text(table.read_text("utf-8").replace("\tFEMALE", "", 1), "utf-8")
    assert prepare("fleurs", tmp_path / "b", "--root", root) == 0
    (row,) = rejected(tmp_path / "b")
    assert row["where"] == f"{table}:1" and row["detail"] == "6 fields, expected 7"
    assert len(read_manifest(tmp_path / "b", "train")) == 1


@pytest.mark.parametrize("lhotse", [False, True])
def test_fleurs_is_used_where_it_lies_in_both_layouts(tmp_path, lhotse):
    sentences = ["Eins zwei.", "Drei vier."]
    root = fleurs_tree(
        tmp_path / "root", {"de_de": sentences, "cmn_hans_cn": ["一 二", "三"]}, lhotse
    )
    call = ["fleurs", tmp_path / "out", "--root", root]
    assert prepare(*call) == 0
    manifest = read_manifest(tmp_path / "out", "train")
    assert manifest.languages == ["cmn", "cmn", "deu", "deu"]
    assert manifest.labels[2] == "e i n s | z w e i |"
    assert Path(manifest.root) == root and manifest.corpora[0] == "fleurs"
    out = tmp_path / "raw"
    assert prepare("fleurs", out, "--root", root, "--raw", "--text-profile", "keep_case") == 0
    assert read_manifest(out, "train").labels[2] == "E i n s | z w e i |"


def test_a_language_of_fleurs_whose_archive_is_still_packed_is_named(tmp_path, capsys):
    root = fleurs_tree(tmp_path / "root", {"de_de": ["eins"]})
    audio = root / "data" / "de_de" / "audio" / "dev"
    audio.rename(tmp_path / "packed")
    audio.with_name("dev.tar.gz").write_bytes(b"")
    assert prepare("fleurs", tmp_path / "out", "--root", root) == 2
    assert re.search(r"unpack it by `tar -xzf \S+dev.tar.gz -C \S+audio`", capsys.readouterr().err)
    assert prepare("fleurs", tmp_path / "out", "--root", root, "--skip-missing") == 0


JSON_LINES = """{"path": "a.wav", "text": "eins", "language": "deu", "speaker": "s1", "id": "x"}

{"path": "long.wav", "text": "zwei", "language": "deu", "offset": 0.5, "duration": 1.0}
{"path": "long.wav", "text": "drei", "language": "deu", "offset": 1.5, "corpus": "ours"}
{"path": "long.wav", "text": "vier", "language": "deu", "offset": 2.5, "duration": 9}
"""


def test_json_lines_may_cut_utterances_out_of_long_files(tmp_path):
    write_audio(tmp_path / "a.wav")
    write_audio(tmp_path / "long.wav", 3.0, 8000, 2)
    table = write_lines(tmp_path / "t.jsonl", [JSON_LINES])
    out = tmp_path / "out"
    call = ["table", out, "--table", table, "--valid-fraction", 0, "--test-fraction", 0]
    assert prepare(*call) == 0
    manifest = read_manifest(out, "train")
    assert manifest.utterance_ids == ["x", "long@0.5", "long@1.5"]
    assert manifest.n_samples.tolist() == [16_000, 16_000, 24_000]
    assert manifest.speakers == ["s1", "", ""] and manifest.corpora == ["", "", "ours"]
    frames = [soundfile.info(manifest.audio_path(index)).frames for index in range(3)]
    assert frames == [16_000, 16_000, 24_000]
    assert [(r["utterance"], r["reason"]) for r in rejected(out)] == [
        ("long@2.5", "offset and duration (seconds) are outside the file")
    ]


def test_a_csv_may_quote_and_two_files_of_one_name_get_two_ids(tmp_path):
    for folder in ("deu", "nld"):
        write_audio(tmp_path / folder / "1.wav")
    rows = 'path,text,language,split\ndeu/1.wav,"ja, ja",deu,train\nnld/1.wav,nee,nld,train\n'
    table = write_lines(tmp_path / "t.csv", [rows])
    assert prepare("table", tmp_path / "out", "--table", table) == 0
    manifest = read_manifest(tmp_path / "out", "train")
    assert manifest.labels == ["j a | j a |", "n e e |"]
    assert manifest.utterance_ids == ["deu/1", "nld/1"]


@pytest.mark.parametrize(
    "lines, message",
    [
        ("{}\n", r"t.jsonl:1 has no column 'path' or 'file'"),
        ('{"path":"a","text":"x","language":"deu"}\n{"path": \n', r"t.jsonl:2 is not JSON"),
        ('{"path":"a","text":["x"],"language":"deu"}\n', r't.jsonl:1: text is \["x"\]: expected a'),
        ('{"path":"a","text":"x","language":"deu"}\n[1]\n', r"t.jsonl:2 is not a JSON object"),
        ('{"path":"a","text":"x","language":"deu","offset":"-1"}\n', r"offset '-1' is not a num"),
        ('{"path":"a","text":"x","language":"deu","duration":"s"}\n', r"duration 's' is not a num"),
    ],
)
def test_a_json_line_that_cannot_be_meant_is_named(tmp_path, capsys, lines, message):
    table = write_lines(tmp_path / "t.jsonl", [lines])
    assert prepare("table", tmp_path / "out", "--table", table) == 2
    assert re.search(message, capsys.readouterr().err)


def test_a_table_that_is_not_utf_8_is_refused(tmp_path, capsys):
    (tmp_path / "t.tsv").write_bytes(b"path\ttext\tlanguage\na.wav\tgr\xfcn\tdeu\n")
    assert prepare("table", tmp_path / "out", "--table", tmp_path / "t.tsv") == 2
    assert "t.tsv:2 is not UTF-8" in capsys.readouterr().err


def test_a_folder_that_cannot_be_read_is_told_in_one_sentence(tmp_path, capsys, monkeypatch):
    root = common_voice_tree(tmp_path / "root", {"de": CV["de"]})
    stat = Path.is_dir

    def refuse(path):
        if path == root / "de" / "clips":
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path)

    monkeypatch.setattr(Path, "is_dir", refuse)
    assert prepare("common-voice", tmp_path / "out", "--root", root) == 2
    assert "de/clips: Permission denied: fix that" in capsys.readouterr().err


def test_every_reader_names_the_public_loader_of_its_layout_and_is_reached_by_its_name(capsys):
    for reader in READERS:
        with pytest.raises(SystemExit):
            main(["prepare", reader.name, "--help"])
        assert reader.summary in capsys.readouterr().out
    cited = {r.name: __import__(r.__module__, fromlist=["x"]).__doc__ for r in READERS}
    for name in ("ml-superb", "ml-superb-parquet"):
        assert "ESPnet's ``egs" in cited[name]
    assert "common-voice/cv-dataset" in cited["common-voice-spontaneous"]
    for name in ("common-voice", "fleurs"):
        assert "lhotse/recipes/" in cited[name]
