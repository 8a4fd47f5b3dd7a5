"""``fairseq-dro convert``: a run that is given away, its card, and what is refused."""

from __future__ import annotations

import importlib.util
import json
import resource
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import soundfile
import torch
from omegaconf import OmegaConf

import fairseq_dro
from fairseq_dro.cli import main
from fairseq_dro.compat.relative_paths import PATH_OPTIONS
from fairseq_dro.conv_layers import parse_layers
from fairseq_dro.convert import loads_in_transformers, output_place, wav2vec2_huggingface
from fairseq_dro.convert.huggingface_folder import read_weights, write_weights
from fairseq_dro.convert.trained_facts import TrainedFacts
from fairseq_dro.convert.wav2vec2_huggingface import TOKENS_LIMIT
from fairseq_dro.doctor.contradictions import of_checkpoint
from fairseq_dro.errors import UserError
from fairseq_dro.runs.training_run import TrainingRun
from tests.checkpoints import load
from tests.conftest import TINY_SIZES
from tests.stock_commands import BIN, train_command
from tests.test_train_command import quick

INFER = [str(BIN / "fairseq-dro"), "infer"]


@pytest.fixture(scope="module")
def home(tiny_data, tiny_checkpoint, tmp_path_factory, command_server) -> Path:
    """A data folder, a folder of the hub, and a run of six updates that started from it."""
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(tiny_data, home / "data")
    assert main(["convert", str(tiny_checkpoint), str(home / "hub")]) == 0
    command = train_command(home / "data", home / "hub", optimization__max_update="6")
    command_server.run(command, home / "run")
    command_server.run([*INFER, "run", "dataset.num_workers=0"], home)
    return home


@pytest.fixture(scope="module")
def given(home) -> Path:
    """The run as a folder of the hub."""
    assert main(
        ["convert", str(home / "run"), str(home / "given"), "--license", "cc-by-4.0", "--name",
         "three-tones"]
    ) == 0  # fmt: skip
    return home / "given"


def recordings(home: Path) -> list[Path]:
    root, *rows = (home / "data" / "test.tsv").read_text().splitlines()
    return [Path(root, row.split("\t")[0]) for row in rows]


def test_training_starts_from_a_folder_of_the_hub(home, tiny_checkpoint) -> None:
    start = load(tiny_checkpoint)["model"]
    trained = load(home / "run" / "checkpoints" / "checkpoint_last.pt")
    assert trained["optimizer_history"][-1]["num_updates"] == 6
    prefix = "w2v_encoder.w2v_model."
    found = {n.removeprefix(prefix): w for n, w in trained["model"].items() if prefix in n}
    assert len(found) > 40
    for name, weight in found.items():  # six steps of Adam away from where it began
        torch.testing.assert_close(weight, start[name], atol=0.02, rtol=0)


def test_the_doctor_reads_a_folder(home) -> None:
    options = {"model": {"w2v_path": str(home / "hub")}, "task": {"normalize": False}}
    findings, layers = of_checkpoint(OmegaConf.create(options))
    assert [one.kind for one in findings] == ["normalize_differs"]
    assert layers == parse_layers(TINY_SIZES["conv_feature_layers"])
    options["model"]["w2v_path"] = str(home)
    (finding,), _ = of_checkpoint(OmegaConf.create(options))
    assert "is not a Hugging Face folder of a wav2vec 2.0" in finding.what


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def test_a_trained_model_writes_the_same_text_in_a_pipeline(home, given) -> None:
    from transformers import pipeline

    theirs = pipeline("automatic-speech-recognition", model=str(given))
    ours = fairseq_dro.load(home / "run", device="cpu")
    texts = set()
    for file in recordings(home)[:8]:
        audio, rate = soundfile.read(file, dtype="float32")
        assert rate == theirs.feature_extractor.sampling_rate
        texts.add(theirs(audio)["text"])
        assert theirs(audio)["text"] == ours.transcribe(file).text
    assert len(texts) > 1


def test_a_model_that_came_back_writes_the_same_text(home, given, tmp_path) -> None:
    """Out to a folder, in to a file: the rows of the output layer are where they were."""
    assert main(["convert", str(given), str(tmp_path / "back.pt")]) == 0
    back = fairseq_dro.load(tmp_path / "back.pt", device="cpu")
    ours = fairseq_dro.load(home / "run", device="cpu")
    assert back.task.target_dictionary.symbols == ours.task.target_dictionary.symbols
    for file in recordings(home)[:4]:
        assert back.transcribe(file).text == ours.transcribe(file).text
    for name, weight in ours.model.state_dict().items():
        torch.testing.assert_close(back.model.state_dict()[name], weight, atol=1e-6, rtol=0)


def test_the_card_says_what_the_run_says(home, given) -> None:
    from huggingface_hub import ModelCard

    card = ModelCard.load(given / "README.md")
    scores = json.loads((home / "run" / "decode_test" / "scores.json").read_text())
    data = card.data
    assert data.license == "cc-by-4.0" and data.pipeline_tag == "automatic-speech-recognition"
    assert data.language == ["de", "el", "fr"] and data.model_name == "three-tones"
    found = {(one.dataset_config, one.metric_type): one.metric_value for one in data.eval_results}
    for code, row in scores["languages"].items():
        assert found[code, "cer"] == round(100 * row["cer"], 2)
        assert found[code, "wer"] == round(100 * row["wer"], 2)
        line = next(one for one in card.text.splitlines() if one.startswith(f"| {code} "))
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        hours = scores["training"]["train_seconds"][code] / 3600
        assert float(cells[1]) == pytest.approx(hours, abs=0.005)
        assert float(cells[2]) == pytest.approx(1 / 3, abs=0.2), "q"
        assert cells[3] == str(row["n_utterances"]) and cells[4] == f"{100 * row['cer']:.1f}"
        assert cells[5] == f"{100 * row['cer_low']:.1f} to {100 * row['cer_high']:.1f}"
    words = ("CTC-DRO", "update 6", "hub", "data (greedy)", "One run is one draw")
    assert all(word in card.text for word in words)
    assert str(home) not in (given / "README.md").read_text(), "a place on somebody's machine"


def test_numbers_of_another_update_are_not_put_on_a_card(home, tmp_path, capsys) -> None:
    shutil.copytree(home / "run", tmp_path / "run")
    file = tmp_path / "run" / "decode_test" / "scores.json"
    scores = json.loads(file.read_text())
    scores["decoded"]["update"] = 1
    file.write_text(json.dumps(scores))
    assert main(["convert", str(tmp_path / "run"), str(tmp_path / "given")]) == 0
    said = capsys.readouterr()
    assert "was decoded at update 1, and this is update 6" in said.err
    assert "names no licence" in said.err and "finds every weight" in said.out
    card = (tmp_path / "given" / "README.md").read_text()
    assert "model-index" not in card and "license: unknown" in card
    assert str(tmp_path) not in card, "a place on somebody's machine"
    file.unlink()
    assert main(["convert", str(tmp_path / "run"), str(tmp_path / "given")]) == 0, "its own"
    assert "was not decoded: `fairseq-dro infer" in capsys.readouterr().err


def card_of(home: Path, folder: Path, change: Any) -> str:
    """The text of the card of the run, after a change of its ``scores.json``."""
    shutil.copytree(home / "run", folder / "run")
    file = folder / "run" / "decode_test" / "scores.json"
    scores = json.loads(file.read_text())
    change(scores)
    file.write_text(json.dumps(scores))
    assert main(["convert", str(folder / "run"), str(folder / "given")]) == 0
    return (folder / "given" / "README.md").read_text()


def test_a_language_that_was_tested_alone_is_none_that_the_model_was_trained_on(
    home, tmp_path
) -> None:
    def with_english(scores: dict[str, Any]) -> None:
        scores["languages"]["eng"] = dict(scores["languages"]["deu"])
        scores["training"]["train_seconds"]["eng"] = 0.0

    card = card_of(home, tmp_path, with_english)
    assert "Speech recognition in 3 languages" in card and "- en\n" not in card
    assert "all alike would be 0.333" in card and "Tested but not trained on: eng." in card
    assert "| eng English | 0.00 |" in card


def test_a_card_says_that_texts_begin_with_a_token_of_their_language(home) -> None:
    checkpoint = load(home / "run" / "checkpoints" / "checkpoint_last.pt")
    checkpoint["cfg"] = OmegaConf.to_container(OmegaConf.create(checkpoint["cfg"]))
    for writes_tokens in (False, True):
        checkpoint["cfg"]["task"]["language_token"] = writes_tokens
        limits = wav2vec2_huggingface.write(checkpoint, "run").limits
        assert (TOKENS_LIMIT in limits) == writes_tokens


def test_a_card_names_the_data_that_were_decoded(home, tmp_path) -> None:
    card = card_of(home, tmp_path, lambda scores: scores["decoded"].update(data="fleurs"))
    assert "the test split of fleurs" in card and "type: fleurs" in card
    assert "It was trained on data and tested on fleurs." in card
    assert "It was tested on the kind of recordings" not in card


def test_a_card_without_rates_does_not_say_how_it_was_tested(home, tmp_path) -> None:
    card = card_of(home, tmp_path, lambda scores: scores["decoded"].update(update=1))
    assert "No rates" in card and "It was tested on" not in card


@pytest.mark.parametrize(
    "option, value, start",
    [
        ("finetune_from_model", None, "xlsr2_300m.pt"),
        ("restore_file", "checkpoint_last.pt", "xlsr2_300m.pt"),
        ("finetune_from_model", "/home/me/erm/checkpoints/checkpoint_best.pt",
         "xlsr2_300m.pt by way of erm/checkpoint_best.pt"),
        ("restore_file", "/home/me/other.pt", "xlsr2_300m.pt by way of other.pt"),
    ],
)  # fmt: skip
def test_the_card_names_every_start(option, value, start) -> None:
    config = {"model": {"w2v_path": "/home/me/xlsr2_300m.pt"}, "checkpoint": {option: value}}
    run = TrainingRun(Path("run"), "run", config=config)
    assert TrainedFacts(run, "checkpoint_best.pt", 1, {}).start == start


@pytest.mark.parametrize("section, option", [*PATH_OPTIONS, ("checkpoint", "save_dir"),
                         ("task", "history_dir"), ("common", "tensorboard_logdir")])  # fmt: skip
def test_no_place_of_a_machine_is_on_a_card(section, option) -> None:
    kept = ["optimization.lr=[1e-4]", "+model.hub=facebook/xls-r", f"{section}.{option}x=1"]
    overrides = [f"{section}.{option}=runs/erm", f"+{section}.{option}=/home/me", *kept,
                 "+mine.file=/home/me", "mine.files=[a,/home/me]", "mine.home='~/me'"]  # fmt: skip
    run = SimpleNamespace(overrides=overrides)
    assert TrainedFacts(run, "checkpoint_best.pt", 1, {}).typed == kept


@pytest.mark.parametrize(
    "decoded, search",
    [
        ({}, ""),
        ({"decoder": "viterbi", "beam": 1}, "greedy"),
        ({"decoder": "viterbi", "beam": 5}, "greedy"),
        ({"decoder": "kenlm", "beam": 50}, "kenlm, beam of 50"),
        ({"decoder": "viterbi", "beam": 5, "stop_at_loops": True}, "beam of 5"),
        ({"beam": 1, "stop_at_loops": False}, "greedy, loops not stopped"),
    ],
)
def test_the_card_names_the_search(decoded, search) -> None:
    assert TrainedFacts(None, "checkpoint_best.pt", 1, {"decoded": decoded}).search == search


def refuse(*arguments: Any, says: str, capsys) -> None:
    assert main(["convert", *map(str, arguments)]) == 2
    assert says in capsys.readouterr().err


def test_what_no_conversion_wrote_is_not_replaced(home, tmp_path, capsys) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    (tmp_path / "mine.pt").write_bytes(b"mine")
    for out in ("mine", "mine.pt"):
        refuse(home / "hub", tmp_path / out, says="no conversion wrote it", capsys=capsys)
    refuse(home / "hub", home / "hub", says="is what is read", capsys=capsys)
    refuse(home / "hub", home / "hub" / "in", says="lies in it", capsys=capsys)
    refuse(home / "hub", home, says="lies in", capsys=capsys)
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"
    assert (tmp_path / "mine.pt").read_bytes() == b"mine"
    for out in ("new.pt", "new"):
        for _ in range(2):  # its own it does replace
            assert main(["convert", str(home / "hub"), str(tmp_path / out)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "mine.pt", "new", "new.pt"]


def into(out: Path, *names: str) -> None:
    def fill(folder: Path) -> None:
        for name in names:
            (folder / name).write_text("written")

    output_place.require_free(out, Path(__file__))
    output_place.write_folder(out, fill, {"format": 1})


def names_in(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def test_what_a_user_put_into_a_converted_folder_stays(tmp_path) -> None:
    out = tmp_path / "out"
    into(out, "config.json", "vocab.json")
    into(out, "config.json")
    assert names_in(out) == ["config.json", output_place.MARK]
    (out / "notes.txt").write_text("mine")
    (out / ".git").mkdir()
    with pytest.raises(UserError, match=r"no conversion wrote \.git, notes\.txt in it: move"):
        into(out, "config.json")
    assert names_in(out) == [".git", "config.json", output_place.MARK, "notes.txt"]
    into(out / "model", "config.json")
    with pytest.raises(UserError, match="which is read, lies in"):
        output_place.require_free(out, out / "model")
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / output_place.MARK).write_text("{}")
    (tmp_path / "others" / "model.safetensors").touch()
    with pytest.raises(UserError, match="model.safetensors"):
        into(tmp_path / "others", "config.json")


@pytest.mark.parametrize("names", [("notes.txt",), (output_place.MARK, "notes.txt")])
def test_a_users_folder_of_the_name_that_is_written_to_first_is_kept(tmp_path, names) -> None:
    for name in names:
        (tmp_path / ".out.partial").mkdir(exist_ok=True)
        (tmp_path / ".out.partial" / name).write_text("mine")
    with pytest.raises(UserError, match=r"\.out\.partial is there already, and no conversion"):
        into(tmp_path / "out", "config.json")
    assert names_in(tmp_path / ".out.partial") == sorted(names)


@pytest.mark.parametrize("names", [(), ("model.safetensors",)])
def test_what_a_killed_conversion_left_is_removed(tmp_path, names) -> None:
    def killed(folder: Path) -> None:
        for name in names:
            (folder / name).write_text("half")
        shutil.copytree(folder, tmp_path / "left")
        raise OSError

    with pytest.raises(OSError):
        output_place.write_folder(tmp_path / "out", killed, {})
    (tmp_path / "left").rename(tmp_path / ".out.partial")
    into(tmp_path / "out", "config.json")
    assert names_in(tmp_path) == ["out"]
    assert names_in(tmp_path / "out") == ["config.json", output_place.MARK]


def test_what_a_user_adds_during_a_conversion_is_kept(tmp_path) -> None:
    out = tmp_path / "out"
    into(out, "config.json")
    with pytest.raises(UserError, match="notes.txt"):
        output_place.write_folder(out, lambda _: (out / "notes.txt").write_text("mine"), {})
    assert (tmp_path / ".out.old" / "notes.txt").read_text() == "mine"
    assert names_in(out) == [output_place.MARK]


@pytest.mark.parametrize("has_successor", [False, True])
def test_a_kill_between_the_renames_loses_no_folder(has_successor, tmp_path) -> None:
    out, old = tmp_path / "out", tmp_path / ".out.old"
    into(out, "config.json")
    out.rename(old)
    if has_successor:
        into(tmp_path / "new", "config.json", "vocab.json")
        (tmp_path / "new").rename(out)

    def fill(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError):
        output_place.write_folder(out, fill, {})
    assert names_in(tmp_path) == ["out"]
    assert ("vocab.json" in names_in(out)) is has_successor and "config.json" in names_in(out)


def test_the_folder_one_is_in_can_be_written(tmp_path, monkeypatch) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    into(Path("."), "config.json")
    assert names_in(tmp_path / "out") == ["config.json", output_place.MARK]


def test_a_conversion_that_fails_leaves_what_was_there(home, tmp_path, monkeypatch) -> None:
    out = tmp_path / "out"
    assert main(["convert", str(home / "hub"), str(out)]) == 0
    before = sorted(path.name for path in out.iterdir())

    def fill(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError):
        output_place.write_folder(out, fill, {})
    assert sorted(path.name for path in out.iterdir()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(output_place, "write_folder", full)
    assert main(["convert", str(home / "hub"), str(tmp_path / "other")]) == 2


def test_a_disk_that_is_full_of_weights_is_an_error_of_the_disk(tmp_path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            write_weights(tmp_path / "model.safetensors", {"weight": torch.zeros(1000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def run_with(home: Path, tmp_path: Path, change: Any) -> Path:
    state = load(home / "run" / "checkpoints" / "checkpoint_last.pt")
    change(state)
    torch.save(state, tmp_path / "changed.pt")
    return tmp_path / "changed.pt"


def set_in(section: str, **values: Any):
    return lambda state: state["cfg"][section].update(values)


def conformer(state: dict[str, Any]) -> None:
    state["cfg"]["model"]["w2v_args"]["model"]["crop_seq_to_multiple"] = 2


REFUSED = {
    "pieces": (set_in("criterion", post_process="sentencepiece"), "post_process=sentencepiece"),
    "a blank that is set": (set_in("model", blank_weight=1.0, blank_mode="set"), "blank_mode=set"),
    "a seq2seq model": (set_in("model", _name="wav2vec_seq2seq"), "transformers has no class"),
    "what transformers has not": (conformer, "crop_seq_to_multiple=2"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_model_without_a_counterpart_is_refused(what, home, tmp_path, capsys) -> None:
    change, says = REFUSED[what]
    file = run_with(home, tmp_path, change)
    refuse(file, tmp_path / "out", says=says, capsys=capsys)
    assert not (tmp_path / "out").exists()


def test_the_weight_of_the_blank_goes_into_its_bias(home, tmp_path) -> None:
    file = run_with(home, tmp_path, set_in("model", blank_weight=2.5, blank_mode="add"))
    assert main(["convert", str(file), str(tmp_path / "out")]) == 0
    bias = load(file)["model"]["w2v_encoder.proj.bias"]
    found = _weights(tmp_path / "out")["lm_head.bias"]
    torch.testing.assert_close(found[0], bias[0] + 2.5)
    assert torch.equal(found[1:], bias[1:])


def test_a_broken_or_absent_transformers_is_a_sentence(given, monkeypatch) -> None:
    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name == "transformers":
                raise OSError("Could not load this library: _torchaudio.abi3.so")

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    for name in [one for one in sys.modules if one.split(".")[0] == "transformers"]:
        monkeypatch.delitem(sys.modules, name)
    said = loads_in_transformers.check(given)
    assert "cannot be imported" in said and "pip uninstall torchaudio" in said
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "transformers is not installed" in loads_in_transformers.check(given)


def test_an_absent_safetensors_is_a_sentence(given, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(UserError, match="pip install safetensors"):
        read_weights(given)


def test_a_folder_that_transformers_does_not_load_as_written_is_refused(given, tmp_path) -> None:
    shutil.copytree(given, tmp_path / "given")
    config = json.loads((tmp_path / "given" / "config.json").read_text())
    config["num_hidden_layers"] = 3
    (tmp_path / "given" / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="missing_keys"):
        loads_in_transformers.check(tmp_path / "given")
    (tmp_path / "given" / "model.safetensors").unlink()
    with pytest.raises(UserError, match="does not load it"):
        loads_in_transformers.check(tmp_path / "given")


def test_mistakes_of_convert_are_said_at_once(tmp_path) -> None:
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "model.safetensors").touch()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    mistakes = {
        "convert hib out.pt": "did you mean hub?",
        "convert hub": "the following arguments are required: OUT",
        "convert hub out --to fairseq": "writes a file, such as model.pt",
        "convert hub out.pt --to hf": "writes a folder",
        "convert hub taken": "no conversion wrote it",
        "convert hub out --licence mit": "did you mean --license?",
    }
    slow, answers = quick(tmp_path, *(typed.split() for typed in mistakes))
    assert slow == []
    for (typed, says), (status, said) in zip(mistakes.items(), answers):
        assert status == 2 and said.startswith("error: ") and says in said, typed
