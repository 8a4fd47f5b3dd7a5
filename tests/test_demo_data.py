"""Data folders as written: from a plan, from synthetic speech, from a table of recordings."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fairseq.data import Dictionary

from fairseq_dro.cli import main
from fairseq_dro.data.manifest import read_manifest
from fairseq_dro.data.manifest_writer import Utterance, write_data_folder, write_dictionary
from fairseq_dro.errors import UserError

HEADER = "split\tlanguage\tfile\tseconds\tspeaker\tnormalised_text\ttext\n"


def utterance(folder: Path, name: str, split: str = "train", **changes) -> Utterance:
    values = dict(
        path=folder / "audio" / f"{name}.wav", n_samples=16_000, language="deu", label="j a |",
        utterance_id=name, split=split,
    )
    return Utterance(**{**values, **changes})


def mini_corpus(folder: Path) -> Path:
    """Three languages, a train, a dev and a test recording of each, ogg as in the real corpus."""
    texts = {"deu": "ja nein", "ell": "ναι όχι", "kat": "კი არა"}
    rows = []
    for seed, (code, text) in enumerate(texts.items()):
        (folder / code).mkdir(parents=True)
        for split in ("train", "dev", "test"):
            file = f"{code}/{code}_{split}.ogg"
            noise = np.random.default_rng(seed).standard_normal(16_000) * 0.1
            soundfile.write(folder / file, noise, 16_000, format="OGG", subtype="OPUS")
            rows.append(f"{split}\t{code}\t{file}\t1.00\ts1\t{text}\t{text.title()}!\n")
    (folder / "corpus.tsv").write_text(HEADER + "".join(rows), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """The real corpus where FAIRSEQ_DRO_CORPUS names one, else one made here."""
    if os.environ.get("FAIRSEQ_DRO_CORPUS"):
        return Path(os.environ["FAIRSEQ_DRO_CORPUS"])
    return mini_corpus(tmp_path_factory.mktemp("corpus"))


def test_what_is_written_is_what_is_read(tmp_path):
    written = [
        utterance(tmp_path, "b", n_samples=7),
        utterance(tmp_path, "v", split="valid", language="kat", label="კ ი |"),
        utterance(tmp_path, "a/c", language="ell", label="ν α ι | ό χ ι |"),
    ]
    assert write_data_folder(tmp_path, written, tmp_path / "audio") == {"train": 2, "valid": 1}
    manifest = read_manifest(tmp_path, "train")
    assert Path(manifest.root) == (tmp_path / "audio").resolve()
    assert manifest.paths == ["b.wav", "a/c.wav"]
    assert manifest.n_samples.tolist() == [7, 16_000]
    assert manifest.languages == ["deu", "ell"]
    assert manifest.labels == ["j a |", "ν α ι | ό χ ι |"]
    assert manifest.utterance_ids == ["b", "a/c"]
    assert read_manifest(tmp_path, "valid").languages == ["kat"]


def test_fairseq_reads_the_dictionary_with_symbols_by_frequency_then_code_point(tmp_path):
    path = tmp_path / "dict.ltr.txt"
    assert write_dictionary(path, ["b a |", "c |"], ["[deu]", "a"]) == ["|", "a", "b", "c", "[deu]"]
    dictionary = Dictionary.load(str(path))
    assert dictionary.symbols == ["<s>", "<pad>", "</s>", "<unk>", "|", "a", "b", "c", "[deu]"]
    assert dictionary.count[4:] == [2, 1, 1, 1, 0]


def test_a_symbol_that_only_test_has_is_in_the_dictionary_with_count_0(tmp_path):
    write_data_folder(
        tmp_path,
        [utterance(tmp_path, "a"), utterance(tmp_path, "t", split="test", label="ö |")],
        tmp_path / "audio",
    )
    lines = (tmp_path / "dict.ltr.txt").read_text(encoding="utf-8").splitlines()
    assert lines == ["a 1", "j 1", "| 1", "ö 0"]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"n_samples": 0}, "utterance x has no audio"),
        ({"label": " "}, "utterance x has no text"),
        ({"path": Path("/elsewhere/x.wav")}, "x is at /elsewhere/x.wav, which is outside"),
        ({"split": "test"}, "no utterance is in the split 'train'"),
    ],
)
def test_an_utterance_that_cannot_be_trained_on_is_refused_by_name(tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        write_data_folder(tmp_path, [utterance(tmp_path, "x", **change)], tmp_path / "audio")


def test_synthetic_speech_becomes_a_data_folder_once(tmp_path, capsys):
    call = ["prepare", "espeak", str(tmp_path / "data"), "--languages", "deu,kat"]
    assert main([*call, "--utterances", "24"]) == 0
    said = capsys.readouterr().out
    assert "2 languages" in said and "(kat)" in said
    train = read_manifest(tmp_path / "data", "train")
    assert set(train.languages) == {"deu", "kat"}
    assert all(
        soundfile.info(train.audio_path(i)).frames == train.n_samples[i] for i in range(len(train))
    )
    before = (tmp_path / "data" / "train.tsv").stat().st_mtime_ns
    assert main([*call, "--utterances", "24"]) == 0
    assert "there already" in capsys.readouterr().out
    assert (tmp_path / "data" / "train.tsv").stat().st_mtime_ns == before
    assert main([*call, "--utterances", "25"]) == 2
    assert "was made from other options or another corpus (" in capsys.readouterr().err
    assert main([*call, "--utterances", "25", "--overwrite"]) == 0


def test_a_table_of_ogg_becomes_a_data_folder_with_flac(corpus, tmp_path):
    head, *lines = (corpus / "corpus.tsv").read_text(encoding="utf-8").splitlines()
    if len(lines) > 100:  # of the real corpus, some of each language and split
        lines = lines[::8]
    rows = [dict(zip(head.split("\t"), line.split("\t"))) for line in lines]
    for row in rows:
        row["file"] = str(corpus / row["file"])
    table = tmp_path / "some.tsv"
    table.write_text("\n".join([head, *("\t".join(row.values()) for row in rows), ""]), "utf-8")
    assert main(["prepare", "table", str(tmp_path), "--table", str(table)]) == 0
    symbols = set(Dictionary.load(str(tmp_path / "dict.ltr.txt")).symbols)
    for split, published in (("train", "train"), ("valid", "dev"), ("test", "test")):
        manifest = read_manifest(tmp_path, split)
        expected = [row for row in rows if row["split"] == published]
        assert manifest.languages == [row["language"] for row in expected]
        assert [Path(path).stem for path in manifest.paths] == [
            Path(row["file"]).stem for row in expected
        ]
        assert {Path(path).suffix for path in manifest.paths} == {".flac"}
        texts = [label.replace(" ", "").replace("|", " ").strip() for label in manifest.labels]
        assert texts == [row["normalised_text"] for row in expected]
        seconds = manifest.n_samples / 16_000
        assert np.abs(seconds - [float(row["seconds"]) for row in expected]).max() < 0.02
        assert symbols.issuperset(" ".join(manifest.labels).split())
        assert all(manifest.audio_path(row).is_file() for row in range(len(manifest)))
    assert list(tmp_path.rglob("*.ogg")) == [], "nothing of the corpus is copied"


def test_a_table_with_published_text_only_is_normalised(tmp_path):
    corpus = mini_corpus(tmp_path / "corpus")
    table = corpus / "corpus.tsv"
    table.write_text(table.read_text("utf-8").replace("normalised_text", "other"), "utf-8")
    assert main(["prepare", "table", str(tmp_path / "data"), "--table", str(table)]) == 0
    assert read_manifest(tmp_path / "data", "train").labels[0] == "j a | n e i n |"


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("dev\tdeu", "devel\tdeu", r"corpus.tsv:3: 'devel' is not a split: expected train, dev"),
        ("\tfile\t", "\tdatei\t", r"corpus.tsv:1 has no column 'path' or 'file'"),
        ("\ts1\tja nein", " ja nein", r"corpus.tsv:2 has 5 fields: expected 7"),
        ("\tdeu\t", "\tdeutsch\t", r"corpus.tsv:2: 'deutsch' .* own: --languages FILE"),
        ("deu/deu_dev.ogg", "", r"corpus.tsv:3: the path is empty"),
    ],
)
def test_a_mistake_in_a_table_is_named_with_its_line(tmp_path, capsys, old, new, message):
    table = mini_corpus(tmp_path / "corpus") / "corpus.tsv"
    table.write_text(table.read_text("utf-8").replace(old, new, 1), "utf-8")
    assert main(["prepare", "table", str(tmp_path / "out"), "--table", str(table)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert re.search(message, error)
    assert not (tmp_path / "out").exists()


def test_a_table_that_is_not_there_is_refused(tmp_path, capsys):
    assert main(["prepare", "table", str(tmp_path / "out"), "--table", "none.tsv"]) == 2
    assert capsys.readouterr().err.startswith("error: none.tsv does not exist")
