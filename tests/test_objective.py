"""What is minimised when groups are drawn unevenly, and what counts as a group's loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fairseq_dro.dro.sums import COLUMNS, GROUP_SUMS
from tests.in_process import batch_of, group_dro_ctc, make_model, make_task
from tests.tiny_corpus import write_tiny_corpus

LETTERS = {"deu": "abcd", "ell": "αβγδ", "fra": "abcé"}


@pytest.fixture(scope="module")
def uneven(tmp_path_factory) -> Path:
    """9, 39 and 69 training utterances."""
    return write_tiny_corpus(
        tmp_path_factory.mktemp("uneven"), {"train": 9, "valid": 2}, LETTERS, growth=30
    )


@pytest.fixture(autouse=True)
def run_folder(tmp_path_factory, monkeypatch) -> None:
    """Where group_weights.jsonl goes."""
    monkeypatch.chdir(tmp_path_factory.mktemp("run_folder"))


def planned(data: Path, **options):
    task = make_task(data, batch_seconds=6.0, **options.pop("task", {}))
    task.load_dataset("train")
    criterion = group_dro_ctc(task, **options).train()
    batches = task.get_batch_iterator(task.dataset("train"), max_tokens=10**6).frozen_batches
    return task, criterion, batches


@pytest.mark.parametrize("sampling", ["proportional", "uniform", "temperature"])
@pytest.mark.parametrize("reduction", ["utterance_mean", "batch_mean", "batch_sum"])
def test_divided_by_its_probability_every_group_weighs_as_its_q(uneven, sampling, reduction):
    """The sum over an epoch of (weight x what the gradient averages) is in proportion to q."""
    task, criterion, batches = planned(
        uneven, loss_reduction=reduction, divide_by_sampling_probability=True,
        task={"group_sampling": sampling},
    )
    criterion.state.q = np.array([0.5, 0.3, 0.2])
    weight = np.zeros(3)
    for batch in batches:
        group = task.dataset("train").groups[batch[0]]
        amount = len(batch) if reduction == "utterance_mean" else 1
        weight[group] += criterion.state.loss_weights[group] * amount
    assert weight / weight.sum() == pytest.approx([0.5, 0.3, 0.2])


def test_an_epoch_of_unfinished_rounds_need_not_hold_every_group(tmp_path):
    """Rounds of six and epochs of eight batches: a round that lies across two can leave one out."""
    letters = dict.fromkeys(["deu", "ell", "fra", "ita", "pol", "spa"], "abcd")
    data = write_tiny_corpus(tmp_path, {"train": 3, "valid": 1}, letters, growth=0)
    task = make_task(data, batch_seconds=200.0, group_sampling="uniform", update_freq=[4])
    task.load_dataset("train")
    criterion = group_dro_ctc(task, divide_by_sampling_probability=True).train()
    epochs = []
    for epoch in range(1, 10):
        iterator = task.get_batch_iterator(
            task.dataset("train"), max_tokens=10**7, epoch=epoch,
            seed=epoch,  # as dataset.update_ordered_indices_seed has it
        )
        groups = [int(task.dataset("train").groups[b[0]]) for b in iterator.frozen_batches]
        epochs.append(np.bincount(groups, minlength=6))
        assert np.isfinite(criterion.state.loss_weights).all()
    assert sum(epochs).tolist() == [12] * 6 and (np.array(epochs) == 0).any()


@pytest.mark.parametrize("reduction", ["utterance_mean", "batch_mean"])
def test_groups_that_an_epoch_leaves_out_make_the_others_weigh_no_less(tmp_path, reduction):
    """Two of six groups of one size in an epoch: a batch weighs about as in an epoch of all."""
    letters = dict.fromkeys(["deu", "ell", "fra", "ita", "pol", "spa"], "abcd")
    data = write_tiny_corpus(tmp_path, {"train": 20, "valid": 1}, letters, growth=0)
    task, criterion, batches = planned(
        data, divide_by_sampling_probability=True, loss_reduction=reduction,
        task={"group_sampling": "uniform", "epoch_updates": 2},
    )
    sizes = [len(batch) if reduction == "utterance_mean" else 1 for batch in batches]
    drawn = task.dataset("train").groups[[batch[0] for batch in batches]]
    assert criterion.state.loss_weights[drawn] * sizes == pytest.approx(np.mean(sizes))


def test_on_balanced_data_dividing_by_the_probability_changes_nothing(tmp_path):
    data = write_tiny_corpus(tmp_path, {"train": 20, "valid": 2}, LETTERS, growth=0)
    _, criterion, _ = planned(data, divide_by_sampling_probability=True)
    assert criterion.state.loss_weights == pytest.approx(np.ones(3))


def test_the_weights_reach_the_loss(uneven, tiny_checkpoint):
    task, criterion, batches = planned(uneven, divide_by_sampling_probability=True)
    model = make_model(task, tiny_checkpoint).train()
    sample = batch_of(task, "train", np.array(batches[0]))
    group = int(sample["group"][0])
    share = (task.dataset("train").groups == group).mean()  # proportional: each utterance once
    with torch.no_grad():
        weighted = criterion(model, sample)[0].item()
        criterion.state.sampling_share = np.full(3, 1 / 3)  # another plan
        plain = criterion(model, sample)[0].item()
    assert weighted / plain == pytest.approx(1 / 3 / share, rel=1e-5)


@pytest.mark.parametrize(
    ("options", "sampling", "is_of_audio"),
    [
        ({}, "uniform", False),
        ({"loss_reduction": "batch_sum"}, "uniform", True),
        ({"loss_reduction": "batch_mean"}, "proportional", True),
        ({}, "q", True),
    ],
)
def test_shares_of_the_data_are_counted_as_the_gradient_counts(
    uneven, options, sampling, is_of_audio
):
    """So that chi-square DRO of radius 0 is ERM; a batch holds about as much audio as another."""
    task, criterion, _ = planned(
        uneven, objective="chi_square_dro", radius=0.0, task={"group_sampling": sampling}, **options
    )
    amounts = task.dataset("train").sizes if is_of_audio else np.ones(len(task.dataset("train")))
    sums = np.bincount(task.dataset("train").groups, amounts)
    assert criterion.state.q == pytest.approx(sums / sums.sum())


@pytest.mark.parametrize("objective", ["chi_square_dro", "cvar_dro"])
@pytest.mark.parametrize("baseline", [False, True])
def test_what_no_epoch_draws_is_no_share_of_the_data(uneven, tmp_path, objective, baseline):
    """Half of the smallest group is left out: at the start every loss still weighs the same."""
    (tmp_path / "t").write_text("group\tnats an utterance\ndeu\t1\nell\t1\nfra\t1\n")
    further = {"baseline": str(tmp_path / "t"), "group_loss": "per_utterance"} if baseline else {}
    task = make_task(uneven, batch_seconds=6.0)
    state = group_dro_ctc(task, objective=objective, **further).state
    task.load_dataset("train")
    dataset = task.dataset("train")
    task.infeasible = np.flatnonzero(dataset.groups == 0)[:5]
    task.get_batch_iterator(dataset, max_tokens=int(np.sort(dataset.sizes)[-3]))
    assert state.loss_weights == pytest.approx(np.ones(3), rel=1e-12)
    sums = np.bincount(dataset.groups, minlength=3)
    assert state.q.argmin() == 0 and state.q[0] < sums[0] / sums.sum()


@pytest.mark.parametrize("sampling", ["proportional", "uniform"])
def test_cvar_over_all_of_the_data_is_erm(uneven, sampling):
    """q is each group's share then, and what is drawn by its share is not weighted by it again."""
    task, criterion, _ = planned(
        uneven, objective="cvar_dro", cvar_fraction=1.0, task={"group_sampling": sampling}
    )
    shares = task.group_sizes / task.group_sizes.sum()
    drawn = shares if sampling == "proportional" else criterion.state.sampling_share
    assert criterion.state.loss_weights == pytest.approx(shares / drawn)
    task.update_log.update = 1
    sums = torch.zeros(3, len(COLUMNS), dtype=torch.float64)
    sums[:, :3] = torch.tensor([[30.0, 1, 1], [10, 1, 1], [20, 1, 1]])
    task.update_log.observe([{GROUP_SUMS: sums}])
    assert criterion.state.n_moves == 1 and criterion.state.q == pytest.approx(shares)


def test_without_the_option_weights_are_q_times_the_number_of_groups(uneven):
    _, criterion, _ = planned(uneven)
    criterion.state.q = np.array([0.5, 0.3, 0.2])
    assert criterion.state.loss_weights == pytest.approx([1.5, 0.9, 0.6])


def test_partial_batches_counted_by_their_seconds_have_the_loss_of_full_ones(uneven):
    """Equal loss a second: ``deu`` has less audio than a batch, and passes for easy otherwise."""
    for by_seconds, expected in ((True, [60.0, 60.0]), (False, [30.0, 60.0])):
        task, criterion, _ = planned(uneven, group_loss="per_second" if by_seconds else "per_batch")
        sums = torch.zeros(3, len(COLUMNS), dtype=torch.float64)
        assert COLUMNS[:5] == (
            "loss_nats", "n_utterances", "n_batches", "n_not_finite", "audio_samples"
        )
        half, full = 3 * 16_000, 6 * 16_000
        sums[0, :5] = torch.tensor([30.0, 4, 1, 0, half])
        sums[1, :5] = torch.tensor([120.0, 8, 2, 0, 2 * full])
        sums[2, :5] = torch.tensor([60.0, 8, 1, 0, full])
        task.update_log.update = 1
        task.update_log.observe([{GROUP_SUMS: sums}])
        assert criterion.state.last_loss[:2] == pytest.approx(expected)


def test_the_seconds_of_a_batch_are_those_of_its_utterances(uneven, tiny_checkpoint):
    task, criterion, batches = planned(uneven)
    model = make_model(task, tiny_checkpoint).train()
    log = criterion(model, batch_of(task, "train", np.array(batches[0])))[2]
    task.update_log.update = 1
    task.update_log.observe([log])
    samples = task.dataset("train").sizes[batches[0]].sum()
    assert criterion.state.audio_seconds.sum() == pytest.approx(samples / 16_000)
