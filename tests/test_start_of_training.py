"""What the first commands of a new user meet: one sentence, and what to type next."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fairseq_dro.checks.learning_rate import require_decay, require_rates
from fairseq_dro.errors import UserError
from tests.checkpoints import load
from tests.killed_commands import at
from tests.stock_commands import BIN, REPOSITORY, train_command

TRI_STAGE = {
    "lr_scheduler___name": "tri_stage", "lr_scheduler__phase_ratio": "[0.1,0.5,0.4]",
    "optimization__max_update": 2,
}


def short_run(data: Path, checkpoint: Path) -> list[str]:
    command = train_command(data, checkpoint, **TRI_STAGE)
    return [argument for argument in command if "warmup_updates" not in argument]


def test_a_run_too_short_to_decay_says_how_long_it_must_be(
    tiny_data, tiny_checkpoint, command_server, tmp_path
):
    command = short_run(tiny_data, tiny_checkpoint)
    done = command_server.run(command, tmp_path / "two", check=False)
    assert done.returncode == 2 and "Traceback" not in done.stdout
    *_, sentence = done.stdout.rstrip().splitlines()
    assert sentence.startswith("error: optimization.max_update=2 leaves the decay")
    assert sentence.endswith("set optimization.max_update=3 or more.")
    longer = [argument.replace("max_update=2", "max_update=3") for argument in command]
    command_server.run(longer, tmp_path / "three")


def test_stock_fairseq_divides_by_zero_there(tiny_data, tiny_checkpoint, tmp_path, command_server):
    """What refusals/no_decay.py answers; red once it can be deleted."""
    command = short_run(tiny_data, tiny_checkpoint)
    done = command_server.run(command, tmp_path, check=False, FAIRSEQ_DRO_COMPAT="-no_decay")
    assert "ZeroDivisionError" in done.stdout


@pytest.mark.parametrize("share", [0.4, 0.5, 0.07, 0.3, 1 / 49])
def test_the_length_that_is_named_is_the_shortest_that_decays(share):
    ratio = [0.1, 0.9 - share, share]
    shortest = next(n for n in range(1, 1000) if int(n * share) > 0)
    require_decay(shortest, ratio, 0)
    with pytest.raises(UserError, match=f"max_update={shortest} or more"):
        require_decay(shortest - 1 or 0.5, ratio, 0)


def test_phases_that_do_not_add_up_are_refused_with_their_sum():
    with pytest.raises(UserError, match="adds up to 1.1"):
        require_decay(100, [0.1, 0.2, 0.8], 0)


@pytest.mark.parametrize(
    ("scheduler", "rates", "is_refused"),
    [("tri_stage", [0, 1], True), ("tri_stage", [0.1, 0.2], True), ("tri_stage", [0.1], False),
     ("fixed", [0, 1], True), ("polynomial_decay", [0.0, 25.0], True), ("fixed", [0.1, 0.2], False),
     ("fixed", [0.0], False)],
)  # fmt: skip
def test_several_learning_rates_where_one_is_meant_are_refused(scheduler, rates, is_refused):
    if not is_refused:
        return require_rates(scheduler, rates)
    with pytest.raises(UserError, match=r"are 2 learning rates.*optimization.lr=\[0.001\]"):
        require_rates(scheduler, rates)


def test_another_criterion_in_the_folder_of_a_run_is_refused_by_name(
    tiny_data, tiny_checkpoint, command_server, tmp_path
):
    command = train_command(
        tiny_data, tiny_checkpoint, criterion___name="ctc", optimization__max_update=1
    )
    stock = [word for word in command if not word.startswith("criterion.objective")]
    command_server.run(stock, tmp_path)
    ours = train_command(tiny_data, tiny_checkpoint, optimization__max_update=2)
    done = command_server.run(ours, tmp_path, check=False)
    *_, sentence = done.stdout.rstrip().splitlines()
    assert done.returncode == 2 and "Traceback" not in done.stdout
    says = "trained with criterion=ctc, and this command asks for criterion=group_dro_ctc"
    assert says in sentence
    folder = tmp_path / "checkpoints"
    command_server.run(
        [*ours, f"checkpoint.finetune_from_model={folder / 'checkpoint_last.pt'}",
         "checkpoint.save_dir=other"], tmp_path,
    )  # fmt: skip


def test_half_precision_without_a_gpu_says_what_to_type(
    tiny_data, tiny_checkpoint, command_server, tmp_path
):
    """Stock fairseq asks CUDA for its device there: a traceback."""
    command = train_command(tiny_data, tiny_checkpoint, common__fp16="true")
    done = command_server.run(command, tmp_path, check=False)
    *_, sentence = done.stdout.rstrip().splitlines()
    assert done.returncode == 2 and "Traceback" not in done.stdout
    assert "type common.cpu=true common.fp16=false" in sentence


def test_a_schedule_by_steps_needs_one_to_decay():
    require_decay(2, None, 1)
    with pytest.raises(UserError, match="decay_steps=1 or more"):
        require_decay(2, None, 0)
    with pytest.raises(UserError, match="its last part"):
        require_decay(100, [0.5, 0.5, 0.0], 0)


RECIPE = [
    str(BIN / "fairseq-hydra-train"), "--config-dir", str(REPOSITORY / "examples/xlsr_dro/config"),
    "--config-name", "demo", "hydra.run.dir=.", "hydra.output_subdir=null",
]


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        ("+criterion.step_sise=0.1", "did you mean criterion.step_size?"),
        ("optimization.lr=[0,001]", "are 2 learning rates, and tri_stage takes one"),
        ("optimization.max_update=1e3", ": write optimization.max_update=1000."),
        ("dataset.max_token=3", "did you mean dataset.max_tokens or dataset.max_tokens_valid?"),
        ("task.group_samplin=uniform", "did you mean task.group_sampling or "),
    ],
)
def test_a_mistaken_option_is_one_sentence_with_what_to_type(
    tiny_data, tiny_checkpoint, tmp_path, mistake, says, command_server
):
    data = [f"task.data={tiny_data}", f"model.w2v_path={tiny_checkpoint}"]
    done = command_server.run([*RECIPE, *data, mistake], tmp_path, check=False)
    *before, sentence = done.stdout.rstrip().splitlines()
    assert done.returncode == 2 and sentence.startswith("error: ") and says in sentence
    assert mistake.lstrip("+").partition("=")[0] in sentence
    assert "Traceback" not in done.stdout and "full_key" not in done.stdout
    assert "tensorboardX" not in done.stdout  # tensorboard is installed


def test_stock_fairseq_asks_for_tensorboardx_beside_tensorboard(tmp_path, command_server):
    """What compat/tensorboard_hint.py answers; red once it can be deleted."""
    command = [sys.executable, "-c", "import fairseq"]
    for switch, asks in (("1", False), ("-tensorboard_hint", True)):
        done = command_server.run(command, tmp_path, FAIRSEQ_DRO_COMPAT=switch)
        assert ("tensorboardX" in done.stdout) == asks


@pytest.mark.parametrize(("update", "says"), [(2, "starts over"), (5, "resumes from update 3")])
def test_ctrl_c_says_where_the_same_command_resumes(
    tiny_data, tiny_checkpoint, command_server, tmp_path, update, says
):
    command = train_command(tiny_data, tiny_checkpoint, checkpoint__save_interval_updates=3)
    done = command_server.run(command, tmp_path, die=at("update_ends", update, action="SIGINT"))
    *_, sentence = done.stdout.rstrip().splitlines()
    assert done.returncode == 130 and "Traceback" not in done.stdout
    assert sentence.startswith(f"interrupted at update {update}") and says in sentence
    command_server.run(command, tmp_path)
    last = load(tmp_path / "checkpoints/checkpoint_last.pt")
    assert last["optimizer_history"][-1]["num_updates"] == 6
