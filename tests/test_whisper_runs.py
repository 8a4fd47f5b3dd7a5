"""Whisper through fairseq's own trainer and infer: real commands, real checkpoints."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

import fairseq_dro
from fairseq_dro.convert.whisper import read_whisper
from fairseq_dro.decoding.whisper import WhisperRecogniser
from fairseq_dro.errors import UserError
from fairseq_dro.models.whisper.ctc import WhisperCtc
from fairseq_dro.models.whisper.options import WhisperCtcConfig
from fairseq_dro.models.whisper.tokenizer import WhisperTokenizer
from fairseq_dro.models.whisper.vocabulary import WhisperVocabulary
from fairseq_dro.runs.history import read_records
from tests.checkpoints import load
from tests.in_process import batch_of, make_task
from tests.killed_commands import CommandServer
from tests.stock_commands import REPOSITORY
from tests.whisper_files import random_weights, tokenizer_json, write_openai
from tests.whisper_runs import (
    MINI,
    make_whisper,
    make_whisper_task,
    whisper_command,
    whisper_corpus,
    write_mini_whisper,
)

LAST = Path("checkpoints/checkpoint_last.pt")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Gaelic has no token of Whisper's."""
    return whisper_corpus(tmp_path_factory.mktemp("data"), deu="abcd", gla="efgh", fra="abcé")


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory, command_server: CommandServer) -> Path:
    """A run of the recipe, six updates and a validation; the weights it started from are gone."""
    folder = tmp_path_factory.mktemp("trained")
    whisper = write_mini_whisper(tmp_path_factory.mktemp("mini_whisper"))
    command = whisper_command(
        data, whisper, task__new_language_tokens="gla:new",
        task__valid_utterances_per_language=2, dataset__disable_validation="false",
        checkpoint__best_checkpoint_metric="mean_cer", common__fp16="false",
        optimization__update_freq="[1]",
    )
    program, *options = [word for word in command if "." in word.split("=")[0]]
    recipe = ["--config-dir", str(REPOSITORY / "examples/xlsr_dro/config")]
    command_server.run([program, *recipe, "--config-name", "whisper", *options], folder)
    shutil.rmtree(whisper)
    return folder


@pytest.fixture
def infer() -> Callable[..., list[dict]]:
    """Decode in this process and give the records."""
    from hydra.experimental import compose, initialize

    from fairseq_dro.commands import scored_infer as module

    module.store_config(module.CONFIG_NAME)

    def decode(*words: str) -> list[dict]:
        with initialize():
            cfg = compose(module.CONFIG_NAME, overrides=[*words, "dataset.num_workers=0"])
        results = Path(cfg.decoding.results_path)
        module.decode(cfg, {word.split("=", 1)[0] for word in words})
        return [json.loads(line) for line in (results / "utterances.jsonl").open()]

    return decode


def test_twenty_updates_of_erm_are_bitwise_those_of_stock_cross_entropy(
    data, tmp_path, command_server
) -> None:
    """With dropout, layerdrop, SpecAugment and label smoothing; same task, so same batches."""
    whisper = write_mini_whisper(tmp_path / "mini")
    options = {
        "task__new_language_tokens": "gla:cy", "optimization__max_update": 20,
        "optimization__update_freq": "[2]", "criterion__label_smoothing": 0.1,
        "checkpoint__no_epoch_checkpoints": "true",
    }  # fmt: skip
    erm = whisper_command(data, whisper, criterion__objective="erm", **options)
    stock = [
        word.replace("group_dro_cross_entropy", "label_smoothed_cross_entropy")
        for word in erm
        if not word.startswith("criterion.objective")
    ]
    for name, command in (("erm", erm), ("stock", stock)):
        command_server.run(command, tmp_path / name)
    ours, theirs = (load(tmp_path / name / LAST) for name in ("erm", "stock"))
    assert ours["optimizer_history"][-1]["num_updates"] == 20
    assert ours["model"].keys() == theirs["model"].keys()
    for name, weight in ours["model"].items():
        assert torch.equal(weight, theirs["model"][name]), name
    start = read_whisper(str(whisper)).weights
    assert all(not torch.equal(start[name], ours["model"][name]) for name in start)


def test_validation_has_losses_of_all_and_error_rates_of_some_utterances(trained) -> None:
    (*_, record) = read_records(trained / "history.jsonl")
    assert record["mean_cer_at_end"] > 0
    for language, n_utterances in (("deu", 3), ("fra", 5), ("gla", 4)):
        row = record["languages"][language]
        assert row["n_utterances"] == n_utterances
        assert row["cer"] > 0 and row["loss_nats_per_character"] > 0
        assert row["cer_as_written"] > 0 and row["cer_at_end"] > 0
    assert load(trained / "checkpoints/checkpoint_best.pt")["extra_state"]["val_loss"] > 0


def test_a_checkpoint_decodes_without_the_weights_it_started_from(
    trained, data, tmp_path, infer
) -> None:
    records = infer(
        f"common_eval.path={trained / LAST}", f"decoding.results_path={tmp_path}",
        f"task.data={data}",
    )  # fmt: skip
    assert len(records) == 12
    written = json.loads((tmp_path / "scores.json").read_text())["as_written"]
    assert set(written["languages"]) == {"deu", "fra", "gla"} and written["mean"]["cer"] > 0
    texts = (data / "test.wrd").read_text().splitlines()
    for text, record in zip(texts, records):
        assert record["reference_as_written"] == text
        assert record["reference"] == record["reference_as_written"].rstrip(".").lower()
        assert record["predicted_language"] is None, "the language was given"


def test_infer_searches_with_a_beam_where_one_is_asked_for(trained, data, tmp_path, infer) -> None:
    words = [f"common_eval.path={trained / LAST}", f"task.data={data}"]

    def decoded(name: str, *more: str) -> list[dict]:
        return infer(*words, f"decoding.results_path={tmp_path / name}", *more)

    greedy, beam = decoded("greedy"), decoded("beam", "decoding.beam=3")
    assert [one["id"] for one in greedy] == [one["id"] for one in beam]
    assert [one["hypothesis"] for one in greedy] != [one["hypothesis"] for one in beam]
    for name, width in (("greedy", 1), ("beam", 3)):
        kept = json.loads((tmp_path / name / "scores.json").read_text())["decoded"]
        assert (kept["beam"], kept["stop_at_loops"]) == (width, True)
    with pytest.raises(UserError, match="decoding.beam=0 is out of range"):
        decoded("none", "decoding.beam=0")
    with pytest.raises(UserError, match="decoding.type=kenlm is for CTC models"):
        decoded("none", "decoding.type=kenlm")


def test_a_detected_language_is_scored(trained, data, tmp_path, infer) -> None:
    records = infer(
        f"common_eval.path={trained / LAST}", f"decoding.results_path={tmp_path}",
        f"task.data={data}", "task.detect_language=true",
    )  # fmt: skip
    assert {record["target_language"] for record in records} == {"deu", "gla", "fra"}
    assert all(len(record["predicted_language"]) in (2, 3) for record in records)


def test_a_token_that_two_languages_share_is_detected_as_its_own_language() -> None:
    tokenizer = WhisperTokenizer(tokenizer_json())
    given = {"cym": "cy", "gla": "cy", "chr": "en"}
    vocabulary = WhisperVocabulary(tokenizer, MINI.n_vocab, (), (), given)
    names = WhisperRecogniser(vocabulary, 16_000)._language_of
    found = {code: names[tokenizer.languages[code]] for code in ("cy", "en", "de")}
    assert found == {"cy": "cym", "en": "chr", "de": "deu"}


def test_a_loaded_model_writes_what_infer_writes(trained, data, tmp_path, infer) -> None:
    words = [f"common_eval.path={trained / LAST}", f"task.data={data}", "dataset.batch_size=1"]
    given = infer(*words, f"decoding.results_path={tmp_path}")
    model = fairseq_dro.load(trained / LAST, device="cpu")
    root, *rows = (data / "test.tsv").read_text().splitlines()
    for row, one in list(zip(rows, given))[:3]:
        file = Path(root, row.partition("\t")[0])
        found = model.transcribe(file, one["language"])
        assert found.text == one["hypothesis_as_written"].strip()
    assert isinstance(model.transcribe(file).text, str)  # its language is detected


@pytest.mark.parametrize("kind", ["published", "trained"])
def test_a_language_that_is_given_is_not_detected(kind, trained, tmp_path, monkeypatch) -> None:
    """English has a token of Whisper's, and was not among the languages of training."""

    def detect(*_args) -> None:
        raise AssertionError("the language was given")

    place = trained / LAST if kind == "trained" else write_mini_whisper(tmp_path / "mini")
    model = fairseq_dro.load(place, device="cpu")
    monkeypatch.setattr("fairseq_dro.decoding.whisper.detect_language", detect)
    audio = [np.zeros(16_000, np.float32)]
    for code in ("eng", "en"):
        assert len(model.texts(audio, code)) == 1
    with pytest.raises(UserError, match="no token for the language klingon"):
        model.texts(audio, "klingon")
    for most_seconds in (0.0, 40.0, float("nan")):
        with pytest.raises(UserError, match=f"{most_seconds:g} s .*takes 1 to 30 s"):
            model.transcribe("none.wav", most_seconds=most_seconds)
    with pytest.raises(AssertionError):
        model.texts(audio)


def test_published_weights_are_decoded_at_30_seconds(data, tmp_path, infer, caplog) -> None:
    whisper = write_mini_whisper(tmp_path / "mini")
    records = infer(
        f"common_eval.path={whisper}", f"decoding.results_path={tmp_path / 'out'}",
        f"task.data={data}",
    )  # fmt: skip
    assert len(records) == 12
    assert "audio is padded to 30 s" in caplog.text
    of_gaelic = [record for record in records if record["language"] == "gla"]
    assert of_gaelic and all(record["predicted_language"] for record in of_gaelic), "no token"


def test_training_can_start_from_a_fine_tuned_checkpoint(trained, data) -> None:
    task = make_whisper_task(data)
    model = make_whisper(task, trained / LAST)
    assert model.decoder.token_embedding.num_embeddings == MINI.n_vocab + 1
    assert task.vocabulary.token_of("gla") == MINI.n_vocab, "the token that training added"
    for name, weight in load(trained / LAST)["model"].items():
        assert torch.equal(model.state_dict()[name], weight), name


def test_weights_that_are_no_whisper_are_refused_by_infer(data, tmp_path, infer) -> None:
    with pytest.raises(UserError, match="holds no model"):
        infer(
            f"common_eval.path={data}", f"decoding.results_path={tmp_path}", f"task.data={data}"
        )


# --- the encoder alone, by CTC ---


def test_the_encoder_learns_and_decodes_by_ctc(data, tmp_path, command_server, infer) -> None:
    """The encoder is frozen at first; afterwards the checkpoint needs no other file."""
    whisper = write_openai(tmp_path / "whisper" / "mini.pt", *random_weights(MINI))
    (tmp_path / "whisper" / "tokenizer.json").unlink()  # characters need none
    command = whisper_command(
        data, whisper, task___name="language_grouped_audio_finetuning",
        criterion___name="group_dro_ctc", criterion__zero_infinity="true",
        model___name="whisper_ctc", model__freeze_encoder_updates=3,
        dataset__disable_validation="false",
    )
    command_server.run(command, tmp_path / "run")
    shutil.rmtree(tmp_path / "whisper")
    trained = load(tmp_path / "run" / LAST)["model"]
    start = random_weights(MINI)[1]
    assert not torch.equal(trained["encoder.conv1.weight"], start["encoder.conv1.weight"])
    records = infer(
        f"common_eval.path={tmp_path / 'run' / LAST}", f"task.data={data}",
        f"decoding.results_path={tmp_path / 'out'}",
    )  # fmt: skip
    assert [record["reference"] for record in records] == [
        line.rstrip(".").lower() for line in (data / "test.wrd").read_text().splitlines()
    ]


def test_by_ctc_the_encoder_hears_16_bits_in_half_precision(data, tmp_path) -> None:
    task = make_task(data, normalize=False, bf16=True)
    whisper = write_openai(tmp_path / "mini.pt", *random_weights(MINI))
    cfg = WhisperCtcConfig(_name="whisper_ctc", whisper_path=str(whisper), normalize=False)
    model = task.build_model(OmegaConf.structured(cfg)).bfloat16().eval()
    task.load_dataset("train")
    inputs = batch_of(task, "train", np.arange(3))["net_input"]
    assert inputs["source"].dtype == torch.int16
    of_floats = model(inputs["source"] / 32768, inputs["padding_mask"])["encoder_out"]
    assert torch.equal(model(**inputs)["encoder_out"], of_floats)


def test_under_adam_the_output_layer_learns_faster_by_the_scale_that_is_asked_for() -> None:
    steps = {}
    for scale in (1.0, 8.0):
        cfg = WhisperCtcConfig(normalize=False, output_learning_rate_scale=scale)
        torch.manual_seed(1)
        model = WhisperCtc(cfg, MINI, n_units=7).eval()
        audio = torch.randn(1, 16_000)
        before = model(audio)["encoder_out"].detach()
        optimizer = torch.optim.Adam(model.proj.parameters(), lr=1e-3)
        model.get_normalized_probs(model(audio), log_probs=True)[..., 0].mean().neg().backward()
        optimizer.step()
        steps[scale] = (model(audio)["encoder_out"].detach() - before).norm().item()
        assert 0.05 < before.std() < 2, "the output begins of the same size"
    assert steps[8.0] == pytest.approx(8 * steps[1.0], rel=0.01)
