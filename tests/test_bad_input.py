"""What a bad input gets: one sentence with file and line, before any update."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from fairseq_dro.cli import main
from fairseq_dro.data.manifest import read_manifest
from fairseq_dro.errors import UserError
from tests.doctor_folder import audio_of, copy_of, edit
from tests.in_process import group_dro_ctc, make_model, make_task
from tests.stock_commands import train_command

SENTENCE = re.compile(r"^[^\n]+[.?]$")


@pytest.fixture
def data(tiny_data: Path, tmp_path: Path) -> Path:
    """A copy of the tiny corpus that a test may spoil."""
    return copy_of(tiny_data, tmp_path / "data")


def refusal(data: Path, split: str = "train", **options) -> str:
    """The sentence with which loading a split is refused."""
    with pytest.raises(UserError) as refused:
        task = make_task(data, **options)
        task.load_dataset(split)
        task.dataset(split)[5]
    assert SENTENCE.match(str(refused.value)), f"not one sentence: {refused.value}"
    return str(refused.value)


@pytest.mark.parametrize("suffix", ["ltr", "lang"])
def test_files_of_different_lengths(data, suffix):
    n = len((data / "train.lang").read_text().splitlines())
    edit(data / f"train.{suffix}", 3, lambda _: None)
    assert f"train.{suffix} holds {n - 1} lines and train.tsv {n} utterances" in refusal(data)
    assert f"train.tsv:{n + 1}" in refusal(data)


def test_a_manifest_line_without_a_length(data):
    edit(data / "train.tsv", 4, lambda line: line.split("\t")[0])
    assert "train.tsv:4 cannot be read" in refusal(data)


def test_an_unknown_language_code_names_the_nearest(data):
    edit(data / "train.lang", 7, lambda _: "de")
    message = refusal(data)
    assert "train.lang:7" in message and "deu" in message and "German" in message


def test_a_language_in_valid_that_train_does_not_know(data):
    edit(data / "valid.lang", 2, lambda _: "spa")
    message = refusal(data, "valid")
    assert "valid.lang:2" in message and "spa" in message and "not in train" in message


def test_a_language_that_train_does_not_know_can_be_decoded_on_request(data):
    edit(data / "test.lang", 2, lambda _: "spa")
    task = make_task(data, allow_unseen=True)
    task.load_dataset("test")
    assert task.dataset("test").groups[1] == -1


def test_a_character_outside_the_dictionary(data):
    edit(data / "train.ltr", 9, lambda line: "ß " + line)
    message = refusal(data)
    assert "train.ltr:9" in message and "'ß' (U+00DF)" in message and "dict.ltr.txt" in message


def test_an_empty_label(data):
    edit(data / "train.ltr", 9, lambda line: "")
    assert "train.ltr:9" in refusal(data)


def test_a_language_token_that_the_dictionary_lacks(data):
    message = refusal(data, language_token=True)
    assert "that dict.ltr.txt lacks: [deu], [ell], [fra]" in message
    assert re.search(r"`\[(deu|ell|fra)\] 1`", message)


def test_a_wrong_sample_rate(data):
    path = audio_of(data, 6)
    audio, _ = soundfile.read(path)
    soundfile.write(path, audio, 8000)
    message = refusal(data, audio_checks_per_language=-1)
    assert "train.tsv:6" in message and "8000 Hz: another sample rate than 16000 Hz" in message


@pytest.mark.parametrize("checked_at_start", [True, False])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "shorter"])
def test_a_damaged_audio_file(data, damage, checked_at_start):
    path = audio_of(data, 7)  # item 5 of the split
    if damage == "missing":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:20])
    else:
        audio, rate = soundfile.read(path)
        soundfile.write(path, audio[: len(audio) // 2], rate)
    message = refusal(data, audio_checks_per_language=-1 if checked_at_start else 0)
    utterance = path.relative_to(data).with_suffix("")
    assert f"train.tsv:7 (utterance {utterance})" in message


def test_a_target_longer_than_its_frames_allow(data, tiny_checkpoint):
    edit(data / "train.ltr", 5, lambda line: " ".join(["a b"] * 200))
    task = make_task(data)
    make_model(task, tiny_checkpoint)
    with pytest.raises(UserError, match=r"train\.ltr:5 .*needs 400 frames and has \d+"):
        task.load_dataset("train")
    task = make_task(data, skip_infeasible=True)
    make_model(task, tiny_checkpoint)
    task.load_dataset("train")
    batches = task.get_batch_iterator(task.dataset("train")).frozen_batches
    drawn = np.concatenate(batches)
    assert 4 not in drawn and len(drawn) == len(task.dataset("train")) - 1


def test_a_data_folder_that_does_not_exist(tmp_path):
    assert "nowhere does not exist" in refusal(tmp_path / "nowhere")


def test_a_split_that_does_not_exist_names_those_that_do(data):
    message = refusal(data, "dev")
    assert "dev.tsv" in message and "test, train, valid" in message


def test_a_language_of_which_nothing_can_be_trained_on(data):
    """q would wait for it forever, and CTC-DRO be plain ERM without a word."""
    languages = (data / "train.lang").read_text().split()
    rows = (data / "train.tsv").read_text().splitlines()[1:]
    lengths = [int(row.split("\t")[1]) for row in rows]
    shortest = min(n for n, language in zip(lengths, languages) if language == "fra")
    task = make_task(data)
    task.load_dataset("train")
    task.dataset("train").groups[:] = [languages[i] == "fra" for i in range(len(languages))]
    task.state.merge_state_dict({"groups": ("ell", "fra", "deu")})
    with pytest.raises(UserError, match="no utterance of deu can be trained on"):
        task.get_batch_iterator(task.dataset("train"), max_tokens=40 * shortest)


def test_a_training_split_of_which_nothing_is_long_enough_is_named(data):
    task = make_task(data, min_sample_size=10**9)
    task.load_dataset("train")
    with pytest.raises(UserError, match="no utterance of deu, ell, fra can be .*min_sample_size"):
        task.get_batch_iterator(task.dataset("train"))


def test_a_validation_utterance_longer_than_the_memory_bound_is_found_when_it_is_loaded(data):
    """Not at the first validation, when hours of training are not saved yet."""
    rows = (data / "valid.tsv").read_text().splitlines()[1:]
    longest = max(int(row.split("\t")[1]) for row in rows)
    task = make_task(data, max_tokens_valid=longest - 1)
    with pytest.raises(UserError, match=r"valid\.tsv:\d+ .*longer than dataset.max_tokens"):
        task.load_dataset("valid")
    make_task(data, max_tokens_valid=longest - 1, skip_too_long_valid=True).load_dataset("valid")
    make_task(data, max_tokens_valid=longest).load_dataset("valid")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"valid_subset": "valid,train"}, "valid_subset=valid,train names the training split"),
        ({"max_sample_size": 16_000}, "task.max_sample_size=16000 is refused"),
        ({"precompute_mask_indices": True}, "task.precompute_mask_indices=True is refused"),
        ({"seed": -1}, "common.seed=-1 is out of range"),
        ({"update_freq": [4, 0]}, r"optimization.update_freq=\[4, 0\] is out of range: .*=\[4\]"),
        ({"update_freq": []}, r"optimization.update_freq=\[\] is out of range"),
    ],
)
def test_options_under_which_a_run_would_go_wrong_are_refused(data, options, said):
    with pytest.raises(UserError, match=said):
        make_task(data, **options)
    make_task(data, **options, allow_unseen=True)  # decoding takes what a checkpoint says


def test_a_validation_utterance_longer_than_the_memory_bound(data):
    task = make_task(data)
    task.load_dataset("valid")
    dataset = task.dataset("valid")
    bound = int(sorted(dataset.sizes)[-2])
    with pytest.raises(UserError, match=rf"longer than dataset.max_tokens_valid={bound} samples"):
        task.get_batch_iterator(dataset, max_tokens=bound)
    kept = task.get_batch_iterator(dataset, max_tokens=bound, ignore_invalid_inputs=True)
    assert sum(map(len, kept.frozen_batches)) == len(dataset) - 1


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("batch_seconds", 0.0),
        ("batch_seconds", -5.0),
        ("sampling_temperature", 0.5),
        ("length_noise", 2.0),
        ("epoch_updates", -1),
    ],
)
def test_an_option_out_of_its_range(data, option, value):
    assert f"task.{option}={value}" in refusal(data, **{option: value})


def test_fewer_utterances_than_workers(data, tiny_checkpoint):
    for suffix in ("tsv", "ltr", "lang"):
        path = data / f"train.{suffix}"
        keep = path.read_text().splitlines()[: 3 if suffix == "tsv" else 2]
        path.write_text("".join(f"{line}\n" for line in keep))
    task = make_task(data)
    task.load_dataset("train")
    with pytest.raises(UserError, match="too few for 4 workers"):
        task.get_batch_iterator(task.dataset("train"), num_shards=4)


def test_the_training_command_ends_with_the_sentence_before_any_update(
    data, tiny_checkpoint, tmp_path, command_server
):
    edit(data / "train.ltr", 9, lambda line: "ß " + line)
    done = command_server.run(train_command(data, tiny_checkpoint), tmp_path / "run", check=False)
    assert done.returncode == 2
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("error: ") and "train.ltr:9" in last
    assert "Traceback" not in done.stdout
    assert "begin training epoch" not in done.stdout


def pieces_of(data: Path) -> Path:
    """The folder with its letters written as sentencepiece units, in ``.spm`` files."""
    units = set()
    for split in ("train", "valid", "test"):
        path = data / f"{split}.ltr"
        lines = [f"| {line}".split()[:-1] for line in path.read_text().splitlines()]
        spelt = ["".join(line).replace("|", " \u2581") for line in lines]
        pieces = [re.findall("\u2581.|.", line.replace(" ", "")) for line in spelt]
        units |= {piece for line in pieces for piece in line}
        (data / f"{split}.spm").write_text("".join(f"{' '.join(line)}\n" for line in pieces))
        path.unlink()
    (data / "dict.ltr.txt").unlink()
    (data / "dict.spm.txt").write_text("".join(f"{unit} 1\n" for unit in sorted(units)))
    return data


def test_label_files_of_other_units_are_named(data, capsys):
    def refused_by_all(labels: str, said: str) -> None:
        assert said in refusal(data, labels=labels)
        with pytest.raises(UserError, match=re.escape(said)):
            read_manifest(data, "train", labels)
        assert main(["doctor", str(data), "--labels", labels]) == 2
        assert said in capsys.readouterr().err

    refused_by_all(
        "spm", "it holds .ltr files, with which training needs neither task.labels nor criterion"
    )
    pieces_of(data)
    refused_by_all(
        "ltr", "it holds .spm files, with which training needs task.labels=spm "
        "criterion.post_process=sentencepiece"
    )  # fmt: skip


@pytest.mark.parametrize("labels", ["ltr", "spm"])
@pytest.mark.parametrize("post_process", ["letter", "sentencepiece"])
def test_units_joined_to_one_word_are_said_at_the_start(data, caplog, labels, post_process):
    task = make_task(pieces_of(data) if labels == "spm" else data, labels=labels)
    group_dro_ctc(task, post_process=post_process)
    said = [one.getMessage() for one in caplog.records if "each text is one word" in one.message]
    right = {"ltr": "letter", "spm": "sentencepiece"}[labels]
    assert len(said) == (post_process != right)
    assert all(f"set criterion.post_process={right}" in sentence for sentence in said)


@pytest.mark.parametrize(("n_short", "n_samples"), [(1, 399), (3, 60)])
def test_a_validation_utterance_without_a_frame_is_named_before_training(
    data, tiny_checkpoint, n_short, n_samples
):
    """At the first validation torch would stop: "Calculated padded input size per channel"."""
    for line in range(2, 2 + n_short):
        edit(data / "valid.tsv", line, lambda row: f"{row.split(chr(9))[0]}\t{n_samples}")
    task = make_task(data, audio_checks_per_language=0)
    make_model(task, tiny_checkpoint)
    with pytest.raises(UserError, match=r"valid\.tsv:2 .*shorter than the 400 samples of which.* "
                       r"task\.min_sample_size=400") as refused:  # fmt: skip
        task.load_dataset("valid")
    assert f": {n_short} utterance" in str(refused.value)
    task = make_task(data, audio_checks_per_language=0, min_sample_size=400)
    make_model(task, tiny_checkpoint)
    task.load_dataset("valid")
    rows = (data / "valid.tsv").read_text().splitlines()[1:]
    assert len(task.dataset("valid")) == len(rows) - n_short


def test_the_least_number_of_samples_is_the_one_that_the_model_takes(data, tiny_checkpoint):
    from fairseq_dro.models.family import family_of, least_samples

    model = make_model(make_task(data), tiny_checkpoint)
    encoder = model.w2v_encoder.w2v_model.feature_extractor
    assert least_samples(family_of(model).frames_of) == 400
    assert encoder(torch.zeros(1, 400)).size(2) == 1
    with pytest.raises(RuntimeError, match="Calculated padded input size"):
        encoder(torch.zeros(1, 399))
