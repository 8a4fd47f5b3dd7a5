"""Laws of the model layer_weighted_ctc: a frozen encoder under learned weights of its layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from fairseq_dro.errors import UserError
from fairseq_dro.models.family import ModelFamily, family_of
from fairseq_dro.models.layer_weighted.head import LayerSum
from fairseq_dro.models.layer_weighted.options import LayerWeightedCtcConfig, chosen_layers
from tests.frozen_encoders import HEADS, KINDS, alone, batch_of, make_model, write_encoder
from tests.in_process import batch_of as batch_of_items
from tests.in_process import make_task

LENGTHS = (16_000, 11_111, 4_321)


@pytest.fixture(scope="module", params=KINDS)
def encoder(request, tmp_path_factory) -> dict:
    return write_encoder(tmp_path_factory.mktemp("encoder"), request.param)


def test_an_utterance_has_the_same_layers_alone_and_in_any_batch(encoder):
    model, batch = make_model(**encoder), batch_of(*LENGTHS)
    together, outside = model.hidden_layers(**batch)
    n_frames = model.encoder.frames_of(np.array(LENGTHS))
    assert (~outside).sum(1).tolist() == n_frames.tolist()
    for row, one, frames in zip(together, alone(batch), n_frames):
        hidden, _ = model.hidden_layers(**one)
        assert hidden.shape == (1, model.encoder.n_layers, frames, model.encoder.width)
        torch.testing.assert_close(row[:, :frames], hidden[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("head", HEADS)
def test_an_utterance_has_the_same_scores_alone_and_in_any_batch(encoder, head):
    model, batch = make_model(**encoder, **HEADS[head]).eval(), batch_of(*LENGTHS)
    together = model(**batch)
    for row, one in enumerate(alone(batch)):
        scores = model(**one)["encoder_out"][:, 0]
        inside = together["encoder_out"][: len(scores), row]
        torch.testing.assert_close(inside, scores, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("head", HEADS)
def test_decoders_that_search_all_frames_of_a_batch_find_nothing_behind_an_end(encoder, head):
    """As fairseq's with a lexicon or a language model (``decoders/base_decoder.py``)."""
    model = make_model(**encoder, **HEADS[head]).eval()
    emissions = model.get_logits(model(**batch_of(*LENGTHS))).transpose(0, 1)
    for row, n_frames in zip(emissions, model.frames_of(np.array(LENGTHS))):
        assert row[:n_frames].isfinite().all()
        behind = row[n_frames:].log_softmax(-1)
        assert (behind[:, 0] == 0).all() and (behind[:, 1:] == -torch.inf).all()


@pytest.mark.parametrize("head", HEADS)
def test_the_frames_that_are_promised_are_those_that_come(encoder, head):
    """CTC's feasibility and what is left out follow from them."""
    model = make_model(**encoder, **HEADS[head])
    assert isinstance(model, ModelFamily) and family_of(model) is model
    lengths = [*range(3_000, 4_000, 83), 16_000]
    for n in lengths:
        frames = len(model(**next(alone(batch_of(n))))["encoder_out"])
        assert frames == model.frames_of(np.array([n]))[0], n
    of_batch = model(**batch_of(*LENGTHS))["padding_mask"]
    assert (~of_batch).sum(1).tolist() == model.frames_of(np.array(LENGTHS)).tolist()


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_only_whisper_hears_16_bits_in_half_precision(encoder, precision, tiny_data):
    """fairseq halves floats before the encoder sees them: 8 bits are left of bf16's audio."""
    task = make_task(tiny_data, normalize=encoder["normalize"], **{precision: True})
    task.build_model(
        OmegaConf.structured(
            LayerWeightedCtcConfig(_name="layer_weighted_ctc", data="", **encoder)
        )
    )
    task.load_dataset("train")
    source = batch_of_items(task, "train", np.arange(3))["net_input"]["source"]
    assert source.dtype == (torch.int16 if "whisper_path" in encoder else torch.float32)


def test_the_last_layer_is_the_output_of_the_encoder(encoder):
    model, batch = make_model(**encoder), next(alone(batch_of(8_000)))
    last = model.hidden_layers(**batch)[0][:, -1]
    inner = model.encoder.model.eval()
    if hasattr(inner, "extract_features"):
        output = inner.extract_features(batch["source"], None)["x"]
    else:
        output = inner(**batch)["encoder_out"]
    torch.testing.assert_close(last, output, rtol=1e-5, atol=1e-5)


def test_the_encoder_is_frozen_and_in_evaluation_mode_whatever_the_model_is(encoder):
    """The wav2vec 2.0 files were pre-trained with dropout and layerdrop."""
    model, batch = make_model(**encoder), batch_of(*LENGTHS)
    at_rest = model.eval().hidden_layers(**batch)[0]
    model.train()
    assert model.training and not any(part.training for part in model.encoder.modules())
    assert torch.equal(model.hidden_layers(**batch)[0], at_rest)
    model(**batch)["encoder_out"].sum().backward()
    assert all(weight.grad is None for weight in model.encoder.parameters())
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert trained == {"layer_sum.scores", "proj.weight", "proj.bias"}
    assert model.layer_sum.scores.grad.abs().sum() > 0


def test_the_layers_that_are_chosen_are_those_that_come(encoder):
    batch = batch_of(*LENGTHS)
    every, _ = make_model(**encoder).hidden_layers(**batch)
    last = every.size(1) - 1
    model = make_model(**encoder, layers=f"0,{last}")
    assert torch.equal(model.hidden_layers(**batch)[0], every[:, [0, last]])
    assert model.layer_weights == {"0": 0.5, str(last): 0.5}


def test_the_sum_is_of_softmax_weights_and_a_normalised_layer_counts_by_its_weight_alone():
    hidden = torch.randn(2, 3, 5, 8).half()
    layers = LayerSum(3, normalize=False)
    with torch.no_grad():
        layers.scores.copy_(torch.tensor([0.0, 1.0, 2.0]))
    weights = torch.tensor([1.0, np.e, np.e**2]) / (1 + np.e + np.e**2)
    by_hand = (weights.view(1, 3, 1, 1) * hidden.float()).sum(1)
    torch.testing.assert_close(layers(hidden), by_hand)
    normalised = LayerSum(3, normalize=True)
    scaled = hidden * torch.tensor([1.0, 8.0, 64.0]).view(3, 1, 1).half()
    torch.testing.assert_close(normalised(scaled), normalised(hidden), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("text", "layers"), [("all", (0, 1, 2, 3)), ("0,2-3", (0, 2, 3)), ("3,1", (1, 3)), ("2", (2,))]
)
def test_layers_are_named_by_numbers(text, layers):
    assert chosen_layers(text, 4) == layers


@pytest.mark.parametrize("text", ["4", "-1", "", "last", "3-1", "3-1,0", "1-", "0,1-", "-", "1,,2"])
def test_layers_that_are_not_there_are_refused(text):
    with pytest.raises(UserError, match="0 to 3"):
        chosen_layers(text, 4)


@pytest.mark.parametrize(
    "options",
    [{"transformer_heads": 3}, {"subsampling": 4}, {"dropout": 1.0}, {"pre_encoder": -1},
     {"pad_to_seconds": 10}, {"w2v_path": "other.pt"}, {"whisper_path": None},
     {"normalize": True}],
)  # fmt: skip
def test_options_that_mean_nothing_are_refused(options, tmp_path):
    (name,) = options
    with pytest.raises(UserError, match=f"(model|task).{name}|type model.w2v_path"):
        make_model(**{**write_encoder(tmp_path, "whisper"), **options})


def test_silence_behind_an_utterance_is_no_part_of_its_layers(tmp_path):
    """With pad_to_seconds Whisper hears it, but CTC does not see it."""
    model = make_model(**write_encoder(tmp_path, "whisper"), pad_to_seconds=30)
    hidden, outside = model.hidden_layers(**batch_of(*LENGTHS))
    n_frames = model.frames_of(np.array(LENGTHS))
    assert hidden.size(2) == n_frames.max()
    assert (~outside).sum(1).tolist() == n_frames.tolist()
