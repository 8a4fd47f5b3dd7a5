"""q moves exactly once per successful update, and not at all before its warm-up ends."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch

from fairseq_dro.dro.sums import COLUMNS
from fairseq_dro.errors import UserError
from fairseq_dro.runs.history import read_records
from fairseq_dro.training import workers
from tests.checkpoints import load
from tests.in_process import group_dro_ctc, make_task
from tests.stock_commands import train_command

OPTIONS = {
    "criterion__update_when": "every_update",
    "optimization__update_freq": "[3]",
    "optimization__max_update": 6,
}


GLOO = {
    "distributed_training__distributed_backend": "gloo",
    "distributed_training__ddp_backend": "legacy_ddp",
}


def count_observations() -> None:
    """Each call of ``observe`` leaves a byte in a file, even of a run that ends badly."""
    from fairseq_dro.dro.state import GroupDroState

    original = GroupDroState.observe

    def observe(self, *sums):
        with open("observed", "ab") as stream:
            stream.write(b".")
        return original(self, *sums)

    GroupDroState.observe = observe


def every_third(function):
    """Whether this is the third, sixth ... call."""
    function.calls = getattr(function, "calls", 0) + 1
    return function.calls % 3 == 0


def overflow() -> None:
    """As fairseq's fp16 optimizer does (dynamic_loss_scaler.py:68)."""
    from fairseq.trainer import Trainer

    clip = Trainer.clip_grad_norm

    def overflowing(self, *args):
        if every_third(overflowing):
            raise OverflowError("simulated")
        return clip(self, *args)

    Trainer.clip_grad_norm = overflowing
    torch.Tensor.cuda = lambda self: self  # trainer.py:992 makes a CUDA tensor of the norm


def amp_overflow() -> None:
    """Gradients that are not finite under AMP: the same batches are run again."""
    from fairseq.trainer import Trainer

    clip = Trainer.clip_grad_norm

    def infinite(self, *args):
        norm = clip(self, *args)
        return norm * float("inf") if every_third(infinite) else norm

    Trainer.clip_grad_norm = infinite


def out_of_memory() -> None:
    """A micro-batch of the third update does not fit, and one of the sixth."""
    from fairseq_dro.criterions.ctc import GroupDroCtcCriterion

    forward = GroupDroCtcCriterion.forward

    def failing(self, model, sample, **options):
        failing.calls = getattr(failing, "calls", 0) + self.training
        if self.training and failing.calls % 8 == 7:
            raise RuntimeError("CUDA out of memory (simulated)")
        return forward(self, model, sample, **options)

    GroupDroCtcCriterion.forward = failing


@pytest.mark.parametrize(
    ("trouble", "said", "options"),
    [
        (overflow, "gradient overflow detected", {}),
        (out_of_memory, "attempting to recover from OOM", {}),
        (amp_overflow, "NOTE: gradient overflow", {"common__amp": "true"}),
    ],
)
def test_an_update_that_fails_neither_moves_q_nor_validates_again(
    command_server, tiny_data, tiny_checkpoint, tmp_path, trouble, said, options
):
    command = train_command(
        tiny_data, tiny_checkpoint, **OPTIONS, **options,
        dataset__disable_validation="false", dataset__validate_interval_updates=2,
    )
    prepare = [f"{__name__}:{f.__name__}" for f in (count_observations, trouble)]
    done = command_server.run(command, tmp_path, prepare=prepare)
    if trouble is not amp_overflow:
        assert done.stdout.count(said) >= 2
    state = load(tmp_path / "checkpoints/checkpoint_last.pt")
    assert state["optimizer_history"][-1]["num_updates"] == 6
    assert len((tmp_path / "observed").read_bytes()) == 6
    moves = read_records(tmp_path / "group_weights.jsonl")
    assert [r["update"] for r in moves] == sorted({r["update"] for r in moves})
    assert state["extra_state"]["train_iterator"]["group_dro"]["n_moves"] == len(moves) <= 6
    validated = [json.loads(line)["update"] for line in open(tmp_path / "history.jsonl")]
    assert validated == sorted(set(validated)) and {2, 4, 6} <= set(validated)


def gradients_that_are_nan() -> None:
    """At update 4 fairseq runs the batches again to find the layer, and then gives up."""
    from fairseq.trainer import Trainer

    clip = Trainer.clip_grad_norm

    def not_a_number(self, *args):
        norm = clip(self, *args)
        return norm * float("nan") if self.get_num_updates() == 3 else norm

    Trainer.clip_grad_norm = not_a_number


def test_the_search_for_nan_gradients_does_not_move_q(
    command_server, tiny_data, tiny_checkpoint, tmp_path
):
    command = train_command(tiny_data, tiny_checkpoint, **OPTIONS)
    prepare = [f"{__name__}:{f.__name__}" for f in (count_observations, gradients_that_are_nan)]
    done = command_server.run(command, tmp_path, prepare=prepare, check=False)
    assert done.returncode != 0 and "gradients are Nan/Inf" in done.stdout
    assert len((tmp_path / "observed").read_bytes()) == 3


@pytest.mark.parametrize("workers", [1, 2])
def test_every_epoch_q_moves_at_the_last_update_of_each(
    command_server, tiny_data, tiny_checkpoint, tmp_path, workers
):
    options = OPTIONS | {
        "criterion__update_when": "every_epoch", "optimization__max_update": 16,
        "optimization__update_freq": f"[{2 // workers}]", "task__batch_seconds": 20,
    }
    command = train_command(tiny_data, tiny_checkpoint, **options, **GLOO)
    done = command_server.run(command, tmp_path, workers=workers)
    epoch_of = {
        int(line["num_updates"]): line["epoch"]
        for line in map(json.loads, re.findall(r'\{"epoch".*"num_updates".*\}', done.stdout))
        if "ups" in line
    }
    assert set(epoch_of) == set(range(1, 17)) and max(epoch_of.values()) >= 3
    ends = [u for u in range(1, 16) if epoch_of[u] != epoch_of[u + 1]]
    moves = [record["update"] for record in read_records(tmp_path / "group_weights.jsonl")]
    assert moves == ends or moves == [*ends, 16], "the run may end with an epoch"


def test_q_does_not_move_in_its_warm_up(command_server, tiny_data, tiny_checkpoint, tmp_path):
    command = train_command(
        tiny_data, tiny_checkpoint, **OPTIONS, criterion__dro_start_update=4,
        dataset__disable_validation="false", dataset__validate_interval_updates=2,
    )
    command_server.run(command, tmp_path)
    assert [r["update"] for r in read_records(tmp_path / "group_weights.jsonl")] == [5, 6]
    rows = {r["update"]: r["languages"] for r in read_records(tmp_path / "history.jsonl")}
    assert all(row["q"] == 1 / 3 and row["train_loss_nats"] is None for row in rows[4].values())
    assert all(row["train_audio_seconds"] > 0 for row in rows[4].values()), "trained, not weighted"
    assert len({row["q"] for row in rows[6].values()}) == 3


def fail_on_worker_1() -> None:
    """Its second update does not fit into memory."""
    from fairseq.distributed import utils as distributed_utils

    from fairseq_dro.criterions.ctc import GroupDroCtcCriterion

    forward = GroupDroCtcCriterion.forward

    def failing(self, model, sample, **options):
        failing.calls = getattr(failing, "calls", 0) + 1
        if failing.calls == 4 and distributed_utils.get_global_rank() == 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory (simulated)")
        return forward(self, model, sample, **options)

    GroupDroCtcCriterion.forward = failing


def test_out_of_memory_on_one_of_two_workers_stops_the_run_by_name(
    command_server, tiny_data, tiny_checkpoint, tmp_path
):
    command = train_command(tiny_data, tiny_checkpoint, **OPTIONS, **GLOO)
    done = command_server.run(
        command, tmp_path, workers=2, prepare=[f"{__name__}:fail_on_worker_1"], check=False
    )
    assert done.returncode != 0
    assert "error: worker 1 of 2 ran out of memory in update 2 (" in done.stdout
    assert "the first " in done.stdout and "lower dataset.max_tokens" in done.stdout
    assert not (tmp_path / "checkpoints/checkpoint_last.pt").exists(), "it does not continue"


def count_collectives() -> None:
    """Worker 0 notes how many numbers each all-reduce has."""
    from torch import distributed

    original = distributed.all_reduce

    def all_reduce(tensor, *args, **options):
        if distributed.get_rank() == 0:
            with open("collectives", "a") as stream:
                stream.write(f"{tensor.numel()}\n")
        return original(tensor, *args, **options)

    distributed.all_reduce = all_reduce


def test_one_collective_more_than_stock_holds_the_sums_of_all_groups(
    command_server, tiny_data, tiny_checkpoint, tmp_path
):
    """Stock ctc reduces its numbers and the gradients; ours 9 sums a group and the loss besides."""
    options = GLOO | {"optimization__update_freq": "[2]", "optimization__max_update": 3}
    numbers = {}
    for criterion in ("group_dro_ctc", "ctc"):
        command = train_command(
            tiny_data, tiny_checkpoint, **options, criterion___name=criterion
        )
        if criterion == "ctc":
            command = [a for a in command if not a.startswith("criterion.objective")]
        command_server.run(
            command, tmp_path / criterion, workers=2, prepare=[f"{__name__}:count_collectives"]
        )
        text = (tmp_path / criterion / "collectives").read_text()
        numbers[criterion] = [int(line) for line in text.split()]
    sums = 1 + 3 * len(COLUMNS)
    assert numbers["group_dro_ctc"].count(sums) == 3 and sums not in numbers["ctc"]
    assert len(numbers["group_dro_ctc"]) == len(numbers["ctc"]) + 3


def disagree() -> None:
    """The last bits of q of worker 1 flip in the fourth update."""
    from fairseq.distributed import utils as distributed_utils

    from fairseq_dro.dro.state import GroupDroState

    original = GroupDroState.observe

    def observe(self, *sums):
        moved = original(self, *sums)
        observe.calls = getattr(observe, "calls", 0) + 1
        if observe.calls == 4 and distributed_utils.get_global_rank() == 1:
            self.q = np.nextafter(self.q, 1)
        return moved

    GroupDroState.observe = observe


def test_workers_that_disagree_on_q_stop_at_the_next_validation(
    command_server, tiny_data, tiny_checkpoint, tmp_path
):
    command = train_command(
        tiny_data, tiny_checkpoint, **OPTIONS, **GLOO, dataset__disable_validation="false",
        dataset__validate_interval_updates=2,
    )
    done = command_server.run(
        command, tmp_path, workers=2, prepare=[f"{__name__}:disagree"], check=False
    )
    assert done.returncode != 0
    assert "error: the workers no longer agree on q (checksums between" in done.stdout
    assert [r["update"] for r in read_records(tmp_path / "history.jsonl")] == [2], "2 was right"


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"ddp_backend": "slowmo"}, "ddp_backend=slowmo .*use legacy_ddp, or pytorch_ddp"),
        ({"ddp_backend": "fully_sharded"}, "ddp_backend=fully_sharded .*use legacy_ddp"),
        ({"ddp_backend": "c10d"}, "ddp_backend=c10d .*find_unused_parameters=true"),
        ({"use_bmuf": True}, "optimization.use_bmuf=true .*leave it out"),
    ],
)
def test_wrappers_that_would_not_sum_an_update_are_refused(
    tiny_data, monkeypatch, options, advice
):
    task = make_task(tiny_data, **options)
    group_dro_ctc(task)  # one worker: there is nothing to sum
    monkeypatch.setattr(workers, "n_workers", lambda: 2)
    with pytest.raises(UserError, match=advice):
        group_dro_ctc(task)
