"""Law 1: at uniform q the criterion is stock ``ctc``; at any other q it is the weighted one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fairseq_dro.dro.sums import GROUP_SUMS, column
from fairseq_dro.errors import UserError
from tests.in_process import batch_of, group_dro_ctc, make_model, make_task, stock_ctc
from tests.weighted_gradients import assert_gradient_is_hand_weighted, gradients

MIXED = np.array([0, 1, 2, 3, 4, 5, 6, 7])  # the manifest's order mixes languages


@pytest.fixture
def task(tiny_data):
    task = make_task(tiny_data)
    for split in ("train", "valid"):
        task.load_dataset(split)
    return task


@pytest.fixture
def model(task, tiny_checkpoint):
    return make_model(task, tiny_checkpoint).train()


@pytest.mark.parametrize("sentence_avg", [True, False])
@pytest.mark.parametrize("objective", ["erm", "group_dro", "ctc_dro"])
def test_at_uniform_q_loss_and_gradients_are_bitwise_those_of_stock_ctc(
    task, model, objective, sentence_avg
):
    sample = batch_of(task, "train", MIXED)
    stock_loss, stock_size, stock_log = stock_ctc(task, sentence_avg=sentence_avg)(model, sample)
    expected = gradients(model, stock_loss)
    criterion = group_dro_ctc(task, objective=objective, sentence_avg=sentence_avg).train()
    loss, size, log = criterion(model, sample)
    assert torch.equal(loss, stock_loss) and size == stock_size
    assert float(log["loss"]) == stock_log["loss"]
    for ours, theirs in zip(gradients(model, loss), expected, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("seed", range(3))
def test_at_random_q_the_gradient_is_the_hand_weighted_sum_of_stock_gradients(task, model, seed):
    criterion = group_dro_ctc(task, objective="ctc_dro").train()
    assert_gradient_is_hand_weighted(task, model, criterion, stock_ctc(task), MIXED, seed)


@pytest.mark.parametrize(("reduction", "factor"), [("batch_mean", 1 / 8), ("batch_sum", 1.0)])
def test_the_papers_reductions_make_each_batch_weigh_the_same(task, model, reduction, factor):
    sample = batch_of(task, "train", MIXED)
    stock_loss, _, _ = stock_ctc(task)(model, sample)
    loss, size, _ = group_dro_ctc(task, loss_reduction=reduction).train()(model, sample)
    assert size == 1
    assert loss.item() == pytest.approx(stock_loss.item() * factor, rel=1e-6)


def test_group_sums_hold_each_groups_losses_and_counts(task, model):
    sample = batch_of(task, "train", MIXED)
    stock = stock_ctc(task)
    by_group = np.zeros(3)
    for index, group in zip(MIXED, sample["group"].tolist()):
        by_group[group] += stock(model, batch_of(task, "train", [index]))[0].item()
    _, _, log = group_dro_ctc(task).train()(model, sample)
    sums = log[GROUP_SUMS].numpy()
    assert sums.dtype == np.float64
    assert column(sums, "loss_nats") == pytest.approx(by_group, rel=1e-4)
    counts = np.bincount(sample["group"], minlength=3)
    assert (column(sums, "n_utterances") == counts).all()
    assert (column(sums, "n_batches") == (counts > 0)).all()


@pytest.mark.parametrize("zero_infinity", [True, False])
def test_an_utterance_too_long_for_its_frames_never_reaches_q(task, model, zero_infinity):
    sample = batch_of(task, "train", MIXED)
    criterion = group_dro_ctc(task, zero_infinity=zero_infinity).train()
    _, _, whole = criterion(model, sample)
    sample["target"] = sample["target"].repeat(1, 40)
    sample["target"][1:] = task.target_dictionary.pad()
    sample["target"][1:, :5] = 5
    sample["target_lengths"] = (sample["target"] != task.target_dictionary.pad()).sum(-1)
    sample["ntokens"] = int(sample["target_lengths"].sum())
    _, _, log = criterion(model, sample)
    sums, group = log[GROUP_SUMS].numpy(), int(sample["group"][0])
    assert column(sums, "n_not_finite")[group] == 1
    assert column(sums, "n_utterances").sum() == len(MIXED) - 1
    assert np.isfinite(sums).all()
    assert column(whole[GROUP_SUMS].numpy(), "n_not_finite").sum() == 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_one_loss_that_is_not_finite_is_counted_and_left_out(task, model, monkeypatch, bad):
    sample = batch_of(task, "train", MIXED)
    original = F.ctc_loss

    def ctc_loss(*args, **options):
        losses = original(*args, **options)
        return torch.cat([losses[:3], losses[3:4] * bad, losses[4:]])

    criterion = group_dro_ctc(task).train()
    whole = criterion(model, sample)[2][GROUP_SUMS].numpy()
    monkeypatch.setattr(F, "ctc_loss", ctc_loss)
    sums = criterion(model, sample)[2][GROUP_SUMS].numpy()
    group = int(sample["group"][3])
    assert np.isfinite(sums).all()
    assert column(sums, "n_not_finite").tolist() == np.eye(3)[group].tolist()
    assert column(sums, "n_utterances").sum() == len(MIXED) - 1
    assert column(sums, "loss_nats")[group] < column(whole, "loss_nats")[group]


def test_validation_is_unweighted_and_counts_the_same_errors_as_stock(task, model):
    sample = batch_of(task, "valid", MIXED)
    model.eval()
    with torch.no_grad():
        stock_loss, _, stock_log = stock_ctc(task).eval()(model, sample)
        criterion = group_dro_ctc(task).eval()
        criterion.state.q = np.array([0.7, 0.2, 0.1])
        loss, _, log = criterion(model, sample)
    assert torch.equal(loss, stock_loss)
    sums = log[GROUP_SUMS].numpy()
    further = criterion.further_columns
    assert column(sums, "word_errors", further).sum() == stock_log["w_errors"]
    assert column(sums, "words", further).sum() == stock_log["w_total"]
    characters = column(sums, "characters", further)
    assert (characters == column(sums, "reference_characters", further)).all() and characters.any()


def test_a_task_without_groups_is_refused_by_name(tiny_data):
    class Stock:
        target_dictionary = make_task(tiny_data).target_dictionary

    with pytest.raises(UserError, match="task=language_grouped_audio_finetuning"):
        group_dro_ctc(Stock())


@pytest.mark.parametrize("option", ["step_size", "smoothing"])
def test_options_out_of_range_are_refused_by_name(task, option):
    with pytest.raises(UserError, match=f"criterion.{option}=0"):
        group_dro_ctc(task, **{option: 0.0})
