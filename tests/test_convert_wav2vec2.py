"""A converted wav2vec 2.0 is the same function in both libraries (transformers is the judge)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model
from omegaconf import OmegaConf

import fairseq_dro
from fairseq_dro import own_runs
from fairseq_dro.convert import wav2vec2_fairseq2, wav2vec2_huggingface
from fairseq_dro.convert.formats import read_pretrained
from fairseq_dro.convert.pretrained_folders import read_folder
from fairseq_dro.convert.source import Source
from fairseq_dro.decoding.published import as_checkpoint
from fairseq_dro.decoding.speech_model import SpeechModel
from fairseq_dro.errors import UserError
from fairseq_dro.models.complete_weights import require_complete_weights
from fairseq_dro.scoring.text import split_language_token
from tests.wav2vec2_files import KINDS, UNITS, make_model, speech, write_bin, write_folder

LENGTHS = (4_000, 2_700, 1_111)  # 12, 8 and 3 frames


class Both(NamedTuple):
    folder: Path
    theirs: Any
    ours: SpeechModel


@pytest.fixture(scope="module", params=KINDS)
def both(request, tmp_path_factory) -> Both:
    theirs = make_model(**KINDS[request.param])
    folder = write_folder(tmp_path_factory.mktemp("theirs") / request.param, theirs)
    return Both(folder, theirs, fairseq_dro.load(folder, device="cpu"))


def plain(checkpoint: dict[str, Any]) -> dict[str, Any]:
    return {**checkpoint, "cfg": OmegaConf.to_container(OmegaConf.create(checkpoint["cfg"]))}


def their_output(model: Any, audio: torch.Tensor, padding: torch.Tensor) -> Any:
    with torch.no_grad():
        return model(audio, attention_mask=(~padding).long(), output_hidden_states=True)


def rows_of(symbols: list[str]) -> list[int]:
    """Row in ``UNITS`` of each unit of a dictionary of fairseq's."""
    named = {"<s>": "[PAD]", "<pad>": "<s>"}
    return [UNITS.index(named.get(unit, unit)) for unit in symbols]


@pytest.mark.parametrize("lengths", [LENGTHS[:1], LENGTHS], ids=["alone", "padded"])
def test_hidden_states_and_logits_equal_those_of_transformers(both: Both, lengths) -> None:
    audio, padding = speech(*lengths)
    expected = their_output(both.theirs, audio, padding)
    model = both.ours.model
    with torch.no_grad():
        encoder = model.w2v_encoder.w2v_model
        found = encoder.extract_features(audio, padding)
        logits = model(source=audio, padding_mask=padding)["encoder_out"].transpose(0, 1)
        last = both.theirs.wav2vec2(audio, attention_mask=(~padding).long()).last_hidden_state
    states = [layer[0].transpose(0, 1) for layer in found["layer_results"]]
    # of the last layer one version of transformers gives the state before the norm, another behind
    pairs = [*zip(states[:-1], expected.hidden_states[1:-1]), (found["x"], last)]
    n_frames = encoder._get_feat_extract_output_lengths((~padding).sum(1)).tolist()
    rows = rows_of(both.ours.task.target_dictionary.symbols)
    assert expected.logits.std() > 0.05
    for row, n in enumerate(n_frames):  # what is behind an end nobody reads
        for ours, theirs in pairs:
            torch.testing.assert_close(ours[row, :n], theirs[row, :n], atol=1e-4, rtol=0)
        torch.testing.assert_close(
            logits[row, :n], expected.logits[row, :n][:, rows], atol=1e-4, rtol=0
        )


def test_greedy_text_equals_that_of_transformers(both: Both) -> None:
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(both.folder)
    recordings = [speech(n, seed=n)[0][0].numpy() for n in (16_000, 9_000, 4_321)]
    texts = [both.ours.texts([audio])[0] for audio in recordings]
    for audio, ours in zip(recordings, texts):
        inputs = processor(audio, sampling_rate=16_000, return_tensors="pt")
        with torch.no_grad():
            best = both.theirs(**inputs).logits.argmax(-1)[0]
        theirs = processor.decode(best)
        for special in ("<s>", "</s>"):  # fairseq leaves them out; nobody trains them
            theirs, ours = theirs.replace(special, ""), ours.replace("<pad>", "")
        _, theirs = split_language_token(theirs)  # ours are texts without it
        assert " ".join(ours.split()) == " ".join(theirs.split())
    assert len(set(texts)) > 1


def test_what_came_in_goes_out_as_it_was(both: Both, tmp_path) -> None:
    """Logits, names and the text of a tokenizer with [PAD] for the blank."""
    from transformers import AutoProcessor, Wav2Vec2ForCTC

    written = wav2vec2_huggingface.write(plain(as_checkpoint(str(both.folder))), "x")
    written.write(tmp_path)
    model, found = Wav2Vec2ForCTC.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(found[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    audio, padding = speech(*LENGTHS)
    rows = rows_of(both.ours.task.target_dictionary.symbols)
    ours = their_output(model.eval(), audio, padding)
    theirs = their_output(both.theirs, audio, padding)
    for mine, original in zip(ours.hidden_states, theirs.hidden_states, strict=True):
        torch.testing.assert_close(mine, original, atol=1e-4, rtol=0)
    torch.testing.assert_close(ours.logits, theirs.logits[..., rows], atol=1e-4, rtol=0)
    processor = AutoProcessor.from_pretrained(tmp_path)
    assert processor.tokenizer.pad_token == "[PAD]" and processor.tokenizer.pad_token_id == 0
    assert model.config.pad_token_id == 0
    assert written.files["vocab.json"]["|"] == 6
    assert processor.decode(torch.tensor([0, 4, 4, 0, 6, 0, 5])) == "a b"
    assert processor.feature_extractor.do_normalize is True
    assert processor.feature_extractor.return_attention_mask is True


# --- encoders ---


@pytest.fixture(scope="module", params=["layer-pre", "group-post"])
def pretrained(request, tmp_path_factory) -> tuple[Path, Any]:
    theirs = make_model("ForPreTraining", **KINDS[request.param])
    return write_folder(tmp_path_factory.mktemp("pretrained") / "model", theirs), theirs


def test_a_pretrained_model_is_one_of_fairseqs_with_its_quantizer(pretrained, tmp_path) -> None:
    folder, theirs = pretrained
    state = read_pretrained(Source(folder)).as_checkpoint()
    assert state["cfg"]["model"]["_name"] == "wav2vec2"
    model = wav2vec2_of(state)
    model.load_state_dict(state["model"], strict=True)
    audio, padding = speech(*LENGTHS)
    with torch.no_grad():
        ours = model.eval().extract_features(audio, padding)["x"]
        expected = theirs.wav2vec2(audio, attention_mask=(~padding).long()).last_hidden_state
    n_frames = model._get_feat_extract_output_lengths((~padding).sum(1)).tolist()
    for row, n in enumerate(n_frames):
        torch.testing.assert_close(ours[row, :n], expected[row, :n], atol=1e-4, rtol=0)

    wav2vec2_huggingface.write(state, "x").write(tmp_path)
    again, found = type(theirs).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(found[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    for (name, weight), other in zip(again.state_dict().items(), theirs.state_dict().values()):
        assert torch.equal(weight, other), name


def wav2vec2_of(state: dict[str, Any]) -> Wav2Vec2Model:
    options = {key: v for key, v in state["cfg"]["model"].items() if key != "_name"}
    return Wav2Vec2Model(OmegaConf.merge(OmegaConf.structured(Wav2Vec2Config), options))


@pytest.mark.parametrize("kind", ["safetensors-parts", "bin", "bin-parts"])
def test_weights_are_the_same_in_every_file_format(pretrained, kind, tmp_path) -> None:
    folder, theirs = pretrained
    expected = read_pretrained(Source(folder)).weights
    found = read_pretrained(Source(write_folder(tmp_path / "model", theirs, kind))).weights
    assert len(list((tmp_path / "model").glob("*.index.json"))) == kind.endswith("parts")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_weight_norm_is_read_in_both_of_torchs_spellings(pretrained, tmp_path) -> None:
    folder, theirs = pretrained
    weights = theirs.state_dict()
    spellings = {"original0": "weight_g", "original1": "weight_v"}
    (g,) = [name for name in weights if name.endswith("original0")]
    base = g.removesuffix("parametrizations.weight.original0")
    old = {
        f"{base}{spellings[name.rsplit('.', 1)[1]]}" if "parametrizations" in name else name: w
        for name, w in weights.items()
    }
    assert f"{base}weight_g" in old and f"{base}weight_v" in old
    found = []
    for name, spelt in (("old", old), ("new", weights)):
        shutil.copytree(folder, tmp_path / name)
        (tmp_path / name / "model.safetensors").unlink()
        write_bin(tmp_path / name, spelt)
        found.append(read_pretrained(Source(tmp_path / name)).weights)
    assert found[0].keys() == found[1].keys()
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_the_base_encoder_of_a_model_with_adapters_is_taken_and_they_are_named(tmp_path) -> None:
    """As mms-1b-all: adapters in every layer, files of more, nested units."""
    theirs = make_model(adapter_attn_dim=4, **KINDS["layer-pre"])
    folder = write_folder(tmp_path / "mms", theirs)
    (folder / "vocab.json").write_text(json.dumps({"deu": {"a": 0}, "fra": {"b": 0}}))
    (folder / "adapter.fra.safetensors").touch()
    found = read_pretrained(Source(folder))
    assert found.output is None and found.kind == "encoder"
    said = " ".join(found.notes)
    assert "adapters of languages" in said and "adapter_layer" in said
    assert "adapter.fra.safetensors" in said and "output layer" in said
    require_complete_weights(found.as_checkpoint(), str(folder))


# --- fairseq2 ---


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["pretrained", "ctc"])
def test_a_file_of_fairseq2s_is_the_encoder_it_holds(kind, what, tmp_path, monkeypatch) -> None:
    """Sizes come from shapes; the names are those of fairseq2's model (facts, run there)."""
    monkeypatch.setitem(wav2vec2_fairseq2.HEADS, 32, 4)
    folder = write_folder(tmp_path / "hub", make_model("ForPreTraining", **KINDS[kind]))
    expected = read_pretrained(Source(folder))
    theirs = fairseq2_names(expected.weights, pre=kind.endswith("pre"))
    if what == "ctc":
        theirs = {n: w for n, w in theirs.items() if not n.startswith(("quantizer", "final"))}
        theirs |= {"final_proj.weight": torch.zeros(9, 32), "final_proj.bias": torch.zeros(9)}
        del theirs["masker.temporal_mask_embed"]
    else:
        theirs["quantizer.num_updates"] = torch.tensor(7)
    torch.save({"model": theirs}, tmp_path / "fairseq2.pt")
    found = read_pretrained(Source(tmp_path / "fairseq2.pt"))
    state = found.as_checkpoint()
    require_complete_weights(state, "x")
    for name in ("extractor_mode", "layer_norm_first", "conv_bias", "conv_feature_layers",
                 "encoder_layers", "encoder_attention_heads", "conv_pos", "conv_pos_groups"):
        assert found.options[name] == expected.options[name], name
    if what == "pretrained":
        wav2vec2_of(state).load_state_dict(state["model"], strict=True)
        assert all(torch.equal(found.weights[n], w) for n, w in expected.weights.items())
    else:
        assert "output layer" in found.notes[0] and "mask_emb" in found.weights


def fairseq2_names(weights: dict[str, torch.Tensor], pre: bool) -> dict[str, torch.Tensor]:
    """Written by hand, not by the table under test."""
    found = {}
    for name, weight in weights.items():
        name = name.replace("self_attn.out_proj", "self_attn.output_proj")
        name = name.replace("fc1", "ffn.inner_proj").replace("fc2", "ffn.output_proj")
        name = name.replace("final_layer_norm", "ffn_layer_norm")
        name = name.replace("quantizer.vars", "quantizer.entries")
        name = name.replace("quantizer.weight_proj", "quantizer.entry_proj")
        name = name.replace("project_q", "final_target_proj")
        name = name.replace("mask_emb", "masker.temporal_mask_embed")
        name = name.replace("post_extract_proj", "encoder_frontend.model_dim_proj")
        name = name.replace("encoder.pos_conv.0", "encoder_frontend.pos_encoder.conv")
        if name.startswith("feature_extractor"):
            place, part = name.removeprefix("feature_extractor.conv_layers.").rsplit(".", 1)
            n, _, where = place.partition(".")
            kind = {"0": "conv", "2.1": "layer_norm", "2": "group_norm"}[where]
            name = f"encoder_frontend.feature_extractor.layers.{n}.{kind}.{part}"
        elif name.startswith("layer_norm."):
            name = f"encoder_frontend.post_extract_{name}"
        elif name.startswith("encoder.layer_norm.") and not pre:
            name = name.replace("encoder.", "encoder_frontend.", 1)
        found[name] = weight
    return found


def test_a_file_of_fairseq2s_of_an_unknown_width_is_refused(tmp_path) -> None:
    folder = write_folder(tmp_path / "hub", make_model("ForPreTraining", **KINDS["layer-pre"]))
    weights = fairseq2_names(read_pretrained(Source(folder)).weights, pre=True)
    torch.save(weights, tmp_path / "fairseq2.pt")
    with pytest.raises(UserError, match="is 32 wide"):
        read_pretrained(Source(tmp_path / "fairseq2.pt"))
    del weights["encoder.layers.0.ffn.inner_proj.weight"]
    torch.save(weights, tmp_path / "fairseq2.pt")
    with pytest.raises(UserError, match="fc1"):
        read_pretrained(Source(tmp_path / "fairseq2.pt"))


# --- what is refused ---


def in_config(**values: Any):
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **values}))

    return change


def in_weights(rename=lambda name: name, change=lambda name, weight: weight):
    def damage(folder: Path) -> None:
        weights = read_all(folder)
        (folder / "model.safetensors").unlink()
        write_bin(folder, {rename(n): change(n, w) for n, w in weights.items() if rename(n)})

    return damage


def read_all(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def a_part_is_missing(folder: Path) -> None:
    weights = read_all(folder)
    no_weights(folder)
    write_bin(folder, weights, parts=3)
    (folder / "pytorch_model-00002-of-00003.bin").unlink()


def a_part_is_another(folder: Path) -> None:
    weights = read_all(folder)
    no_weights(folder)
    write_bin(folder, weights, parts=3)
    shutil.copy(folder / "pytorch_model-00001-of-00003.bin",
                folder / "pytorch_model-00002-of-00003.bin")  # fmt: skip


def no_vocabulary(folder: Path) -> None:
    (folder / "vocab.json").unlink()


def short_vocabulary(folder: Path) -> None:
    (folder / "vocab.json").write_text('{"[PAD]": 0}')


class Evil:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self):
        return Path.touch, (self.place,)


def runs_code(folder: Path) -> None:
    no_weights(folder)
    torch.save({"a": Evil(folder / "ran")}, folder / "pytorch_model.bin")


LAST_LAYER = "wav2vec2.encoder.layers.1.final_layer_norm.weight"
MISTAKES = {
    "a cut file": (cut, "model.safetensors cannot be read"),
    "no weights": (no_weights, "holds no weights"),
    "a missing part": (a_part_is_missing, "00002-of-00003.bin is not there"),
    "another part": (a_part_is_another, "00002-of-00003.bin lacks"),
    "code": (runs_code, "pytorch_model.bin cannot be read"),
    "a name left over": (
        in_weights(lambda n: n.replace("k_proj", "rotary")), "does not have: .*rotary"
    ),
    "a name missing": (in_weights(lambda n: "" if n == LAST_LAYER else n), "misses .*layers.1"),
    "another shape": (
        in_weights(change=lambda n, w: w[:-1] if n == LAST_LAYER else w), r"\(31,\) instead of"
    ),
    "NaN": (
        in_weights(change=lambda n, w: w * float("nan") if n == LAST_LAYER else w), "NaN"
    ),
    "no units": (no_vocabulary, "vocab.json"),
    "too few units": (short_vocabulary, "1 units and the output layer 11"),
    "another activation": (in_config(hidden_act="silu2"), "config.json"),
    "another norm": (in_config(layer_norm_eps=1e-6), "layer_norm_eps=1e-06"),
    "a further adapter": (in_config(add_adapter=True), "add_adapter=True"),
    "another model": (in_config(model_type="hubert"), "hubert"),
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return write_folder(tmp_path_factory.mktemp("whole") / "hub", make_model(**KINDS["layer-pre"]))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_is_not_whole_is_refused_by_name(mistake, whole, tmp_path) -> None:
    change, says = MISTAKES[mistake]
    folder = tmp_path / "hub"
    shutil.copytree(whole, folder)
    change(folder)
    with pytest.raises(UserError, match=says) as caught:
        require_complete_weights(plain(as_checkpoint(str(folder))), str(folder))
    assert str(folder) in str(caught.value) and not (folder / "ran").exists()


def test_a_unit_that_the_model_has_not_is_never_written(tmp_path) -> None:
    """Fine-tuned models of the hub often have letters, [UNK] and [PAD] alone."""
    units = ["|", "a", "b", "[UNK]", "[PAD]"]
    theirs = make_model(**KINDS["layer-pre"])
    theirs.lm_head = torch.nn.Linear(32, len(units))
    theirs.config.vocab_size = len(units)
    folder = write_folder(tmp_path / "hub", theirs)
    (folder / "vocab.json").write_text(json.dumps({unit: row for row, unit in enumerate(units)}))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"pad_token": "[PAD]", "unk_token": {"content": "[UNK]"}})
    )
    found = read_pretrained(Source(folder)).output
    assert found.units == ("<s>", "<pad>", "</s>", "<unk>", "|", "a", "b")
    logits = found.weight @ torch.full((32,), 3.0) + found.bias
    expected = theirs.lm_head(torch.full((32,), 3.0))
    torch.testing.assert_close(logits[[0, 3, 4, 5, 6]], expected[[4, 3, 0, 1, 2]])
    assert logits.half().softmax(0)[[1, 2]].tolist() == [0, 0]


def test_a_folder_is_the_encoder_that_training_starts_from(whole) -> None:
    state = read_folder(str(whole))
    assert state["cfg"].model._name == "wav2vec2"
    assert not any(name.startswith(("proj", "lm_head")) for name in state["model"])
    from fairseq import checkpoint_utils

    with own_runs.own():
        state = checkpoint_utils.load_checkpoint_to_cpu(str(whole), {"dropout": 0.25})
    assert state["cfg"].model.dropout == 0.25 and state["cfg"].task.normalize is True
    with own_runs.own(), pytest.raises(UserError, match="is not a Hugging Face folder of"):
        checkpoint_utils.load_checkpoint_to_cpu(str(whole.parent))
    assert np.isfinite(state["model"]["mask_emb"].numpy()).all()
