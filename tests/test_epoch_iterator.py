"""The planner's order reaches the trainer, and a resumed iterator goes on where it stopped."""

from __future__ import annotations

import multiprocessing
import shutil

import pytest

from fairseq_dro.errors import UserError
from tests.in_process import make_task


def iterator(data, *, n_workers: int = 1, worker: int = 0, epoch: int = 1, **options):
    task = make_task(data, batch_seconds=4.0, **options)
    task.load_dataset("train")
    return task.get_batch_iterator(
        task.dataset("train"), max_tokens=640_000, epoch=epoch,
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


def test_other_workers_go_on_where_the_first_ones_stopped(tiny_data):
    """2 x 1 continued as 1 x 2: the same global order, so nothing is lost or repeated."""
    first = iterator(tiny_data, n_workers=2)
    drawn(first, 3)
    alone = iterator(tiny_data, update_freq=[2])
    alone.load_state_dict(first.state_dict())
    assert drawn(alone) == drawn(iterator(tiny_data, update_freq=[2]))[6:]


@pytest.mark.parametrize("change", [{"update_freq": [4]}, {"batch_seconds": 3.0}])
def test_an_epoch_planned_otherwise_is_refused_with_both_values(tiny_data, change):
    first = iterator(tiny_data)
    drawn(first, 2)
    task = make_task(tiny_data, **{"batch_seconds": 4.0} | change)
    task.load_dataset("train")
    other = task.get_batch_iterator(task.dataset("train"), max_tokens=640_000)
    with pytest.raises(UserError, match=r"was \d+ and is \d+.*reset_dataloader"):
        other.load_state_dict(first.state_dict())


def test_a_changed_manifest_is_refused_inside_an_epoch(tiny_data, tmp_path):
    """The same number of batches, but other utterances in them."""
    first = iterator(tiny_data)
    drawn(first, 2)
    other = iterator(tiny_data)
    other.dataset.manifest.paths.reverse()
    with pytest.raises(UserError, match="checksum_of_batches was"):
        other.load_state_dict(first.state_dict())


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
