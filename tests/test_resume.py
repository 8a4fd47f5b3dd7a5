"""Law 4: a run that was killed and started again ends as an uninterrupted one, with its q."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairseq_dro.runs.history import read_records
from tests import run_preparations, training_trace
from tests.changed_data import change_lines, copy_of
from tests.checkpoints import assert_same_training_state, load
from tests.killed_commands import Moment, at
from tests.stock_commands import environment, run, train_command
from tests.tiny_corpus import write_tiny_corpus
from tests.whisper_runs import whisper_command, with_texts, write_mini_whisper

LAST = "checkpoints/checkpoint_last.pt"

# --- killed by SIGKILL at five stated calls, one after the other ---

NOISY = {
    "model__mask_channel_prob": 0.3,
    "model__mask_channel_length": 4,
    "model__attention_dropout": 0.1,
    "model__activation_dropout": 0.1,
    "model__dropout_input": 0.1,
    "model__final_dropout": 0.1,
    "model__freeze_finetune_updates": 6,
    "lr_scheduler__warmup_updates": 10,
    "task__batch_seconds": 4,
    "criterion__step_size": 0.002,
    "optimization__max_update": 14,
    "checkpoint__save_interval_updates": 2,
    "checkpoint__keep_interval_updates": 1,
    "checkpoint__no_epoch_checkpoints": "true",
    "distributed_training__ddp_backend": "legacy_ddp",
    "distributed_training__distributed_backend": "gloo",
}
"""Masks, layerdrop and dropout of all kinds; 4 batches an update, 6 updates an epoch."""

PREPARATIONS = (run_preparations.NOISE, training_trace.WRITE)


@pytest.fixture(scope="module")
def six_languages(tmp_path_factory) -> Path:
    """One language has so few batches that q moves less than once an epoch."""
    letters = {"deu": "abcd", "ell": "αβγδ", "fra": "abcé", "rus": "где", "tur": "çabş",
               "ukr": "гїде"}
    folder = tmp_path_factory.mktemp("six")
    return with_texts(write_tiny_corpus(folder, {"train": 5, "valid": 2}, letters, growth=4))


def noisy_command(data: Path, checkpoint: Path, workers: int, loader_workers: int) -> list[str]:
    return train_command(
        data, checkpoint, **NOISY, optimization__update_freq=f"[{4 // workers}]",
        dataset__num_workers=loader_workers,
        distributed_training__distributed_world_size=workers,
    )


def noisy_whisper_command(data: Path, whisper: Path) -> list[str]:
    of_criterion_and_model = {
        **{name: value for name, value in NOISY.items() if not name.startswith("model__")},
        "criterion__objective": "ctc_dro",
        "criterion__label_smoothing": 0.1,
        "model__freeze_encoder_updates": 6,
    }
    return whisper_command(data, whisper, **of_criterion_and_model, optimization__update_freq="[4]")


@pytest.fixture(scope="module")
def commands(
    six_languages, tiny_checkpoint, tmp_path_factory
) -> Callable[[str, int, int], list[str]]:
    """By model, workers and processes that load data."""
    whisper = write_mini_whisper(tmp_path_factory.mktemp("mini_whisper"))

    def command(model: str, workers: int, loader_workers: int) -> list[str]:
        if model == "whisper":
            return noisy_whisper_command(six_languages, whisper)
        return noisy_command(six_languages, tiny_checkpoint, workers, loader_workers)

    return command


@pytest.fixture(scope="module")
def uninterrupted(commands, tmp_path_factory, command_server) -> dict[tuple[str, int], Path]:
    """Run folders by model and number of workers, without loader processes."""
    folders = {}
    for model, workers in (("wav2vec2", 1), ("wav2vec2", 2), ("whisper", 1)):
        folder = folders[model, workers] = tmp_path_factory.mktemp(f"uninterrupted_{model}")
        command = commands(model, workers, loader_workers=0)
        command_server.run(command, folder, workers=workers, prepare=PREPARATIONS)
    return folders


def kills(
    micro_batches: int, trace: list[dict[str, Any]]
) -> dict[str, tuple[Moment, int, Callable[[dict[str, Any]], bool]]]:
    """When each attempt dies, the update it left saved, and what must be true of that file.

    Args:
        trace: of the uninterrupted run, which says when losses are pending.
    """

    def position(saved: dict[str, Any]) -> int:
        return saved["extra_state"]["train_iterator"]["iterations_in_epoch"]

    def lr(saved: dict[str, Any]) -> float:
        return saved["last_optimizer_state"]["param_groups"][0]["lr"]

    def is_pending(state: dict[str, Any]) -> bool:
        return 0 < sum(count > 0 for count in state["pending_count"]) < 6

    pending = next(
        line["update"] for line in trace
        if line["update"] > 8 and line["update"] % 2 == 0 and is_pending(line)
    )
    return {
        "in warm-up, with a frozen encoder": (
            at("update_ends", 3), 2, lambda saved: lr(saved) < 0.0005
        ),
        "inside an accumulation window": (
            at("micro_batch_ends", 2 * micro_batches + 1), 4, lambda saved: position(saved) > 0
        ),
        "at an epoch's end": (at("epoch_begins", 2), 6, lambda saved: position(saved) == 0),
        "in mid-epoch": (at("update_ends", 3), 8, lambda saved: position(saved) > 0),
        "between two moves of q": (
            at("q_is_about_to_move", pending + 1 - 8), pending,
            lambda saved: is_pending(saved["extra_state"]["train_iterator"]["group_dro"]),
        ),
    }


@pytest.mark.parametrize(
    "model, workers, loader_workers",
    [("wav2vec2", 1, 0), ("wav2vec2", 1, 2), ("wav2vec2", 2, 2), ("whisper", 1, 0)],
)
def test_a_run_killed_at_any_moment_ends_as_an_uninterrupted_one(
    commands, tmp_path, command_server, uninterrupted, model, workers, loader_workers
):
    """Every update of every attempt is compared, with the states of all random generators."""
    command = commands(model, workers, loader_workers)
    options = {"workers": workers, "prepare": PREPARATIONS}
    trace = training_trace.read(uninterrupted[model, workers])
    for name, (moment, saved_update, holds) in kills(4 // workers, trace).items():
        died = command_server.run(command, tmp_path, die=moment, **options)
        assert died.returncode == -signal.SIGKILL, f"{name}:\n{died.stdout}"
        saved = load(tmp_path / LAST)
        assert saved["optimizer_history"][-1]["num_updates"] == saved_update, name
        assert holds(saved), name
    command_server.run(command, tmp_path, **options)
    expected = {(line["worker"], line["update"]): line for line in trace}
    assert len(expected) == workers * NOISY["optimization__max_update"]
    traced = training_trace.read(tmp_path)
    assert len(traced) > len(expected), "some updates are made twice"
    for line in traced:
        assert line == expected[line["worker"], line["update"]]
    assert_same_training_state(tmp_path / LAST, uninterrupted[model, workers] / LAST)


def test_the_noise_of_these_runs_comes_from_all_three_generators(uninterrupted):
    """Else the test above would compare states that nothing depends on."""
    trace = training_trace.read(uninterrupted["wav2vec2", 1])
    for generator in ("python_generator", "torch_generator"):
        assert len({line[generator] for line in trace}) == len(trace), generator
    numpy_states = {line["numpy_generator"] for line in trace}
    assert len(numpy_states) == 1, "numpy's is put back after each step"


# --- killed from outside, the console command itself ---

WITH_VALIDATION = {
    "optimization__max_update": 26,
    "optimization__update_freq": "[2]",
    "checkpoint__save_interval_updates": 3,
    "checkpoint__keep_interval_updates": 2,
    "checkpoint__no_epoch_checkpoints": "true",
    "dataset__disable_validation": "false",
    "criterion__step_size": 0.002,
}


def kill_after_a_save(command: list[str], folder: Path, update: int) -> None:
    """SIGKILL the process group once it has saved at ``update`` or later and gone on."""
    folder.mkdir(parents=True)
    output = folder / "killed.log"
    with open(output, "w") as stream:
        process = subprocess.Popen(
            command, cwd=folder, env=environment(), stdout=stream, stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline and process.poll() is None:
            saved, _, since = output.read_text().rpartition("Saved checkpoint")
            if saved.count("Saved checkpoint") >= update // 3 and '"num_updates"' in since:
                break
            time.sleep(0.02)
        assert process.poll() is None, "ended before it could be killed:\n" + output.read_text()
        process.send_signal(signal.SIGKILL)
        process.wait()


def q_of_every_move(folder: Path) -> list[tuple[int, dict[str, float]]]:
    return [(r["update"], r["q"]) for r in read_records(folder / "group_weights.jsonl")]


def test_q_survives_a_kill(tiny_data, tiny_checkpoint, tmp_path, command_server):
    """Also a proof that a forked command does what a started one does."""
    command = train_command(tiny_data, tiny_checkpoint, **WITH_VALIDATION)
    command_server.run(command, tmp_path / "whole")
    kill_after_a_save(command, tmp_path / "killed", update=8)
    at_kill = load(tmp_path / "killed" / LAST)["extra_state"]
    assert 0 < at_kill["train_iterator"]["group_dro"]["n_moves"]
    run(command, tmp_path / "killed")
    assert q_of_every_move(tmp_path / "killed") == q_of_every_move(tmp_path / "whole")
    assert len(q_of_every_move(tmp_path / "whole")) > 6
    assert_same_training_state(tmp_path / "killed" / LAST, tmp_path / "whole" / LAST)


# --- other ways of resuming ---


def test_reset_dataloader_restarts_q_and_says_so_loudly(
    tiny_data, tiny_checkpoint, tmp_path, command_server
):
    options = WITH_VALIDATION | {"optimization__max_update": 12}
    command_server.run(train_command(tiny_data, tiny_checkpoint, **options), tmp_path)
    again = command_server.run(
        train_command(
            tiny_data, tiny_checkpoint, checkpoint__reset_dataloader="true",
            **options | {"optimization__max_update": 13},
        ),
        tmp_path,
    )
    assert "THE GROUP WEIGHTS q START AGAIN" in again.stdout
    state = load(tmp_path / LAST)["extra_state"]["train_iterator"]
    assert state["group_dro"]["n_moves"] <= 1


@pytest.mark.parametrize("first", ["ctc", "group_dro_ctc"])
def test_an_erm_run_can_be_the_start_of_ctc_dro(
    tiny_data, tiny_checkpoint, tmp_path, command_server, first
):
    erm = {"criterion___name": first, "optimization__max_update": 4}
    command = train_command(tiny_data, tiny_checkpoint, **erm)
    own = ("objective", "step_size", "smoothing")
    if first == "ctc":
        command = [a for a in command if not a.startswith(tuple(f"criterion.{o}=" for o in own))]
    else:
        command = [a.replace("objective=ctc_dro", "objective=erm") for a in command]
    command_server.run(command, tmp_path / "erm")
    warm = command_server.run(
        train_command(
            tiny_data, tiny_checkpoint,
            checkpoint__finetune_from_model=tmp_path / "erm" / LAST,
            optimization__max_update=3,
        ),
        tmp_path / "dro",
    )
    assert "loading pretrained model" in warm.stdout
    saved = load(tmp_path / "dro" / LAST)
    assert saved["optimizer_history"][-1]["num_updates"] == 3
    assert saved["extra_state"]["train_iterator"]["group_dro"]["groups"] == ["deu", "ell", "fra"]


@pytest.mark.parametrize("accept", ["false", "true"])
def test_no_run_changes_its_objective_half_way(
    tiny_data, tiny_checkpoint, tmp_path, command_server, accept
):
    """Nor what a group is; accepting other data does not accept another objective."""
    options = {"optimization__max_update": 3, "criterion__objective": "erm"}
    command_server.run(train_command(tiny_data, tiny_checkpoint, **options), tmp_path)
    before = (tmp_path / LAST).read_bytes()
    for option, then, now in (
        ("criterion.objective", "erm", "ctc_dro"),
        ("task.group_by", "language", "language+corpus"),
    ):
        data = tiny_data
        if option == "task.group_by":
            data = copy_of(tiny_data, tmp_path / "data")
            for split in ("train", "valid", "test"):
                n = len((data / f"{split}.lang").read_text().splitlines())
                (data / f"{split}.corpus").write_text("one\n" * n)
        changed = options | {
            "optimization__max_update": 5, option.replace(".", "__"): now,
            "task__accept_changed_data": accept,
        }
        again = command_server.run(
            train_command(data, tiny_checkpoint, **changed), tmp_path, check=False
        )
        assert again.returncode == 2, again.stdout[-2000:]
        *_, sentence = again.stdout.rstrip().splitlines()
        assert sentence.startswith(f"error: The checkpoint was trained with {option}={then} ")
        assert "checkpoint.finetune_from_model" in sentence and "hydra.run.dir" in sentence
    assert (tmp_path / LAST).read_bytes() == before


def test_another_objective_may_take_the_weights_with_everything_else_reset(
    tiny_data, tiny_checkpoint, tmp_path, command_server
):
    """And the options of an update rule may change in a run."""
    erm = {"optimization__max_update": 3, "criterion__objective": "erm"}
    command_server.run(train_command(tiny_data, tiny_checkpoint, **erm), tmp_path / "erm")
    reset = {f"checkpoint__reset_{part}": "true"
             for part in ("optimizer", "lr_scheduler", "meters", "dataloader")}
    dro = {"optimization__max_update": 2}
    command_server.run(
        train_command(
            tiny_data, tiny_checkpoint, checkpoint__restore_file=tmp_path / "erm" / LAST,
            **reset, **dro,
        ),
        tmp_path / "dro",
    )
    changed = {"criterion__step_size": 0.02, "optimization__max_update": 4}
    command_server.run(train_command(tiny_data, tiny_checkpoint, **changed), tmp_path / "dro")
    assert load(tmp_path / "dro" / LAST)["optimizer_history"][-1]["num_updates"] == 4


def test_a_finished_run_started_again_stays_as_it_is(
    tiny_data, tiny_checkpoint, tmp_path, command_server
):
    command = train_command(tiny_data, tiny_checkpoint, optimization__max_update=3)
    command_server.run(command, tmp_path)
    last = tmp_path / LAST
    before = last.read_bytes()
    assert "nothing to do" in command_server.run(command, tmp_path).stdout
    assert last.read_bytes() == before


def test_stock_fairseq_trains_a_finished_run_further(
    tiny_data, tiny_checkpoint, tmp_path, command_server
):
    """What survival/finished_run.py answers; red once it can be deleted."""
    command = train_command(tiny_data, tiny_checkpoint, optimization__max_update=3)
    command_server.run(command, tmp_path)
    command_server.run(command, tmp_path, FAIRSEQ_DRO_COMPAT="-finished_run")
    assert load(tmp_path / LAST)["optimizer_history"][-1]["num_updates"] == 4


def test_changed_languages_and_workers_are_refused_and_accepted_when_told(
    tiny_data, tiny_checkpoint, tmp_path, command_server
):
    """ell goes, nld comes, and a second worker with them; then the option is left out again."""
    def change(rows: list[list[str]]) -> list[list[str]]:
        rows = [row for row in rows if row[2] != "ell"]
        return [[*row[:2], "nld" if i < 3 else row[2]] for i, row in enumerate(rows)]

    data, folder = copy_of(tiny_data, tmp_path / "data"), tmp_path / "run"
    gloo = {key: NOISY[key] for key in NOISY if key.startswith("distributed_training")}

    def resume(workers: int, max_update: int, **options: Any) -> subprocess.CompletedProcess[str]:
        command = train_command(
            data, tiny_checkpoint, **gloo, **options, optimization__max_update=max_update,
            distributed_training__distributed_world_size=workers, criterion__step_size=0.002,
        )
        return command_server.run(command, folder, workers=workers, check=False)

    assert resume(1, 8).returncode == 0
    before = load(folder / LAST)["extra_state"]["train_iterator"]
    for split in ("train", "valid"):
        change_lines(data, change, split)
    refused = resume(2, 10)
    assert refused.returncode == 2
    for words in ("ell had 42 utterances and is gone", "nld is new, with 3 utterances",
                  "number of workers was 1 and is 2", "task.accept_changed_data=true"):
        assert words in refused.stdout
    assert resume(2, 10, task__accept_changed_data="true").returncode == 0
    after = load(folder / LAST)["extra_state"]["train_iterator"]["group_dro"]
    assert after["groups"] == ["deu", "fra", "nld"]
    assert after["n_moves"] >= before["group_dro"]["n_moves"] > 0
    assert sum(after["q"]) == pytest.approx(1, abs=1e-12)
    assert resume(2, 12).returncode == 0
    assert load(folder / LAST)["optimizer_history"][-1]["num_updates"] == 12
