"""Mistakes that ``fairseq-dro-infer`` refuses, each with one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from fairseq_dro.errors import UserError
from fairseq_dro.survival.folder_lock import take
from fairseq_dro.survival.lock_file import look
from tests.decoded_splits import copy_split, error_of, infer, lines_of
from tests.killed_commands import CommandServer
from tests.stock_commands import BIN


def test_a_mistake_is_one_sentence_on_the_command_line(
    tmp_path: Path, command_server: CommandServer
) -> None:
    done = command_server.run(
        [str(BIN / "fairseq-dro-infer"), "common_eval.path=nowhere.pt"], tmp_path, check=False
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stdout
    (sentence,) = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert f"common_eval.path={tmp_path / 'nowhere.pt'} does not exist" in sentence
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_recording_is_one_sentence_also_from_a_loader_process(
    stock_model: Path, tiny_data: Path, tmp_path: Path, command_server: CommandServer
) -> None:
    data = copy_split(tiny_data, tmp_path / "data")
    rows = lines_of(data / "test.tsv")
    path, n_samples = rows[3].split("\t")
    cut = tmp_path / "cut.wav"
    cut.write_bytes((tiny_data / path).read_bytes()[:2000])
    rows[3] = f"{cut}\t{n_samples}"
    (data / "test.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    done = command_server.run(
        [
            str(BIN / "fairseq-dro-infer"), f"common_eval.path={stock_model}", f"task.data={data}",
            "decoding.results_path=results", "dataset.num_workers=1",
        ],
        tmp_path, check=False,
    )
    assert done.returncode == 2, done.stdout
    assert "Traceback" not in done.stdout
    (sentence,) = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert "test.tsv:4" in sentence and "cut.wav" in sentence
    assert not (tmp_path / "results").exists(), "nothing was decoded"


@pytest.mark.parametrize("damage", ["missing", "empty", "cut"])
def test_a_damaged_recording_is_named(
    stock_model: Path, tiny_data: Path, tmp_path: Path, damage: str
) -> None:
    data = copy_split(tiny_data, tmp_path / "data")
    rows = lines_of(data / "test.tsv")
    path, n_samples = rows[3].split("\t")
    bad = tmp_path / "bad.wav"
    if damage != "missing":
        bad.write_bytes((tiny_data / path).read_bytes()[: 2000 if damage == "cut" else 0])
    rows[3] = f"{bad}\t{n_samples}"
    (data / "test.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    sentence = error_of(f"common_eval.path={stock_model}", f"task.data={data}")
    assert f"{data / 'test.tsv'}:4 (utterance {bad.with_suffix('')})" in sentence


def test_a_missing_split_names_those_that_exist(stock_model: Path) -> None:
    sentence = error_of(f"common_eval.path={stock_model}", "dataset.gen_subset=dev")
    assert "dev.tsv does not exist" in sentence
    assert "test, train, valid" in sentence


def test_a_missing_data_folder_is_named(stock_model: Path, tmp_path: Path) -> None:
    sentence = error_of(f"common_eval.path={stock_model}", f"task.data={tmp_path / 'no'}")
    assert f"{tmp_path / 'no'} does not exist" in sentence


def test_a_results_folder_that_cannot_be_made_is_named(stock_model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sentence = error_of(
        f"common_eval.path={stock_model}", f"decoding.results_path={tmp_path / 'file'}"
    )
    assert f"decoding.results_path={tmp_path / 'file'} cannot be written to" in sentence


def test_a_results_folder_in_use_is_refused_and_a_failed_start_leaves_none(
    stock_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    words = [f"common_eval.path={stock_model}", f"task.data={tiny_data}", "common.cpu=true",
             f"decoding.results_path={results}"]  # fmt: skip
    with pytest.raises(UserError, match="no_such_split"):
        infer(*words, "dataset.gen_subset=no_such_split")
    assert not results.exists()
    results.mkdir()
    lock = take(results, named="results", instead="another")
    with pytest.raises(UserError, match=r"in use by process .* decoding.results_path=\.\.\."):
        infer(*words)
    lock.release()
    infer(*words)
    assert look(results) is None
    kept = json.loads((results / "scores.json").read_text())["training"]
    assert kept["train_seconds"].keys() == kept["constant_guess"].keys() == {"deu", "ell", "fra"}
    assert all(seconds > 10 for seconds in kept["train_seconds"].values())


def test_records_of_another_split_are_not_replaced_and_those_of_the_same_are(
    stock_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "decode_test"
    words = [f"common_eval.path={stock_model}", f"decoding.results_path={folder}"]
    infer(*words, "dataset.gen_subset=test")
    first = (folder / "utterances.jsonl").read_bytes()
    sentence = error_of(*words, "dataset.gen_subset=valid")
    assert "holds the records of the split test, which dataset.gen_subset=valid" in sentence
    assert f"such as {tmp_path / 'decode_valid'}" in sentence
    assert (folder / "utterances.jsonl").read_bytes() == first
    (folder / "utterances.jsonl").write_text("cut", encoding="utf-8")
    infer(*words, "dataset.gen_subset=test")
    assert (folder / "utterances.jsonl").read_bytes() == first
    (folder / "utterances.jsonl").unlink()
    infer(*words, "dataset.gen_subset=valid")
    assert (folder / "utterances.jsonl").read_bytes() != first


def test_a_pretrained_model_cannot_be_decoded_with(tiny_checkpoint: Path) -> None:
    sentence = error_of(f"common_eval.path={tiny_checkpoint}")
    assert "is a pre-trained model" in sentence and "fine-tune it first" in sentence


def test_a_dictionary_of_another_size_is_named(
    stock_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    state = torch.load(stock_model)
    del state["task_state"]  # which holds the dictionary of training
    torch.save(state, tmp_path / "model.pt")
    data = copy_split(tiny_data, tmp_path / "data")
    with open(data / "dict.ltr.txt", "a", encoding="utf-8") as stream:
        stream.write("q 1\n")
    sentence = error_of(f"common_eval.path={tmp_path / 'model.pt'}", f"task.data={data}")
    assert "the output layer of" in sentence and f"{data}/dict.ltr.txt" in sentence


def test_an_option_of_another_task_is_refused(stock_model: Path) -> None:
    sentence = error_of(f"common_eval.path={stock_model}", "task.batch_seconds=3")
    assert "task.batch_seconds is not an option of the task audio_finetuning" in sentence


def test_a_language_model_decoder_that_is_not_installed_is_named(stock_model: Path) -> None:
    sentence = error_of(f"common_eval.path={stock_model}", "decoding.type=kenlm")
    assert "pip install flashlight-text kenlm" in sentence
