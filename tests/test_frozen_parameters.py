"""What is frozen does not move, not by weight decay and under no wrapper of the model."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fairseq import optim
from fairseq.dataclass.configs import FairseqConfig
from omegaconf import OmegaConf

from fairseq_dro.runs.history import read_records
from fairseq_dro.training.held_still import held_still
from tests.checkpoints import load
from tests.stock_commands import train_command

DECAY = {
    "optimizer__weight_decay": 0.3,
    "model__layerdrop": 0.0,
    "optimization__update_freq": "[2]",
    "optimization__max_update": 5,
    "criterion__update_when": "every_update",
    "checkpoint__save_interval_updates": 1,  # none is kept where an epoch ends ...
    "checkpoint__no_epoch_checkpoints": "false",  # ... but for the epoch's own
    "model__freeze_finetune_updates": 3,
    "distributed_training__distributed_backend": "gloo",
}
EXTRACTOR, ENCODER = "w2v_encoder.w2v_model.feature_extractor.", "w2v_encoder.w2v_model."


def moved(folder: Path, update: int, pretrained: Path) -> set[str]:
    """Names of the weights of the encoder that differ from the pre-trained file's."""
    saved = [load(path) for path in (folder / "checkpoints").glob("checkpoint*.pt")]
    at = {state["optimizer_history"][-1]["num_updates"]: state["model"] for state in saved}
    before, after = load(pretrained)["model"], at[update]
    names = {ENCODER + name: name for name in before if ENCODER + name in after}
    assert len(names) > 20
    return {
        name for name, short in names.items()
        if not torch.equal(before[short], after[name])
        and not torch.equal(before[short].bfloat16().float(), after[name])  # rounded when loaded
    }


def wrap_without_devices() -> None:
    """fairseq names a GPU to torch's wrapper, be there one or not (its file's line 62)."""
    from fairseq.models import distributed_fairseq_model as wrappers

    class WithoutDevices(wrappers.DistributedDataParallel):
        def __init__(self, *args, device_ids, output_device, **options):
            super().__init__(*args, **options)

    wrappers.DistributedDataParallel = WithoutDevices


@pytest.mark.parametrize(
    ("workers", "options"),
    [
        (2, {"distributed_training__ddp_backend": "legacy_ddp"}),
        (
            2,
            {
                "distributed_training__ddp_backend": "pytorch_ddp",
                "distributed_training__find_unused_parameters": "true",
            },
        ),
        (1, {"common__bf16": "true", "common__fp16_no_flatten_grads": "true"}),
    ],
    ids=["legacy_ddp", "pytorch_ddp", "bf16"],
)
def test_frozen_parts_do_not_move_and_q_does(
    command_server, tiny_data, tiny_checkpoint, tmp_path, workers, options
):
    command = train_command(tiny_data, tiny_checkpoint, **DECAY, **options)
    command_server.run(
        command, tmp_path, workers=workers,
        prepare=["tests.test_frozen_parameters:wrap_without_devices"],
    )
    assert moved(tmp_path, 3, tiny_checkpoint) == set(), "before freeze_finetune_updates"
    after = moved(tmp_path, 5, tiny_checkpoint)
    assert len(after) > 10, "the encoder trains at last"
    assert not [name for name in after if name.startswith(EXTRACTOR)]
    state = load(tmp_path / "checkpoints/checkpoint_last.pt")
    steps = {row["step"] for row in state["last_optimizer_state"]["state"].values()}
    assert steps == {2, 5}, "encoder and head: a frozen weight counts no steps either"
    q = np.array(state["extra_state"]["train_iterator"]["group_dro"]["q"])
    assert q.dtype == np.float64 and q.sum() == pytest.approx(1, abs=1e-12)
    weights = [list(r["q"].values()) for r in read_records(tmp_path / "group_weights.jsonl")]
    assert len(weights) >= 3 and weights[0] != weights[1]
    # a step of 1e-3 is lost in 16 bits: what was written has digits that bfloat16 has not
    assert not torch.equal(torch.tensor(q), torch.tensor(q).bfloat16().double())


def bf16_optimizer(parameters, monkeypatch, *, flat: bool) -> optim.FP16Optimizer:
    """fairseq's own, on a CPU, where its flat layout has no device number."""
    monkeypatch.setattr(torch.cuda, "current_device", lambda: None)
    config = OmegaConf.structured(FairseqConfig())
    config.common.bf16 = True
    config.common.fp16_no_flatten_grads = not flat
    config.optimizer = {
        "_name": "adam", "lr": [0.1], "adam_betas": "(0.9, 0.98)", "adam_eps": 1e-8,
        "weight_decay": 0.5, "use_old_adam": True, "tpu": False,
    }
    return optim.FP16Optimizer.build_optimizer(config, parameters)


@pytest.mark.parametrize("flat", [True, False])
def test_zeros_in_place_of_gradients_do_not_decay_frozen_half_precision_weights(
    monkeypatch, flat
):
    torch.manual_seed(0)
    free, frozen = (torch.nn.Parameter(torch.randn(5, 3).bfloat16()) for _ in range(2))
    optimizer = bf16_optimizer([free, frozen], monkeypatch, flat=flat)
    before = [free.detach().clone(), frozen.detach().clone()]

    def step(hold: list[torch.nn.Parameter]) -> None:
        optimizer.zero_grad()
        optimizer.backward((free * 2).sum().float())
        optimizer.clip_grad_norm(0.0)
        with held_still(optimizer, hold):
            optimizer.step()

    step([frozen])
    assert torch.equal(frozen, before[1]) and not torch.equal(free, before[0])
    step([])
    assert not torch.equal(frozen, before[1]), "without being held, weight decay moves it"


def test_a_model_of_another_kind_has_nothing_frozen():
    from fairseq_dro.models.family import family_of

    assert family_of(torch.nn.Linear(2, 2)) is None
    assert family_of(SimpleNamespace(w2v_encoder=None)) is None
