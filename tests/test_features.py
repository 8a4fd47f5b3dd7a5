"""Laws of features that are computed once: the files, the command, and training from them."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

import fairseq_dro
from fairseq_dro.cli import main
from fairseq_dro.commands import features as features_command
from fairseq_dro.data.feature_file import open_features
from fairseq_dro.data.manifest import read_manifest
from fairseq_dro.decoding.processor import CollectingProcessor
from fairseq_dro.errors import UserError
from fairseq_dro.models.layer_weighted.options import LayerWeightedCtcConfig
from fairseq_dro.runs.history import read_records
from fairseq_dro.training import feature_writing
from tests.checkpoints import assert_same_training_state, load
from tests.frozen_encoders import HEADS, KINDS, frozen_command, write_encoder
from tests.in_process import batch_of, group_dro_ctc, make_task
from tests.in_process import make_model as make_wav2vec_ctc
from tests.killed_commands import Moment, at
from tests.stock_commands import BIN
from tests.test_whisper_runs import infer  # noqa: F401

LAST = Path("checkpoints/checkpoint_last.pt")
SPLITS = {"train": 126, "valid": 24, "test": 24}


@pytest.fixture(scope="module", params=KINDS)
def encoder(request, tmp_path_factory) -> dict:
    return write_encoder(tmp_path_factory.mktemp("encoder"), request.param)


@pytest.fixture(scope="module")
def features(encoder, tiny_data, tmp_path_factory) -> Path:
    return compute(tiny_data, encoder, tmp_path_factory.mktemp("features") / "all_layers")


def compute(data: Path, encoder: dict, out: Path, *words: str) -> Path:
    path = encoder.get("whisper_path") or encoder["w2v_path"]
    assert main(["features", str(data), "--model", path, "--out", str(out), *words]) == 0
    return out


def model_for(task, encoder: dict, **options):
    torch.manual_seed(3)
    cfg = LayerWeightedCtcConfig(_name="layer_weighted_ctc", data="", **encoder, **options)
    return task.build_model(OmegaConf.structured(cfg))


def spec_of(data: Path, encoder: dict, **options):
    task = make_task(data, normalize=encoder["normalize"])
    return model_for(task, encoder, **options).feature_spec


# --- the files ---


def test_losses_from_features_are_those_from_audio(encoder, features, tiny_data):
    """In any batch, within the 11 bits of float16."""
    losses = {}
    for folder in (None, str(features)):
        task = make_task(tiny_data, normalize=encoder["normalize"], features=folder)
        model = model_for(task, encoder, normalize_layers=True, **HEADS["no subsampling"])
        criterion = group_dro_ctc(task).eval()
        task.load_dataset("train")
        with torch.no_grad():
            batches = [batch_of(task, "train", np.arange(i, i + 7)) for i in (0, 60, 119)]
            parts = [criterion.utterances(model.eval(), batch).losses for batch in batches]
        losses[folder] = torch.cat(parts)
    assert torch.isfinite(losses[None]).all() and (losses[None] > 0).all()
    torch.testing.assert_close(losses[str(features)], losses[None], rtol=1e-3, atol=1e-3)


def test_every_utterance_has_all_its_layers(encoder, features, tiny_data):
    spec = spec_of(tiny_data, encoder)
    for split, n in SPLITS.items():
        manifest = read_manifest(tiny_data, split)
        file, rows = open_features(features, manifest, spec)
        assert rows.tolist() == list(range(n)) and len(file.n_frames) == n
        for row in (0, n - 1):
            block = file[row]
            assert block.shape == (len(spec.layers), file.n_frames[row], spec.width)
            assert np.isfinite(block).all()
            assert (np.abs(block).max((1, 2)) > 0).all()


def test_a_part_of_the_utterances_in_any_order_finds_its_features(features, encoder, tiny_data,
                                                                  tmp_path):  # fmt: skip
    part = tmp_path / "part"
    shutil.copytree(tiny_data, part)
    for suffix in ("tsv", "ltr", "lang"):
        first, *lines = (tiny_data / f"train.{suffix}").read_text().splitlines()
        head = [first] if suffix == "tsv" else []
        lines = lines if suffix == "tsv" else [first, *lines]
        (part / f"train.{suffix}").write_text("\n".join([*head, *lines[40:10:-3]]) + "\n")
    _, rows = open_features(features, read_manifest(part, "train"), spec_of(tiny_data, encoder))
    assert rows.tolist() == list(range(40, 10, -3))


def other_encoder(folder: Path, data: Path, encoder: dict, tmp_path: Path):
    state = torch.load(encoder["whisper_path"], weights_only=False)
    state["model_state_dict"]["encoder.ln_post.bias"] += 1e-3
    torch.save(state, tmp_path / "other.pt")
    return spec_of(data, {**encoder, "whisper_path": str(tmp_path / "other.pt")})


def other_layers(folder: Path, data: Path, encoder: dict, tmp_path: Path):
    return spec_of(data, encoder, layers="1")


def other_silence(folder: Path, data: Path, encoder: dict, tmp_path: Path):
    return spec_of(data, encoder, pad_to_seconds=30)


def other_audio(folder: Path, data: Path, encoder: dict, tmp_path: Path):
    lines = (folder / "train.tsv").read_text().splitlines()
    path, samples, frames = lines[7].split("\t")
    lines[7] = f"{path}\t{int(samples) + 1}\t{frames}"
    (folder / "train.tsv").write_text("\n".join(lines) + "\n")
    return spec_of(data, encoder)


def a_killed_writer(folder: Path, data: Path, encoder: dict, tmp_path: Path):
    header = json.loads((folder / "train.json").read_text())
    (folder / "train.json").write_text(json.dumps({**header, "n_written": 100}))
    return spec_of(data, encoder)


def a_cut_file(folder: Path, data: Path, encoder: dict, tmp_path: Path):
    with open(folder / "train.f16", "r+b") as file:
        file.truncate(1000)
    return spec_of(data, encoder)


def no_such_split(folder: Path, data: Path, encoder: dict, tmp_path: Path):
    (folder / "train.json").unlink()
    return spec_of(data, encoder)


@pytest.mark.parametrize(
    ("change", "says"),
    [(other_encoder, "another encoder"), (other_layers, "hold the layers 0,1, and model.layers"),
     (other_silence, "model.pad_to_seconds was 0 and is 30"), (other_audio, "train.tsv:9"),
     (a_killed_writer, "holds 100 of 126"), (a_cut_file, "has 1000 bytes"),
     (no_such_split, "no features of the split train")],
)  # fmt: skip
def test_features_of_something_else_are_refused(change, says, tiny_data, whisper, tmp_path):
    encoder, made = whisper
    folder = tmp_path / "features"
    shutil.copytree(made, folder)
    spec = change(folder, tiny_data, encoder, tmp_path)
    with pytest.raises(UserError, match=says):
        open_features(folder, read_manifest(tiny_data, "train"), spec)


# --- the command ---


@pytest.fixture(scope="module")
def whisper(tiny_data, tmp_path_factory) -> tuple[dict, Path]:
    folder = tmp_path_factory.mktemp("whisper")
    encoder = write_encoder(folder, "whisper")
    return encoder, compute(tiny_data, encoder, folder / "features")


def test_a_killed_command_resumes_where_it_was(whisper, tiny_data, tmp_path, command_server):
    encoder, whole = whisper
    command = [BIN / "fairseq-dro", "features", tiny_data, "--model", encoder["whisper_path"],
               "--out", tmp_path / "features"]  # fmt: skip
    small = ["tests.test_features:in_small_stretches"]
    moment = Moment("fairseq_dro.training.feature_writing", "write_header", "after", count=4)
    died = command_server.run(command, tmp_path / "run", die=moment, prepare=small)
    assert died.returncode == -signal.SIGKILL
    assert json.loads((tmp_path / "features/train.json").read_text())["n_written"] == 40
    first = (tmp_path / "features/train.f16").read_bytes()
    done = command_server.run(command, tmp_path / "run", prepare=small).stdout
    assert "64 utterances are there" in done
    for path in whole.glob("*.*"):
        written = tmp_path / "features" / path.name
        if path.suffix == ".f16":
            close = np.fromfile(written, np.float16), np.fromfile(path, np.float16)
            np.testing.assert_allclose(*close, rtol=1e-2, atol=1e-3)
            assert written.name != "train.f16" or written.read_bytes() != first
        else:
            assert written.read_bytes() == path.read_bytes()
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "features").glob("*.*")}
    command_server.run(command, tmp_path / "run")
    assert all(path.stat().st_mtime_ns == time for path, time in times.items()), "nothing to do"


def in_small_stretches() -> None:
    feature_writing.STRETCH = 20


class Killed(BaseException):
    """As by SIGKILL: nothing of the package catches it."""


@pytest.mark.parametrize("change", [Path.unlink, lambda path: os.truncate(path, 1000)])
def test_features_start_again_where_their_file_is_gone_or_cut(
    change, whisper, tiny_data, tmp_path, monkeypatch
):
    """Also when that is killed before it has written anything, which leaves a file of zeros."""
    encoder, made = whisper
    folder = tmp_path / "features"
    shutil.copytree(made, folder)
    a_killed_writer(folder, tiny_data, encoder, tmp_path)
    change(folder / "train.f16")
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(feature_writing.SplitFeatures, "_encoded", _dies)
        compute(tiny_data, encoder, folder)
    compute(tiny_data, encoder, folder)
    written, whole = (np.fromfile(at / "train.f16", np.float16) for at in (folder, made))
    np.testing.assert_allclose(written, whole, rtol=1e-2, atol=1e-3)


def _dies(*_unused):
    raise Killed


def test_room_is_taken_first_so_that_a_resume_needs_none(whisper, tiny_data, tmp_path,
                                                         monkeypatch):  # fmt: skip
    encoder, made = whisper
    folder = tmp_path / "features"
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(feature_writing.SplitFeatures, "_encoded", _dies)
        compute(tiny_data, encoder, folder, "--splits", "train")
    taken = (folder / "train.f16").stat()
    assert taken.st_blocks * 512 >= taken.st_size == (made / "train.f16").stat().st_size
    monkeypatch.setattr(features_command, "free_bytes", lambda folder: 0)
    compute(tiny_data, encoder, folder, "--splits", "train")
    assert json.loads((folder / "train.json").read_text())["n_written"] == SPLITS["train"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_is_an_error_by_name(code, whisper, tiny_data, tmp_path, monkeypatch,
                                               capsys):  # fmt: skip
    def is_full(*_unused):
        raise OSError(code, os.strerror(code))

    encoder, made = whisper
    monkeypatch.setattr(os, "posix_fallocate", is_full, raising=False)
    words = ["features", str(tiny_data), "--model", encoder["whisper_path"], "--splits", "test"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    n_bytes = (made / "test.f16").stat().st_size
    assert f"{tmp_path / 'out'} has no room for the {n_bytes} bytes" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("lacks", ["system", "file system"])
def test_features_are_written_where_room_cannot_be_taken_first(lacks, whisper, tiny_data, tmp_path,
                                                               monkeypatch):  # fmt: skip
    def not_supported(*_unused):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    if lacks == "system":  # macOS
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    else:
        monkeypatch.setattr(os, "posix_fallocate", not_supported, raising=False)
    encoder, made = whisper
    out = compute(tiny_data, encoder, tmp_path / "out", "--splits", "test")
    assert (out / "test.f16").read_bytes() == (made / "test.f16").read_bytes()


def test_a_split_without_transcripts_has_features(whisper, tiny_data, tmp_path):
    encoder, made = whisper
    folder = tmp_path / "data"
    shutil.copytree(tiny_data, folder, ignore=shutil.ignore_patterns("*.ltr", "train.*"))
    out = compute(folder, encoder, tmp_path / "out")
    assert (out / "test.tsv").read_bytes() == (made / "test.tsv").read_bytes()


def test_a_hugging_face_folder_gives_the_features_of_the_file_it_was_made_of(tiny_data, tmp_path):
    encoder = write_encoder(tmp_path, "layer norm")
    assert main(["convert", encoder["w2v_path"], str(tmp_path / "folder")]) == 0
    folders = [
        compute(tiny_data, one, tmp_path / name, "--splits", "valid")
        for name, one in (("a", encoder), ("b", {"w2v_path": str(tmp_path / "folder")}))
    ]
    one, other = (np.fromfile(folder / "valid.f16", np.float16) for folder in folders)
    np.testing.assert_allclose(one, other, rtol=1e-2, atol=1e-3)


def test_the_command_refuses_to_mix_two_encoders(whisper, tiny_data, tmp_path, capsys):
    encoder, made = whisper
    words = ["features", str(tiny_data), "--out", str(made)]
    assert main([*words, "--model", encoder["whisper_path"], "--layers", "1"]) == 2
    assert "they hold the layers 0,1" in capsys.readouterr().err
    assert main([*words, "--model", str(tmp_path / "none")]) == 2


@pytest.mark.parametrize(
    ("kind", "samples", "says"),
    [("layer norm", 100, "too few"), ("whisper", 480_001, "more than the 480000")],
)
def test_an_utterance_that_the_encoder_does_not_take_is_named(
    kind, samples, says, tiny_data, tmp_path, capsys
):
    encoder = write_encoder(tmp_path, kind)
    folder = tmp_path / "data"
    shutil.copytree(tiny_data, folder)
    head, first, *rest = (folder / "valid.tsv").read_text().splitlines()
    path, _ = rest[2].split("\t")
    rest[2] = f"{path}\t{samples}"
    (folder / "valid.tsv").write_text("\n".join([head, first, *rest]) + "\n")
    model = encoder.get("whisper_path") or encoder["w2v_path"]
    words = ["features", str(folder), "--model", model, "--splits", "valid"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert "valid.tsv:5" in told and says in told


def test_the_size_is_said_first_and_must_fit_the_disk(whisper, tiny_data, tmp_path, capsys,
                                                      monkeypatch):  # fmt: skip
    encoder, made = whisper
    n_bytes = sum(path.stat().st_size for path in made.glob("*.f16"))
    monkeypatch.setattr(features_command, "free_bytes", lambda folder: n_bytes - 1)
    words = ["features", str(tiny_data), "--model", encoder["whisper_path"]]
    assert main([*words, "--out", str(tmp_path / "out")]) == 2
    size = features_command.in_gigabytes(n_bytes)
    said = capsys.readouterr().err
    assert f"2 layers of 16 in float16: {size}" in said and "has" in said
    assert not (tmp_path / "out").exists()


# --- training and decoding ---


def test_training_from_features_resumes_exactly_and_decodes_without_any_other_file(
    tiny_data, tmp_path, command_server, infer  # noqa: F811
):
    """Killed or not: the same checkpoint. It holds the encoder, untouched, and nothing of it in
    the optimizer."""
    encoder = write_encoder(tmp_path / "encoder", "layer norm")
    out = compute(tiny_data, encoder, tmp_path / "features")
    command = frozen_command(tiny_data, encoder, task__features=out)
    command_server.run(command, tmp_path / "whole")
    command_server.run(command, tmp_path / "killed", die=at("update_ends", 5))
    command_server.run(command, tmp_path / "killed")
    assert_same_training_state(tmp_path / "whole" / LAST, tmp_path / "killed" / LAST)
    saved = load(tmp_path / "whole" / LAST)
    pretrained = load(Path(encoder["w2v_path"]))["model"]
    of_encoder = {name: w for name, w in saved["model"].items() if name.startswith("encoder.")}
    assert of_encoder and all(
        torch.equal(weight, pretrained[name.removeprefix("encoder.model.")])
        for name, weight in of_encoder.items()
    )
    n_trained = len(saved["model"]) - len(of_encoder)
    assert len(saved["last_optimizer_state"]["state"]) == n_trained
    history = read_records(tmp_path / "whole" / "history.jsonl")
    weights = [record["layer_weights"] for record in history]
    assert weights and all(sum(of.values()) == pytest.approx(1) for of in weights)
    assert list(weights[0]) == ["0", "1", "2"]

    state = load(Path(encoder["w2v_path"]))
    state["model"]["layer_norm.bias"] += 1e-3
    torch.save(state, tmp_path / "other.pt")
    other = {**encoder, "w2v_path": str(tmp_path / "other.pt")}
    # 12 updates, from audio: no feature tells the two encoders apart
    command = frozen_command(tiny_data, other, optimization__max_update=12)
    resumed = command_server.run(command, tmp_path / "killed", check=False)
    assert resumed.returncode != 0
    assert f"trained on the frozen encoder {encoder['w2v_path']} (its" in resumed.stdout
    assert f"this command names {tmp_path / 'other.pt'}" in resumed.stdout

    shutil.rmtree(tmp_path / "encoder")
    decoded = {}
    for name, words in {"audio": [], "features": [f"task.features={out}"]}.items():
        records = infer(
            f"common_eval.path={tmp_path / 'whole'}", f"task.data={tiny_data}", *words,
            f"decoding.results_path={tmp_path / name}",
        )  # fmt: skip
        decoded[name] = [record["hypothesis"] for record in records]
    assert decoded["audio"] == decoded["features"] and len(decoded["audio"]) == SPLITS["test"]
    shutil.rmtree(out)
    wav = next((tiny_data / "wav").rglob("test_*.wav"))
    assert fairseq_dro.load(tmp_path / "whole").transcribe(wav).seconds > 0


def test_an_utterance_that_does_not_fit_into_memory_has_its_length_in_seconds_of_audio(
    whisper, tiny_data
):
    encoder, made = whisper
    task = make_task(tiny_data, normalize=False, features=str(made))
    model_for(task, encoder)
    task.load_dataset("test")
    dataset = task.dataset("test")
    processor = SimpleNamespace(
        dataset=dataset, task=task, _least_samples=1, _too_large=float("inf"),
        _fits=lambda sample: False,
    )  # fmt: skip
    seconds = dataset.sizes[5] / task.cfg.sample_rate
    with pytest.raises(UserError, match=f"this utterance of {seconds:.1f} s"):
        CollectingProcessor.process_sample(processor, dataset.collater([dataset[5]]))


def test_features_are_for_a_frozen_encoder(tiny_data, tiny_checkpoint, whisper):
    task = make_task(tiny_data, features=str(whisper[1]))
    make_wav2vec_ctc(task, tiny_checkpoint)
    with pytest.raises(UserError, match="model=layer_weighted_ctc"):
        task.load_dataset("train")
