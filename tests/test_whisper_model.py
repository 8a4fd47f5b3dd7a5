"""What training needs of Whisper beyond openai's function."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fairseq_dro.decoding.seq2seq import GreedySearch
from fairseq_dro.errors import UserError
from fairseq_dro.models.whisper.log_mel import log_mel
from fairseq_dro.models.whisper.model import WhisperModel
from fairseq_dro.models.whisper.spec_augment import SpecAugment
from tests.whisper_files import TINY, config, random_weights

SMALL = replace(TINY, n_vocab=400)
END = 399
N_SAMPLES = torch.tensor([16_000, 9_999, 12_345])


def model_of(**options) -> WhisperModel:
    dims, weights = random_weights(SMALL)
    model = WhisperModel(config(**options), dims)
    model.load_state_dict(weights)
    return model.eval()


def batch(n_tokens: int = 6) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    padding = torch.arange(int(N_SAMPLES.max())) >= N_SAMPLES.unsqueeze(1)
    source = 0.1 * torch.randn(padding.shape, generator=generator)
    tokens = torch.randint(0, SMALL.n_vocab, (len(padding), n_tokens), generator=generator)
    return {
        "source": source.masked_fill(padding, 0.0), "padding_mask": padding,
        "prev_output_tokens": tokens,
    }  # fmt: skip


def loss_of(model: WhisperModel) -> torch.Tensor:
    inputs = batch()
    logits, _ = model(**inputs)
    return F.cross_entropy(logits.transpose(1, 2), inputs["prev_output_tokens"])


def gradients(model: WhisperModel) -> dict[str, torch.Tensor]:
    model.zero_grad()
    loss_of(model).backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def test_the_mel_of_16_bit_samples_is_that_of_the_same_floats() -> None:
    source = (batch()["source"] * 32768).round().clamp(-32768, 32767)
    ours, _ = log_mel(source.short(), N_SAMPLES, 80, 0)
    expected, _ = log_mel(source / 32768, N_SAMPLES, 80, 0)
    assert torch.equal(ours, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_mel_stays_in_float32_under_autocast_and_in_half_models(dtype) -> None:
    source = batch()["source"]
    expected, _ = log_mel(source, N_SAMPLES, 80, 0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under_autocast, _ = log_mel(source, N_SAMPLES, 80, 0)
    assert under_autocast.dtype == torch.float32
    assert torch.equal(under_autocast, expected)
    model = model_of().to(dtype)
    assert all(tensor.dtype == dtype for tensor in model.state_dict().values())
    with torch.no_grad():
        half, _ = model(**{**batch(), "source": (source * 32768).short()})
        whole, _ = model_of()(**batch())
    assert half.dtype == dtype
    assert (half - whole).abs().max() < 0.1 * whole.std()


def test_tokens_one_at_a_time_with_a_cache_have_the_logits_of_all_at_once() -> None:
    model, inputs = model_of(), batch(n_tokens=9)
    tokens = inputs.pop("prev_output_tokens")
    with torch.no_grad():
        encoder_out = model.encoder(**inputs)
        expected, _ = model.decoder(tokens, encoder_out)
        state: dict = {}
        pieces = [
            model.decoder(tokens[:, :stop], encoder_out, incremental_state=state)[0]
            for stop in (3, 4, 5, 8, 9)
        ]
    assert [piece.size(1) for piece in pieces] == [3, 1, 1, 3, 1]
    torch.testing.assert_close(torch.cat(pieces, 1), expected, atol=1e-5, rtol=1e-5)


def test_a_row_is_decoded_alike_alone_and_beside_rows_that_end_before_it() -> None:
    model, inputs = model_of(), batch(n_tokens=3)
    prompts = inputs.pop("prev_output_tokens")
    search = GreedySearch(end=END, stop_at_loops=False)
    limits = torch.tensor([3, 12, 7])
    with torch.no_grad():
        encoder_out = model.encoder(**inputs)
        together = search.generate(model, encoder_out, prompts, limits)
        for row in range(3):
            order = torch.tensor([row])
            (alone,) = search.generate(
                model, model.encoder.reorder_encoder_out(encoder_out, order), prompts[order],
                limits[order],
            )  # fmt: skip
            assert together[row].tokens == alone.tokens
            assert together[row].score == pytest.approx(alone.score, abs=1e-4)
            assert len(alone.tokens) == limits[row]
    without = GreedySearch(end=END, suppress=together[1].tokens[:1], stop_at_loops=False)
    (suppressed,) = without.generate(
        model, model.encoder.reorder_encoder_out(encoder_out, torch.tensor([1])), prompts[1:2],
        limits[1:2],
    )  # fmt: skip
    assert together[1].tokens[0] not in suppressed.tokens


def test_checkpointed_activations_give_the_same_gradients_with_dropout() -> None:
    options = dict(dropout=0.1, attention_dropout=0.1, activation_dropout=0.1, layerdrop=0.3)
    found = []
    for checkpoint_activations in (False, True):
        model = model_of(checkpoint_activations=checkpoint_activations, **options).train()
        torch.manual_seed(3)
        found.append(gradients(model))
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        assert torch.equal(gradient, found[1][name]), name


def test_dropout_and_layerdrop_act_in_training_alone_and_follow_the_seed() -> None:
    plain = loss_of(model_of())
    for options in (
        {"dropout": 0.2}, {"attention_dropout": 0.2}, {"activation_dropout": 0.2},
        {"layerdrop": 0.6}, {"time_masks": 2}, {"frequency_masks": 2},
    ):  # fmt: skip
        model = model_of(**options)
        assert torch.equal(loss_of(model), plain), options
        losses = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            np.random.seed(seed)
            losses.append(loss_of(model.train()).item())
        assert losses[0] == losses[1], options
        assert losses[0] != losses[2] and losses[0] != plain.item(), options


def test_spec_augment_masks_no_more_than_it_may() -> None:
    np.random.seed(0)
    mel = torch.ones(50, 80, 100)
    lengths = torch.arange(51, 101)
    masked = SpecAugment(1, 40, 0, 0)(mel, lengths) == 0
    frames = masked.all(1).sum(1)
    assert masked.any(1).sum(1).equal(frames)  # whole frames
    assert (frames <= 0.2 * lengths).all() and frames.max() > 10
    assert not (masked.any(1) & (torch.arange(100) >= lengths[:, None])).any()
    masked = SpecAugment(0, 0, 2, 15)(mel, lengths) == 0
    bins = masked.all(2).sum(1)
    assert masked.any(2).sum(1).equal(bins) and bins.max() > 15 and bins.max() <= 30


@pytest.mark.parametrize("pad_to_seconds", [0, 30])
def test_masks_are_drawn_in_the_speech_and_not_in_the_padding(pad_to_seconds) -> None:
    inputs, drawn = batch(), []
    model = model_of(pad_to_seconds=pad_to_seconds).train()
    model.encoder.spec_augment = lambda mel, lengths: drawn.append(lengths) or mel
    model(**inputs)
    n_samples = (~inputs["padding_mask"]).sum(1)
    assert drawn[0].tolist() == (-(-n_samples // 160)).tolist() and drawn[0].max() < 1_000


def test_a_frozen_part_gets_no_gradient_until_its_update() -> None:
    model = model_of(freeze_encoder_updates=2).train()
    model.set_num_updates(1)
    frozen = {id(parameter) for parameter in model.frozen_parameters()}
    assert frozen == {id(parameter) for parameter in model.encoder.parameters()}
    assert all(name.startswith("decoder.") for name in gradients(model))
    model.set_num_updates(2)
    assert model.frozen_parameters() == []
    assert any(name.startswith("encoder.") for name in gradients(model))
    sides = {name.split(".")[0] for name in gradients(model_of(freeze_decoder=True).train())}
    assert sides == {"encoder"}
    sides = {name.split(".")[0] for name in gradients(model_of(freeze_encoder_updates=-1))}
    assert sides == {"decoder"}


def test_padding_to_30_seconds_is_another_function_than_true_length() -> None:
    inputs = batch()
    with torch.no_grad():
        padded, _ = model_of(pad_to_seconds=30)(**inputs)
        true_length, _ = model_of()(**inputs)
    assert (padded - true_length).abs().max() > 0.01


@pytest.mark.parametrize(
    "options",
    [{"pad_to_seconds": 10}, {"dropout": 1.0}, {"layerdrop": -0.1}, {"normalize": True},
     {"freeze_encoder_updates": -2}, {"whisper_path": None}, {"time_masks": -1},
     {"time_mask_frames": -1}, {"frequency_masks": -2}, {"frequency_mask_bins": -1}],
)  # fmt: skip
def test_an_option_out_of_range_is_refused_by_name(options) -> None:
    cfg = config()
    for name, value in options.items():
        setattr(cfg, name, value)
    with pytest.raises(UserError, match=next(iter(options))):
        WhisperModel.build_model(cfg, task=None)


@pytest.mark.parametrize("updates", [-1, 3])
def test_options_that_leave_nothing_to_train_are_refused(updates) -> None:
    options = config(freeze_decoder=True, freeze_encoder_updates=updates)
    with pytest.raises(UserError, match="freeze_decoder.* and .*freeze_encoder_updates"):
        model_of().require_options(options)
    model_of().require_options(config(freeze_decoder=True))
    model_of().require_options(config(freeze_encoder_updates=updates))


def test_audio_of_40_seconds_is_refused() -> None:
    with pytest.raises(UserError, match="40.0 s is longer than the 30 s"):
        model_of().encoder(torch.zeros(1, 640_000))
