"""The planner's order reaches the trainer, and a resumed iterator resumes where it stopped."""

from __future__ import annotations

import multiprocessing
import shutil

import numpy as np
import pytest

from fairseq_dro.errors import UserError
from tests.changed_data import change_lines, copy_of
from tests.in_process import group_dro_ctc, make_task


def iterator(
    data, *, n_workers: int = 1, worker: int = 0, epoch: int = 1, with_q: bool = False,
    max_tokens: int = 640_000, **options,
):
    task = make_task(data, **{"batch_seconds": 4.0, "audio_checks_per_language": 0} | options)
    if with_q:
        group_dro_ctc(task)
    task.load_dataset("train")
    return task.get_batch_iterator(
        task.dataset("train"), max_tokens=max_tokens, epoch=epoch,
        num_shards=n_workers, shard_id=worker,
    )


def drawn(itr, n: int | None = None) -> list[list[int]]:
    epoch = itr.next_epoch_itr(shuffle=True)
    n = len(epoch) - epoch.n if n is None else n  # an iterator asked for all may look further
    return [next(epoch)["id"].tolist() for _ in range(n)]


def test_rounds_of_uniform_sampling_are_not_shuffled_away(tiny_data):
    itr = iterator(tiny_data, group_sampling="uniform")
    groups = itr.dataset.groups
    order = [int(groups[batch[0]]) for batch in drawn(itr)]
    assert len(order) >= 9
    for start in range(0, len(order) - 2, 3):
        assert sorted(order[start : start + 3]) == [0, 1, 2]


def test_workers_take_turns_and_miss_nothing(tiny_data):
    alone = drawn(iterator(tiny_data, update_freq=[3]))
    shared = [drawn(iterator(tiny_data, n_workers=3, worker=w)) for w in range(3)]
    assert [batch for turn in zip(*shared, strict=True) for batch in turn] == alone
    assert sorted(i for batch in alone for i in batch) == list(range(126))


def test_first_k_plus_the_rest_is_all(tiny_data):
    whole = drawn(iterator(tiny_data, epoch=2))
    for k in (1, 5, len(whole) - 1):
        first, second = iterator(tiny_data, epoch=2), iterator(tiny_data, epoch=2)
        begun = drawn(first, k)
        second.load_state_dict(first.state_dict())
        assert begun + drawn(second) == whole


def resumed(itr, state, *, accept: bool = True):
    """``itr`` with ``state`` loaded, as with ``task.accept_changed_data=true``."""
    itr.accept_changed_data = accept
    itr.load_state_dict(state)
    return itr


def test_another_number_of_workers_is_refused_also_between_epochs(tiny_data):
    first = iterator(tiny_data, n_workers=2)
    for n_batches in (3, len(first) - 3):
        drawn(first, n_batches)
        with pytest.raises(UserError, match=r"number of workers was 2 and is 1.*accept_changed"):
            resumed(iterator(tiny_data, update_freq=[2]), first.state_dict(), accept=False)


def test_other_workers_resume_where_the_first_ones_stopped(tiny_data):
    """2 x 1 continued as 1 x 2: the same global order, so nothing is lost or repeated."""
    first = iterator(tiny_data, n_workers=2)
    drawn(first, 3)
    alone = resumed(iterator(tiny_data, update_freq=[2]), first.state_dict())
    assert drawn(alone) == drawn(iterator(tiny_data, update_freq=[2]))[6:]


def test_a_position_inside_the_new_updates_begins_the_epoch_again(tiny_data, caplog):
    """3 batches are done, and 2 x 1 would begin its next update at batch 2 or 4."""
    first = iterator(tiny_data, update_freq=[2])
    drawn(first, 3)
    second = resumed(iterator(tiny_data, n_workers=2), first.state_dict())
    assert "epoch 1 was begun with other batches: it is begun again" in caplog.text
    assert drawn(second) == drawn(iterator(tiny_data, n_workers=2))


@pytest.mark.parametrize(
    "change, names",
    [
        ({"update_freq": [5]}, r"workers_x_micro_batches was 1 and is 5"),
        ({"batch_seconds": 3.0}, r"task.batch_seconds \(in samples\) was 64000.0 and is 48000.0"),
        ({"length_noise": 0.2}, r"task.length_noise was 0.02 and is 0.2"),
        ({"group_sampling": "uniform"}, "task.group_sampling was proportional and is uniform"),
    ],
)
def test_an_epoch_planned_otherwise_is_refused_with_both_values(tiny_data, caplog, change, names):
    first = iterator(tiny_data)
    drawn(first, 2)
    with pytest.raises(UserError, match=f"{names}.*accept_changed_data=true"):
        resumed(iterator(tiny_data, **change), first.state_dict(), accept=False)
    second = resumed(iterator(tiny_data, **change), first.state_dict())
    assert drawn(second) == drawn(iterator(tiny_data, **change))
    assert "begun again" in caplog.text


def test_a_bound_that_changes_no_batch_may_change(tiny_data):
    """As dataset.max_tokens after a GPU ran out of memory."""
    first = iterator(tiny_data)
    begun = drawn(first, 2)
    second = resumed(iterator(tiny_data, max_tokens=320_000), first.state_dict(), accept=False)
    assert begun + drawn(second) == drawn(iterator(tiny_data))
    with pytest.raises(UserError, match="dataset.max_tokens was 640000 and is 64000"):
        resumed(iterator(tiny_data, max_tokens=64_000), first.state_dict(), accept=False)


def test_an_epoch_that_another_version_of_the_planner_planned_is_refused(tiny_data):
    first = iterator(tiny_data)
    drawn(first, 2)
    state = first.state_dict()
    state["plan"]["checksum_of_batches"] += 1
    with pytest.raises(UserError, match=r"checksum_of_batches was \d+ and is \d+"):
        resumed(iterator(tiny_data), state, accept=False)


def test_batch_options_may_change_between_epochs(tiny_data):
    """They are options of the command like the learning rate, and the next epoch is planned again.

    A number of workers or a manifest is what the command finds, not what it says.
    """
    first = iterator(tiny_data)
    drawn(first)
    otherwise = {"epoch": 2, "batch_seconds": 3.0}
    second = resumed(iterator(tiny_data, **otherwise), first.state_dict(), accept=False)
    assert drawn(second) == drawn(iterator(tiny_data, **otherwise))


MANIFEST_CHANGES = {
    "an utterance is gone": (
        lambda rows: rows[1:], r"\w+ had (40|42|44) utterances and has (39|41|43)"
    ),
    "another transcript": (
        lambda rows: [[rows[0][0], "a b |", rows[0][2]], *rows[1:]],
        r"the \d+ utterances of \w+ had the checksum [0-9a-f]{8} and have [0-9a-f]{8}",
    ),
    "a language is gone": (
        lambda rows: [row for row in rows if row[2] != "ell"], "ell had 42 utterances and is gone"
    ),
    "a language is new": (
        lambda rows: [[*row[:2], "nld" if i < 9 else row[2]] for i, row in enumerate(rows)],
        "nld is new, with 9 utterances",
    ),
    "the order of lines": (
        lambda rows: sorted(rows, key=lambda row: row[2]), "the same in another order"
    ),
}


@pytest.mark.parametrize("name", MANIFEST_CHANGES)
def test_a_changed_manifest_is_refused_by_name_inside_an_epoch_and_between(
    tiny_data, tmp_path, name
):
    change, expected = MANIFEST_CHANGES[name]
    changed = change_lines(copy_of(tiny_data, tmp_path / "data"), change)
    first = iterator(tiny_data)
    for n_batches in (2, len(first) - 2):
        drawn(first, n_batches)
        with pytest.raises(UserError, match=f"{expected}.*accept_changed_data=true"):
            resumed(iterator(changed), first.state_dict(), accept=False)


def test_an_accepted_manifest_begins_the_interrupted_epoch_again(tiny_data, tmp_path, caplog):
    changed = change_lines(copy_of(tiny_data, tmp_path / "data"), lambda rows: rows[1:])
    first = iterator(tiny_data)
    drawn(first, 5)
    second = resumed(iterator(changed), first.state_dict())
    assert "epoch 1 was begun with other batches: it is begun again" in caplog.text
    assert sorted(i for batch in drawn(second) for i in batch) == list(range(125))


def test_a_corrected_transcript_resumes_at_the_same_batch(tiny_data, tmp_path):
    """The utterances of the remaining batches are the same ones: each is still trained on once."""
    change, _ = MANIFEST_CHANGES["another transcript"]
    changed = change_lines(copy_of(tiny_data, tmp_path / "data"), change)
    first = iterator(tiny_data)
    begun = drawn(first, 5)
    second = resumed(iterator(changed), first.state_dict())
    assert begun + drawn(second) == drawn(iterator(tiny_data))


def test_a_refusal_names_a_dozen_groups_and_counts_the_others(tiny_data):
    first = iterator(tiny_data)
    drawn(first)
    state = first.state_dict()
    state["data"]["groups"] = {f"x{i:02d}": [5, 0] for i in range(20)}
    with pytest.raises(UserError, match="deu is new.*x08 had 5 utterances and is gone; 11 more"):
        resumed(iterator(tiny_data), state, accept=False)


def test_a_data_folder_may_move(tiny_data, tmp_path):
    first = iterator(tiny_data)
    drawn(first, 5)
    moved = copy_of(tiny_data, tmp_path / "data")
    (moved / "wav").symlink_to(tiny_data / "wav")
    tsv = (moved / "train.tsv").read_text().splitlines()
    (moved / "train.tsv").write_text("\n".join([str(moved), *tsv[1:]]) + "\n")
    resumed(iterator(moved), first.state_dict(), accept=False)


def test_a_checkpoint_of_another_task_inside_an_epoch_is_refused_or_begins_it_again(tiny_data):
    stock = {"version": 2, "epoch": 1, "iterations_in_epoch": 3, "shuffle": True}
    with pytest.raises(UserError, match="another task planned"):
        resumed(iterator(tiny_data), stock, accept=False)
    assert drawn(resumed(iterator(tiny_data), stock)) == drawn(iterator(tiny_data))


def test_q_is_mapped_by_name_when_languages_changed(tiny_data, tmp_path, caplog):
    """ell is gone, nld is new and starts at the mean weight, and q sums to 1 again."""
    def change(rows):
        rows = [row for row in rows if row[2] != "ell"]
        return [[*row[:2], "nld" if i < 9 else row[2]] for i, row in enumerate(rows)]

    changed = change_lines(copy_of(tiny_data, tmp_path / "data"), change)
    first = iterator(tiny_data, with_q=True)
    first.group_state.q = np.array([0.5, 0.3, 0.2])
    first.group_state.pending_loss = np.array([11.0, 22.0, 0.0])
    first.group_state.pending_count = np.array([1.0, 2.0, 0.0])
    drawn(first, 5)
    with pytest.raises(UserError, match="ell had 42 utterances and is gone.*nld is new, with 9"):
        resumed(iterator(changed, with_q=True), first.state_dict(), accept=False)
    second = resumed(iterator(changed, with_q=True), first.state_dict()).group_state
    assert second.groups == ("deu", "fra", "nld")
    np.testing.assert_allclose(second.q, np.array([0.5, 0.2, 0.35]) / 1.05)
    assert second.pending_loss.tolist() == [11.0, 0.0, 0.0]
    assert "nld is new: it starts at the mean weight, q = 0.3333" in caplog.text
    assert "ell is gone, and its weight, q = 0.3, with it" in caplog.text


def test_q_is_mapped_by_name_when_the_order_of_languages_changed(tiny_data, caplog):
    first = iterator(tiny_data, with_q=True)
    first.group_state.q = np.array([0.5, 0.3, 0.2])
    begun = drawn(first, 5)
    state = first.state_dict()
    for name, values in state["group_dro"].items():
        if isinstance(values, list):
            state["group_dro"][name] = values[::-1]
    match = "order of the groups was fra, ell, deu and is deu, ell, fra.*accept_changed_data=true"
    with pytest.raises(UserError, match=match):
        resumed(iterator(tiny_data, with_q=True), state, accept=False)
    second = resumed(iterator(tiny_data, with_q=True), state)
    assert second.group_state.q.tolist() == [0.5, 0.3, 0.2]
    assert begun + drawn(second) == drawn(iterator(tiny_data, with_q=True))


def test_accepting_changes_where_there_are_none_changes_nothing(tiny_data, caplog):
    first = iterator(tiny_data, with_q=True)
    first.group_state.q = np.array([0.1, 0.2, 0.7])
    begun = drawn(first, 5)
    second = resumed(iterator(tiny_data, with_q=True), first.state_dict())
    assert second.group_state.q.tolist() == [0.1, 0.2, 0.7]
    assert begun + drawn(second) == drawn(iterator(tiny_data, with_q=True))
    assert "accept_changed_data" not in caplog.text


def test_a_changed_dictionary_is_refused_also_between_epochs(tiny_data, tmp_path):
    """The same number of units in another order would give every output another meaning."""
    first = iterator(tiny_data)
    drawn(first)
    data = tmp_path / "data"
    shutil.copytree(tiny_data, data)
    lines = (data / "dict.ltr.txt").read_text().splitlines()
    (data / "dict.ltr.txt").write_text("".join(f"{line}\n" for line in reversed(lines)))
    with pytest.raises(UserError, match="dictionary"):
        iterator(data).load_state_dict(first.state_dict())


def test_epochs_share_one_loader(tiny_data):
    """Else each epoch would leave its loader processes behind."""
    task = make_task(tiny_data, batch_seconds=4.0)
    task.load_dataset("train")
    first = task.get_batch_iterator(task.dataset("train"), epoch=1, num_workers=1)
    batches = drawn(first)
    second = task.get_batch_iterator(task.dataset("train"), epoch=2, num_workers=1)
    assert second is first
    assert drawn(second) != batches and second.epoch == 2
    alone = make_task(tiny_data, batch_seconds=4.0)
    alone.load_dataset("train")
    fresh = alone.get_batch_iterator(alone.dataset("train"), epoch=2)
    assert [b for b in second.frozen_batches] == [b for b in fresh.frozen_batches]
    assert len(multiprocessing.active_children()) <= 1


def test_decoding_the_training_split_brings_each_utterance_once(tiny_data):
    task = make_task(tiny_data, group_sampling="uniform", allow_unseen=True)
    task.load_dataset("train")
    batches = task.get_batch_iterator(task.dataset("train"), max_tokens=640_000).frozen_batches
    assert sorted(i for batch in batches for i in batch) == list(range(126))
