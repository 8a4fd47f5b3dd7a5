"""``fairseq-dro infer``: a run or a checkpoint, results where the report looks for them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import fairseq_dro
from fairseq_dro.commands.infer import stock_main
from fairseq_dro.errors import UserError
from fairseq_dro.runs.decodable import checkpoint_of, results_folder_of
from tests.stock_commands import BIN, train_command
from tests.test_train_command import quick

INFER = [str(BIN / "fairseq-dro"), "infer"]


@pytest.fixture(scope="module")
def trained(tiny_data, tiny_checkpoint, tmp_path_factory, command_server) -> Path:
    """A home with a run, ``run``, and its data folder, ``data``."""
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(tiny_data, home / "data")
    command_server.run(
        train_command(home / "data", tiny_checkpoint, optimization__max_update="2"), home / "run"
    )
    return home


def test_a_run_is_decoded_into_its_own_folder(trained, command_server):
    done = command_server.run([*INFER, "run", "dataset.num_workers=0"], trained)
    results = trained / "run" / "decode_test"
    assert "| language" in done.stdout and "deu" in done.stdout
    scores = json.loads((results / "scores.json").read_text())
    assert scores["decoded"]["checkpoint"] == ["checkpoint_last.pt"]
    assert scores["decoded"]["update"] == 2
    n_test = len((trained / "data" / "test.ltr").read_text().splitlines())
    assert len((results / "utterances.jsonl").read_text().splitlines()) == n_test
    command_server.run(
        [*INFER, "--split", "valid", "run/checkpoints/checkpoint_last.pt", "dataset.num_workers=0"],
        trained,
    )
    assert (trained / "run" / "decode_valid" / "scores.json").exists()
    assert sorted(path.name for path in trained.iterdir()) == ["data", "run"]


def test_without_transcripts_hypotheses_are_written_alone(trained, command_server, tmp_path):
    for name in ("test.tsv", "test.lang"):
        (tmp_path / name).write_bytes((trained / "data" / name).read_bytes())
    rows = len((tmp_path / "test.tsv").read_text().splitlines()) - 1
    done = command_server.run(
        [*INFER, str(trained / "run"), f"task.data={tmp_path}", "decoding.results_path=out",
         "dataset.num_workers=0"], tmp_path,
    )  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["hypo.units", "hypo.word"]
    with_labels = command_server.run(
        [*INFER, str(trained / "run"), "decoding.results_path=ref", "dataset.num_workers=0"],
        tmp_path,
    )
    assert with_labels.returncode == 0
    for name in ("hypo.word", "hypo.units"):
        assert (tmp_path / "out" / name).read_text() == (tmp_path / "ref" / name).read_text()
    assert done.stdout.count("\t") >= rows
    assert sorted(path.name for path in tmp_path.glob("test.*")) == ["test.lang", "test.tsv"]


def test_a_run_folder_in_place_of_a_checkpoint_and_a_model_that_is_not_known(
    trained, command_server, tmp_path
):
    stock = [str(BIN / "fairseq-dro-infer"), "dataset.num_workers=0"]
    command_server.run(
        [*stock, f"common_eval.path={trained / 'run'}", "decoding.results_path=out"], tmp_path
    )
    assert (tmp_path / "out" / "scores.json").exists()
    state = torch.load(
        trained / "run" / "checkpoints" / "checkpoint_last.pt", weights_only=False
    )
    for change, says in (
        (lambda s: s["cfg"]["model"].update(_name="conformer_x"), "not known here (conformer_x)"),
        (lambda s: s["cfg"].update(model={}), "a model that is not known here: name the user"),
    ):
        change(state)
        torch.save(state, tmp_path / "other.pt")
        done = command_server.run([*stock, "common_eval.path=other.pt"], tmp_path, check=False)
        *_, sentence = done.stdout.rstrip().splitlines()
        assert done.returncode == 2 and sentence.startswith("error: ") and says in sentence
        assert "Traceback" not in done.stdout


def test_what_is_wrong_is_said_at_once(tmp_path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    mistakes = {
        "infer": "the following arguments are required: RUN",
        "infer rum": "rum does not exist: did you mean run?",
        "infer run": "run has no checkpoint yet",
        "infer run/checkpoints/a.pt": "run/checkpoints/a.pt does not exist",
        "infer . dataset.max_token=3": "did you mean dataset.max_tokens",
        "infer . decodng.type=viterbi": "did you mean decoding?",
        "infer . --splt test": "did you mean --split?",
    }
    slow, answers = quick(tmp_path, *(typed.split() for typed in mistakes))
    assert slow == []
    for (typed, says), (status, said) in zip(mistakes.items(), answers):
        assert status == 2 and said.startswith("error: ") and says in said, typed


def test_the_checkpoint_of_a_run_and_where_its_results_go(tmp_path):
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    with pytest.raises(UserError, match="no checkpoint yet"):
        checkpoint_of(tmp_path / "run")
    for name in ("checkpoint_last.pt", "checkpoint_best.pt"):
        (folder / name).touch()
        assert checkpoint_of(tmp_path / "run") == folder / name
    other = folder / "checkpoint_2_100.pt"
    other.touch()
    assert checkpoint_of(other) == other
    assert results_folder_of(tmp_path / "run", "test") == tmp_path / "run" / "decode_test"
    assert results_folder_of(folder / "checkpoint_last.pt", "dev") == tmp_path / "run/decode_dev"
    assert results_folder_of(other, "test").name == "decode_test_checkpoint_2_100"
    (tmp_path / "published").mkdir()
    with pytest.raises(UserError, match="published holds no model"):
        checkpoint_of(tmp_path / "published")
    (tmp_path / "published" / "config.json").touch()
    assert checkpoint_of(tmp_path / "published") == tmp_path / "published"
    assert results_folder_of(tmp_path / "published", "test") is None


@pytest.mark.parametrize("arguments", [["--help"], ["common_eval.path=x", "-h"]])
def test_help_of_the_stock_command_is_short(arguments, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["fairseq-dro-infer", *arguments])
    assert stock_main() == 0
    said = capsys.readouterr().out
    assert said.count("\n") < 25 and "common_eval.path=" in said and "example:" in said


@pytest.fixture(scope="module")
def recordings(trained, command_server) -> dict[str, str]:
    """Audio file by what infer writes down of it, one utterance a batch."""
    command_server.run(
        [*INFER, "run", "dataset.num_workers=0", "dataset.batch_size=1",
         "decoding.results_path=single"], trained,
    )  # fmt: skip
    lines = (trained / "single" / "utterances.jsonl").read_text(encoding="utf-8").splitlines()
    root, *rows = (trained / "data" / "test.tsv").read_text().splitlines()
    files = [str(Path(root, row.split("\t")[0])) for row in rows]
    return {file: json.loads(line)["hypothesis"] for file, line in zip(files, lines)}


def test_a_loaded_model_writes_what_infer_writes(trained, recordings):
    model = fairseq_dro.load(trained / "run", device="cpu")
    assert len(set(recordings.values())) > 1
    for file, expected in list(recordings.items())[:6]:
        found = model.transcribe(file)
        assert found.text == expected and len(found.pieces) == 1
        assert found.pieces[0].end == found.seconds
        assert abs(found.seconds - soundfile.info(file).duration) < 1e-3


def test_a_long_recording_is_transcribed_in_pieces(trained, recordings, tmp_path):
    parts = [soundfile.read(file)[0] for file in list(recordings)[:8]]
    pause = np.zeros(8_000)
    soundfile.write(
        tmp_path / "long.flac", np.concatenate([x for part in parts for x in (part, pause)]), 16_000
    )
    model = fairseq_dro.load(trained / "run" / "checkpoints" / "checkpoint_last.pt", device="cpu")
    seen = []
    found = model.transcribe(
        tmp_path / "long.flac", most_seconds=3, progress=lambda batches: seen.append(1) or batches
    )
    assert seen and len(found.pieces) >= 4
    assert found.pieces[0].start == 0 and found.pieces[-1].end == found.seconds
    for one, following in zip(found.pieces, found.pieces[1:]):
        assert one.end == following.start and 0 < one.end - one.start <= 3
    assert found.text == " ".join(one.text for one in found.pieces if one.text)
    assert model.texts([np.zeros(3, np.float32)]) == [""]


def test_transcribe_prints_text_or_json(trained, recordings, command_server, tmp_path):
    command = [str(BIN / "fairseq-dro"), "transcribe", str(trained / "run")]
    one, two, *_ = recordings
    said = command_server.run([*command, one], tmp_path).stdout
    assert said.splitlines()[-1].strip() == recordings[one].strip()
    said = command_server.run([*command, "--json", one, two, "--cpu"], tmp_path).stdout
    records = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert [record["file"] for record in records] == [one, two]
    assert [record["text"] for record in records] == [recordings[one], recordings[two]]
    assert set(records[0]["pieces"][0]) == {"start", "end", "text"}
    assert not list(tmp_path.iterdir())


def test_mistakes_of_transcribe_are_said_at_once(tmp_path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / "checkpoint_last.pt").touch()
    mistakes = {
        "transcribe rum a.wav": "did you mean run?",
        "transcribe run a.wav": "a.wav does not exist: name an audio file",
        "transcribe run": "the following arguments are required: FILE",
        "transcribe run --most-seconds 0.1 a.wav": "is too short: give 1 or more",
        "transcribe run a.wav --jsn": "did you mean --json?",
    }
    slow, answers = quick(tmp_path, *(typed.split() for typed in mistakes))
    assert slow == []
    for (typed, says), (status, said) in zip(mistakes.items(), answers):
        assert status == 2 and said.startswith("error: ") and says in said, typed
