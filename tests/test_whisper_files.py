"""Reading Whisper from each format it comes in, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fairseq_dro.convert.whisper import read_whisper
from fairseq_dro.errors import UserError
from fairseq_dro.models.whisper.dims import SIZES
from fairseq_dro.models.whisper.encoder import sinusoids
from fairseq_dro.models.whisper.model import WhisperModel
from fairseq_dro.models.whisper.tokenizer import WhisperTokenizer
from tests import whisper_files
from tests.whisper_files import TINY, config, random_weights

WRITERS: dict[str, Callable[..., Path]] = {
    "huggingface": lambda folder, *what: whisper_files.write_huggingface(folder, *what),
    "huggingface_bin": lambda folder, *what: whisper_files.write_huggingface(folder, *what, "bin"),
    "openai": lambda folder, *what: whisper_files.write_openai(folder / "tiny.pt", *what),
    "ctranslate2": lambda folder, *what: whisper_files.write_ctranslate2(folder, *what),
}
WEIGHTS_FILE = {
    "huggingface": "model.safetensors", "huggingface_bin": "pytorch_model.bin",
    "openai": "tiny.pt", "ctranslate2": "model.bin",
}  # fmt: skip

formats = pytest.mark.parametrize("kind", WRITERS)


@pytest.fixture(scope="module")
def dims_and_weights():
    return random_weights()


def load(path: Path, tokenizer_path: Path | None = None) -> WhisperModel:
    pretrained = read_whisper(str(path), str(tokenizer_path) if tokenizer_path else None)
    tokenizer = WhisperTokenizer(pretrained.tokenizer)
    tokenizer.require_fit(pretrained.dims["n_vocab"], pretrained.path)
    return WhisperModel.of_pretrained(config(), pretrained)


@formats
def test_every_format_gives_the_same_weights_and_sizes(kind, tmp_path, dims_and_weights) -> None:
    dims, weights = dims_and_weights
    path = WRITERS[kind](tmp_path / kind, dims, weights)
    assert read_whisper(str(path)).dims == dims.as_dict()
    found = load(path).state_dict()
    assert found.keys() == weights.keys()
    for name, weight in weights.items():
        assert torch.equal(found[name], weight), name


@pytest.mark.parametrize("task_state", [{}, {"task_state": {}}, {"task_state": None}])
def test_a_checkpoint_without_its_tokenizer_is_refused(tmp_path, task_state) -> None:
    path = tmp_path / "checkpoint_best.pt"
    torch.save({"cfg": {"model": {"dims": {"n_mels": 80}}}, "model": {}, **task_state}, path)
    with pytest.raises(UserError, match=r"checkpoint_best\.pt lacks the tokenizer"):
        read_whisper(str(path))


@formats
def test_a_cut_file_is_refused_by_name(kind, tmp_path, dims_and_weights) -> None:
    path = WRITERS[kind](tmp_path, *dims_and_weights)
    file = tmp_path / WEIGHTS_FILE[kind]
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    with pytest.raises(UserError, match=file.name):
        load(path)


@formats
def test_weights_that_are_not_finite_are_refused_by_name(kind, tmp_path, dims_and_weights) -> None:
    dims, weights = dims_and_weights
    broken = {**weights, "decoder.blocks.1.mlp.0.bias": weights["decoder.blocks.1.mlp.0.bias"] * 1}
    broken["decoder.blocks.1.mlp.0.bias"][5] = float("nan")
    path = WRITERS[kind](tmp_path, dims, broken)
    with pytest.raises(UserError, match="NaN or infinite values in decoder.blocks.1.mlp.0.bias"):
        load(path)


@pytest.mark.parametrize("kind", ["huggingface", "openai"])  # CTranslate2 has sizes from shapes
def test_weights_of_another_size_than_the_file_says_are_refused(
    kind, tmp_path, dims_and_weights
) -> None:
    path = WRITERS[kind](tmp_path, *dims_and_weights)
    if kind == "openai":
        state = torch.load(path)
        state["dims"]["n_audio_layer"] = 3
        torch.save(state, path)
    else:
        settings = json.loads((path / "config.json").read_text())
        settings["encoder_layers"] = 3
        (path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match="encoder.blocks.2"):
        load(path)


@formats
def test_an_english_only_model_is_refused(kind, tmp_path) -> None:
    path = WRITERS[kind](tmp_path, *random_weights(replace(TINY, n_vocab=51864)))
    pretrained = read_whisper(str(path))
    with pytest.raises(UserError, match=r"English-only Whisper \(.en, 51864 tokens"):
        WhisperModel.of_pretrained(config(), pretrained)


def no_tokenizer(file: Path) -> None:
    file.unlink()


def not_json(file: Path) -> None:
    file.write_text("{")


def of_large_v3(file: Path) -> None:
    file.write_text(whisper_files.tokenizer_json([*whisper_files.LANGUAGES, "yue"]))


def of_an_english_model(file: Path) -> None:
    file.write_text(whisper_files.tokenizer_json([]))


@pytest.mark.parametrize("damage", [no_tokenizer, not_json, of_large_v3, of_an_english_model])
def test_a_tokenizer_that_does_not_fit_is_refused(damage, tmp_path, dims_and_weights) -> None:
    path = WRITERS["openai"](tmp_path, *dims_and_weights)
    damage(tmp_path / "tokenizer.json")
    with pytest.raises(UserError, match="tokenizer.json"):
        load(path)


def test_a_tokenizer_can_be_named(tmp_path, dims_and_weights) -> None:
    path = WRITERS["openai"](tmp_path, *dims_and_weights)
    (tmp_path / "tokenizer.json").rename(tmp_path / "elsewhere.json")
    load(path, tmp_path / "elsewhere.json")


def test_weights_of_eight_bits_are_refused(tmp_path, dims_and_weights) -> None:
    folder = WRITERS["ctranslate2"](tmp_path, *dims_and_weights)
    content = bytearray((folder / "model.bin").read_bytes())
    name = b"encoder/layer_0/ffn/linear_0/weight\0"
    kind = content.index(name) + len(name) + 1 + 2 * 4  # behind the rank and two sizes
    n_bytes = int.from_bytes(content[kind + 1 : kind + 5], "little")
    del content[kind + 5 : kind + 5 + n_bytes // 2]
    content[kind : kind + 5] = bytes([1]) + (n_bytes // 2).to_bytes(4, "little")
    (folder / "model.bin").write_bytes(content)
    with pytest.raises(UserError, match="weights of 8 bits"):
        load(folder)


@pytest.mark.parametrize("what", ["nothing", "empty folder", "no Whisper"])
def test_what_is_no_whisper_is_refused(what, tmp_path) -> None:
    path = tmp_path / "model"
    if what == "empty folder":
        path.mkdir()
    elif what == "no Whisper":
        torch.save({"model": {}}, path)
    with pytest.raises(UserError, match=str(path)):
        read_whisper(str(path))


def test_a_pickle_that_would_run_code_is_not_run(tmp_path) -> None:
    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    torch.save({"dims": Evil(), "model_state_dict": {}}, tmp_path / "evil.pt")
    with pytest.raises(UserError, match="evil.pt"):
        read_whisper(str(tmp_path / "evil.pt"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("size", "millions"),
    [("tiny", 37.8), ("base", 72.6), ("small", 241.7), ("medium", 763.9), ("large-v2", 1543.3),
     ("large-v3", 1543.5), ("turbo", 808.9)],
)  # fmt: skip
def test_published_sizes_have_the_published_number_of_parameters(size, millions) -> None:
    dims = SIZES[size]
    with torch.device("meta"):
        model = WhisperModel(config(), dims)
    computed = sinusoids(dims.n_audio_ctx, dims.n_audio_state, torch.device("cpu")).numel()
    total = sum(weight.numel() for weight in model.parameters()) + computed
    assert total / 1e6 == pytest.approx(millions, abs=0.06)
