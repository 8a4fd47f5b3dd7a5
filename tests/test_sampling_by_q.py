"""Groups drawn by q: no loss is weighted again, and a resumed run draws as an uninterrupted one."""

from __future__ import annotations

import numpy as np
import pytest

from fairseq_dro.batching.planner import BatchPlanner, GroupSampling
from fairseq_dro.errors import UserError
from tests import run_preparations, training_trace
from tests.checkpoints import assert_same_training_state, load
from tests.in_process import group_dro_ctc, make_task, stock_ctc
from tests.killed_commands import at
from tests.stock_commands import train_command
from tests.tiny_corpus import write_tiny_corpus

LETTERS = {"deu": "abcd", "ell": "αβγδ", "fra": "abcé"}
LAST = "checkpoints/checkpoint_last.pt"


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    return write_tiny_corpus(
        tmp_path_factory.mktemp("uneven"), {"train": 9, "valid": 2}, LETTERS, growth=20
    )


def test_the_share_decides_how_many_batches_a_group_has_and_none_vanishes():
    rng = np.random.default_rng(0)
    n_samples, groups = rng.integers(16_000, 160_000, 900), rng.integers(0, 3, 900)
    planner = BatchPlanner(320_000, sampling=GroupSampling.Q)
    for share in ([0.7, 0.2, 0.1], [1 - 2e-10, 1e-10, 1e-10], [1 / 3] * 3):
        plan = planner.plan(n_samples, groups, epoch=2, multiple_of=4, share=np.array(share))
        drawn = np.bincount(groups[[batch[0] for batch in plan.batches]], minlength=3)
        assert drawn.sum() % 4 == 0 and (drawn >= 1).all()
        assert drawn / drawn.sum() == pytest.approx(share, abs=1.01 * 2 / drawn.sum())


def iterator(data, *, epoch=1, q=None, epoch_updates=0, **criterion):
    task = make_task(data, batch_seconds=3.0, group_sampling="q", epoch_updates=epoch_updates)
    state = group_dro_ctc(task, **criterion).state
    task.load_dataset("train")
    if q is not None:
        state.q = np.array(q)
    return task, task.get_batch_iterator(task.dataset("train"), max_tokens=10**6, epoch=epoch)


def groups_drawn(task, itr) -> list[int]:
    groups = task.dataset("train").groups
    return np.bincount([groups[batch[0]] for batch in itr.frozen_batches], minlength=3).tolist()


@pytest.mark.parametrize("objective", ["ctc_dro", "chi_square_dro", "cvar_dro"])
def test_losses_weigh_the_same_whatever_q_is(uneven, objective):
    task, _ = iterator(uneven, objective=objective)
    task.group_state.q = np.array([0.7, 0.2, 0.1])
    assert task.group_state.loss_weights.tolist() == [1.0, 1.0, 1.0]


def test_the_next_epoch_is_drawn_by_the_q_of_its_beginning(uneven):
    task, first = iterator(uneven)
    task.group_state.q = np.array([0.7, 0.2, 0.1])
    even = groups_drawn(task, first)
    assert max(even) - min(even) <= 1, "q was uniform when epoch 1 was planned"
    second = task.get_batch_iterator(task.dataset("train"), max_tokens=10**6, epoch=2)
    drawn = groups_drawn(task, second)
    assert drawn[0] > 2 * drawn[1] > 2 * drawn[2]


@pytest.mark.parametrize(("moved_q", "n_taken"), [([0.6, 0.3, 0.1], 3), ([0.1, 0.1, 0.8], None)])
def test_a_resumed_iterator_draws_what_was_left(uneven, moved_q, n_taken):
    """Inside an epoch by the q it was planned with; behind its end by the q that was saved."""
    task, first = iterator(uneven, epoch=2, q=[0.2, 0.2, 0.6])
    batches = first.next_epoch_itr()
    n_taken = len(batches) if n_taken is None else n_taken
    for _ in range(n_taken):
        next(batches)
    is_inside = n_taken < len(first.frozen_batches)
    task.group_state.q = np.array(moved_q)
    saved = first.state_dict()
    expected = first.frozen_batches[n_taken:] if is_inside else None
    if expected is None:
        following = task.get_batch_iterator(task.dataset("train"), max_tokens=10**6, epoch=3)
        expected = following.frozen_batches
    other, second = iterator(uneven, epoch=saved["epoch"])
    second.load_state_dict(saved)
    rest = [batch["id"].tolist() for batch in second.next_epoch_itr()]
    assert rest == [list(batch) for batch in expected]
    assert other.group_state.q.tolist() == moved_q


def test_a_language_that_is_new_begins_the_epoch_again_by_the_adopted_q(uneven, tmp_path):
    task, first = iterator(uneven, q=[0.2, 0.2, 0.6])
    next(first.next_epoch_itr())
    saved = first.state_dict()
    more = write_tiny_corpus(
        tmp_path, {"train": 9, "valid": 2}, LETTERS | {"ita": "abcd"}, growth=20
    )
    (more / "dict.ltr.txt").write_text((uneven / "dict.ltr.txt").read_text())
    other, second = iterator(more)
    second.accept_changed_data = True
    second.load_state_dict(saved)
    assert other.group_state.q == pytest.approx([0.15, 0.15, 0.45, 0.25])  # deu ell fra ita
    assert other.group_state.planned_share == pytest.approx(other.group_state.q)
    assert second.iterations_in_epoch == 0


def test_an_epoch_that_was_begun_without_q_begins_again_by_the_q_of_the_checkpoint(uneven):
    before = make_task(uneven, batch_seconds=3.0)
    group_dro_ctc(before).state.q = np.array([0.7, 0.2, 0.1])
    before.load_dataset("train")
    first = before.get_batch_iterator(before.dataset("train"), max_tokens=10**6)
    next(first.next_epoch_itr())
    task, second = iterator(uneven)
    second.accept_changed_data = True
    second.load_state_dict(first.state_dict())
    assert task.group_state.planned_share.tolist() == [0.7, 0.2, 0.1]
    assert np.argmax(groups_drawn(task, second)) == 0


@pytest.mark.parametrize("sampling", list(GroupSampling))
def test_a_group_of_which_nothing_is_left_is_named(uneven, sampling):
    task = make_task(uneven, batch_seconds=3.0, group_sampling=sampling.value)
    group_dro_ctc(task)
    task.load_dataset("train")
    task.infeasible = np.flatnonzero(task.dataset("train").groups == 1)
    with pytest.raises(UserError, match="no utterance of ell can be trained on"):
        task.get_batch_iterator(task.dataset("train"), max_tokens=10**6)


def test_what_cannot_be_drawn_by_q_is_refused(uneven):
    with pytest.raises(UserError, match="task.epoch_updates=2 makes an epoch of 2 batches for 3"):
        iterator(uneven, epoch_updates=2)
    with pytest.raises(UserError, match="task.epoch_updates=9 has no meaning with"):
        make_task(uneven, epoch_updates=9)
    with pytest.raises(UserError, match="divide_by_sampling_probability=true would undo"):
        iterator(uneven, divide_by_sampling_probability=True)
    task = make_task(uneven, group_sampling="q")
    stock_ctc(task)
    task.load_dataset("train")
    with pytest.raises(UserError, match="group_sampling=q needs a criterion with group weights"):
        task.get_batch_iterator(task.dataset("train"), max_tokens=10**6)


# --- law 4, with real kills ---


@pytest.mark.parametrize(("workers", "epoch_updates"), [(1, 0), (2, 6)])
def test_a_killed_run_that_draws_by_q_ends_as_an_uninterrupted_one(
    uneven, tiny_checkpoint, tmp_path, command_server, workers, epoch_updates
):
    """Killed inside an epoch after q moved, and at an epoch's end before the next is planned."""
    command = train_command(
        uneven, tiny_checkpoint, task__group_sampling="q", task__batch_seconds=3,
        criterion__objective="chi_square_dro", criterion__radius=0.4,
        criterion__update_when="every_update", optimization__max_update=14,
        task__epoch_updates=epoch_updates,
        optimization__update_freq=f"[{2 // workers}]", checkpoint__save_interval_updates=1,
        checkpoint__keep_interval_updates=1, checkpoint__no_epoch_checkpoints="true",
        distributed_training__ddp_backend="legacy_ddp",
        distributed_training__distributed_backend="gloo",
        distributed_training__distributed_world_size=workers,
    )
    prepare = (run_preparations.NOISE, training_trace.WRITE)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    command_server.run(command, whole, workers=workers, prepare=prepare)
    for moment in (at("update_ends", 4), at("epoch_begins", 2)):
        command_server.run(command, killed, workers=workers, prepare=prepare, die=moment)
        saved = load(killed / LAST)["extra_state"]["train_iterator"]
        q, planned = saved["group_dro"]["q"], saved["group_dro"]["planned_share"]
        if moment == at("update_ends", 4):
            assert saved["iterations_in_epoch"] > 0 and q != planned, "q moved in the epoch"
        else:
            assert saved["iterations_in_epoch"] == 0
    command_server.run(command, killed, workers=workers, prepare=prepare)
    assert_same_training_state(killed / LAST, whole / LAST)
    last = load(whole / LAST)["extra_state"]["train_iterator"]
    assert last["epoch"] >= 2 and last["group_dro"]["planned_share"] != [1 / 3] * 3
