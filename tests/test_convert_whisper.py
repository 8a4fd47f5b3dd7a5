"""A converted Whisper is the same function in transformers, whichever files it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fairseq_dro
from fairseq_dro.cli import main
from fairseq_dro.convert import whisper_ctranslate2, whisper_huggingface
from fairseq_dro.convert.ctranslate2_file import read_variables
from fairseq_dro.convert.source import Source
from fairseq_dro.convert.whisper import read_whisper
from fairseq_dro.decoding.published import as_checkpoint
from fairseq_dro.errors import UserError
from fairseq_dro.models.whisper.model import WhisperModel
from tests.checkpoints import load
from tests.test_whisper_files import WRITERS
from tests.test_whisper_weights import their_features
from tests.tiny_corpus import SAMPLE_RATE
from tests.whisper_files import config, random_weights, transformers_model
from tests.whisper_runs import MINI, whisper_command, whisper_corpus, write_mini_whisper

LAST = Path("checkpoints/checkpoint_last.pt")


def from_pretrained(folder: Path) -> Any:
    from transformers import WhisperForConditionalGeneration

    model, found = WhisperForConditionalGeneration.from_pretrained(folder, output_loading_info=True)
    assert not any(found[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return model.eval()


@pytest.mark.parametrize("kind", WRITERS)
def test_every_form_of_whisper_goes_to_both_libraries(kind, tmp_path) -> None:
    dims, weights = random_weights(MINI)
    place = WRITERS[kind](tmp_path / "published", dims, weights)
    assert main(["convert", str(place), str(tmp_path / "hub")]) == 0
    found = from_pretrained(tmp_path / "hub").state_dict()
    expected = transformers_model(dims, weights).state_dict()
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        tolerance = 1e-4 if "encoder.embed_positions" in name else 0.0
        torch.testing.assert_close(found[name], weight, atol=tolerance, rtol=0, msg=name)

    assert main(["convert", str(place), str(tmp_path / "whisper.pt")]) == 0
    again = read_whisper(str(tmp_path / "whisper.pt"))
    assert again.weights.keys() == weights.keys()
    assert all(torch.equal(again.weights[name], weights[name]) for name in weights)
    assert again.dims == dims.as_dict()


@pytest.mark.parametrize("lost", ["encoder/conv1/weight", "decoder/layer_0/attention/linear_1/bias",
                                  "encoder/position_encodings/encodings"])  # fmt: skip
def test_a_variable_that_ctranslate2_lacks_is_named(lost, tmp_path, monkeypatch) -> None:
    place = WRITERS["ctranslate2"](tmp_path / "published", *random_weights(MINI))
    name, variables = read_variables(place / "model.bin")
    left = {one: value for one, value in variables.items() if one != lost}
    monkeypatch.setattr(whisper_ctranslate2, "read_variables", lambda _: (name, left))
    with pytest.raises(UserError, match=f"lacks {lost}"):
        whisper_ctranslate2.read(Source(place))
    left[lost] = torch.zeros(())
    with pytest.raises(UserError, match="other shapes"):
        whisper_ctranslate2.read(Source(place))


def test_logits_and_generation_equal_those_of_this_package(tmp_path) -> None:
    dims, weights = random_weights()
    place = WRITERS["openai"](tmp_path / "published", dims, weights)
    assert main(["convert", str(place), str(tmp_path / "hub")]) == 0
    theirs = from_pretrained(tmp_path / "hub")
    ours = WhisperModel.of_pretrained(config(pad_to_seconds=30), read_whisper(str(place))).eval()
    audio = np.random.default_rng(1).normal(0, 0.1, 20_000).astype(np.float32)
    tokens = torch.tensor([[50258, 50261, 50359, 50363, 220, 64]])
    features = their_features([audio], dims.n_mels)
    with torch.no_grad():
        expected, _ = ours(torch.from_numpy(audio)[None], tokens)
        found = theirs(features, decoder_input_ids=tokens).logits
    assert found.std() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)
    settings = theirs.generation_config
    assert settings.lang_to_id["<|en|>"] == 50259 and len(settings.lang_to_id) == 99
    assert settings.no_timestamps_token_id == 50363
    assert 220 in settings.begin_suppress_tokens and 50258 in settings.suppress_tokens


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return whisper_corpus(tmp_path_factory.mktemp("data"), deu="abcd", gla="efgh")


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory, command_server) -> Path:
    """Two updates at 30 s, with a new token for Gaelic."""
    folder = tmp_path_factory.mktemp("trained")
    whisper = write_mini_whisper(tmp_path_factory.mktemp("mini_whisper"))
    command = whisper_command(
        data, whisper, task__new_language_tokens="gla:new", model__pad_to_seconds=30,
        optimization__max_update=2,
    )  # fmt: skip
    command_server.run(command, folder)
    return folder


def test_a_trained_whisper_writes_the_same_text_in_a_pipeline(
    trained, data, tmp_path, capsys
) -> None:
    import soundfile
    from transformers import pipeline

    assert main(["convert", str(trained), str(tmp_path / "hub")]) == 0
    card = (tmp_path / "hub" / "README.md").read_text()
    assert "gla <|gla|>" in card and "padded to 30 s" in card
    theirs = pipeline("automatic-speech-recognition", model=str(tmp_path / "hub"))
    settings = theirs.model.generation_config
    assert settings.lang_to_id["<|gla|>"] == MINI.n_vocab == theirs.model.config.vocab_size - 1
    ours = fairseq_dro.load(trained, device="cpu")
    root, *rows = (data / "test.tsv").read_text().splitlines()
    languages = (data / "test.lang").read_text().split()
    texts = set()
    for row, language in list(zip(rows, languages))[:4]:
        file = Path(root, row.split("\t")[0])
        audio, rate = soundfile.read(file, dtype="float32")
        assert rate == SAMPLE_RATE
        code = ours.task.vocabulary.language_codes[language]
        limit = ours.task.vocabulary.token_limit(language, len(audio) / rate)
        how = {"language": f"<|{code}|>", "num_beams": 1, "max_new_tokens": limit}
        found = theirs(audio, generate_kwargs=how)["text"]
        assert found.strip() == ours.transcribe(file, language).text
        texts.add(found)
    assert len(texts) > 1


def test_a_run_at_true_length_says_that_transformers_pads(
    data, tmp_path, command_server, capsys
) -> None:
    whisper = write_mini_whisper(tmp_path / "mini")
    command = whisper_command(
        data, whisper, task__new_language_tokens="gla:new", optimization__max_update=1
    )
    command_server.run(command, tmp_path / "run")
    assert main(["convert", str(tmp_path / "run"), str(tmp_path / "hub")]) == 0
    assert "true length" in capsys.readouterr().err
    assert whisper_huggingface.TRUE_LENGTH in (tmp_path / "hub" / "README.md").read_text()
    # and what comes back from there knows the rule, and the languages
    ours, back = load(tmp_path / "run" / LAST), as_checkpoint(str(tmp_path / "hub"))
    assert back["cfg"].model.pad_to_seconds == ours["cfg"]["model"]["pad_to_seconds"] == 0
    for name in ("language_codes", "tokens_per_second", "suppress", "begin_suppress", "n_vocab"):
        assert back["task_state"]["whisper"][name] == ours["task_state"]["whisper"][name], name
    assert all(torch.equal(back["model"][name], ours["model"][name]) for name in ours["model"])
