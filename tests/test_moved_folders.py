"""A data folder with its audio, and a run without its data, are whole in another place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from fairseq_dro.data.manifest import read_manifest
from fairseq_dro.data.manifest_writer import Utterance, write_data_folder
from fairseq_dro.report.report import make_report, read_report_data
from tests.planted_runs import plant_decoding, plant_training


def utterance(path: Path) -> Utterance:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return Utterance(path, 16_000, "deu", "h a |", path.stem, "train")


@pytest.mark.parametrize("root", ["converted", "converted/deu", "."])
def test_audio_inside_the_data_folder_moves_with_it(tmp_path, root, monkeypatch):
    folder = tmp_path / "data"
    one = utterance(folder / "converted" / "deu" / "one.flac")
    monkeypatch.chdir(tmp_path)
    write_data_folder("data", [one], folder / root)  # as it is typed: relative
    assert (folder / "train.tsv").read_text().splitlines()[0] == root
    assert read_manifest("data", "train").audio_path(0) == one.path
    shutil.move(folder, tmp_path / "elsewhere")
    moved = read_manifest(tmp_path / "elsewhere", "train").audio_path(0)
    assert moved == tmp_path / "elsewhere/converted/deu/one.flac" and moved.exists()


def test_audio_outside_keeps_its_place(tmp_path):
    folder = tmp_path / "data"
    one = utterance(tmp_path / "data_of_somebody" / "one.wav")
    write_data_folder(folder, [one], one.path.parent)
    assert (folder / "train.tsv").read_text().splitlines()[0] == str(one.path.parent)
    assert read_manifest(folder, "train").audio_path(0) == one.path


def test_a_root_relative_to_the_current_folder_is_read_as_fairseq_reads_it(tmp_path, monkeypatch):
    one = utterance(tmp_path / "audio" / "one.wav")
    write_data_folder(tmp_path / "data", [one], tmp_path / "audio")
    tsv = tmp_path / "data/train.tsv"
    tsv.write_text("audio\n" + tsv.read_text().split("\n", 1)[1])
    monkeypatch.chdir(tmp_path)
    assert read_manifest(tmp_path / "data", "train").audio_path(0) == one.path


def test_a_run_copied_without_its_data_keeps_its_alarms_and_its_seconds(tmp_path):
    cer = {"deu": 0.9, "kat": 0.1}
    folder = plant_training(tmp_path / "run", list(cer), updates=200)
    plant_decoding(folder, cer)
    scores = folder / "decode_test" / "scores.json"
    kept = json.loads(scores.read_text()) if scores.exists() else {"decoded": {"split": "test"}}
    assert "no better than a guess" not in str(make_report(read_report_data(folder)).alarms)
    kept["training"] = {
        "train_seconds": {"deu": 60.0, "kat": 90.0}, "constant_guess": {"deu": 0.05, "kat": 0.7}
    }
    scores.write_text(json.dumps(kept))
    data = read_report_data(folder)
    assert "no better than a guess" in str(make_report(data).alarms)
    assert data.facts.seconds == {"deu": 60.0, "kat": 90.0}
    assert "does not say where its data are" in data.without_data
