"""Two commands in one run folder, and starts that come to nothing."""

from __future__ import annotations

import copy
import os
import signal
from types import SimpleNamespace

import hydra.core.utils
import pytest
from fairseq import checkpoint_utils
from fairseq.dataclass.initialize import hydra_init
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.experimental import initialize_config_dir
from hydra.types import RunMode
from omegaconf import OmegaConf

from fairseq_dro.errors import UserError
from fairseq_dro.runs.progress import Progress, write_progress
from fairseq_dro.survival.folder_lock import take
from fairseq_dro.survival.lock_file import LOCK_FILE, look
from fairseq_dro.training import one_writer
from tests.checkpoints import load
from tests.killed_commands import at
from tests.stock_commands import BIN, REPOSITORY, train_command

WORDS = {"named": "here", "instead": "another"}


@pytest.fixture(scope="module")
def demo():
    """The whole configuration of the demo recipe, with hydra's part of it."""
    GlobalHydra.instance().clear()
    hydra_init("demo")
    with initialize_config_dir(config_dir=str(REPOSITORY / "examples/xlsr_dro/config")):
        yield GlobalHydra.instance().hydra.compose_config(
            "demo", ["task.data=d", "model.w2v_path=w", "hydra.job.name=hydra_train"],
            run_mode=RunMode.RUN,
        )
    HydraConfig.instance().cfg = None


@pytest.fixture
def compose(demo):
    def composed(folder, **options):
        config = copy.deepcopy(demo)
        OmegaConf.set_readonly(config, False)
        config.hydra.run.dir = str(folder)
        for name, value in options.items():
            OmegaConf.update(config, name.replace("__", "."), value, merge=False)
        return config

    return composed


def start(config, then=lambda cfg: None):
    return hydra.core.utils.run_job(config, then, "hydra.run.dir", None, configure_logging=False)


def everything_in(folder):
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != LOCK_FILE]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_folder_in_use_refuses_a_second_command_before_hydra_writes(tmp_path, compose):
    folder = tmp_path / "run"
    start(compose(folder))
    before = everything_in(folder)
    assert before and look(folder) is None
    lock = take(folder, **WORDS)
    write_progress(folder, Progress(update=34))
    before = everything_in(folder)
    says = r"in use by process .*, update 34\).* hydra.run.dir=\.\.\."
    with pytest.raises(UserError, match=says):
        start(compose(folder, optimization__max_update=7))
    assert everything_in(folder) == before
    lock.release()


def test_it_is_held_while_the_command_runs_and_free_afterwards(tmp_path, compose):
    seen = []
    start(compose(tmp_path), lambda cfg: seen.append(look(tmp_path)))
    assert seen[0].is_alive and seen[0].holder.pid == os.getpid()
    assert look(tmp_path) is None


@pytest.mark.parametrize(
    ("error", "left"),
    [(UserError("a mistake"), []), (KeyboardInterrupt(), []), (SystemExit(2), []),
     (RuntimeError("a defect"), ["failed_start.log"])],
)  # fmt: skip
def test_a_failed_start_leaves_no_run_behind(tmp_path, compose, error, left):
    folder = tmp_path / "runs" / "new" / "run"

    def fails(cfg):
        (folder / "hydra_train.log").write_text("what went wrong")
        (folder / "run.jsonl").write_text("{}")
        (folder / "checkpoints").mkdir()
        raise error

    config = compose(folder)
    with pytest.raises(type(error)):
        start(config, fails)
    if left:
        assert [path.name for path in folder.iterdir()] == left
    else:
        assert os.listdir(tmp_path) == []


def test_a_failed_start_in_an_old_run_puts_its_options_back(tmp_path, compose):
    folder = tmp_path / "run"

    def trains(cfg):
        write_progress(folder, Progress(update=1))

    start(compose(folder), trains)
    (folder / "hydra_train.log").write_text("the log of the run")
    before = everything_in(folder)

    def fails(cfg):
        raise UserError("other data")

    with pytest.raises(UserError):
        start(compose(folder, criterion__objective="erm"), fails)
    assert everything_in(folder) == before


def test_a_run_that_fails_after_an_update_stays_whole(tmp_path, compose):
    folder = tmp_path / "run"

    def trains_and_fails(cfg):
        write_progress(folder, Progress(update=1))
        raise UserError("out of memory")

    with pytest.raises(UserError):
        start(compose(folder), trains_and_fails)
    assert {"progress.json", ".hydra/config.yaml"} <= everything_in(folder).keys()


def test_workers_that_do_not_lead_write_nothing_before_they_meet_the_leader(
    tmp_path, compose, monkeypatch
):
    for name, value in (("MASTER_ADDR", "x"), ("MASTER_PORT", "1"), ("WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RANK", "1")
    lock = take(tmp_path, **WORDS)  # the leader's, or another run's: then the leader stops them
    start(compose(tmp_path))
    assert os.listdir(tmp_path) == [LOCK_FILE]
    lock.release()


RANK_1 = {"MASTER_ADDR": "x", "MASTER_PORT": "1", "WORLD_SIZE": "2", "RANK": "1"}


@pytest.mark.parametrize(
    ("distributed", "environment", "expected"),
    [
        ({}, {}, True),
        ({"distributed_rank": 0}, {}, True),
        ({}, RANK_1, False),
        ({}, {**RANK_1, "RANK": "0"}, True),
        ({}, {"RANK": "1"}, True),
        ({"distributed_port": 29500}, {"SLURM_PROCID": "3"}, False),
        ({"distributed_port": 29500}, {"SLURM_PROCID": "0"}, True),
        ({"distributed_port": -1}, {"SLURM_PROCID": "3"}, True),
        ({"distributed_init_method": "tcp://a:1", "distributed_rank": 8}, {}, False),
        ({"distributed_init_method": "tcp://a:1", "distributed_rank": 0}, RANK_1, True),
    ],
)
def test_the_process_that_leads_is_that_of_global_rank_0(distributed, environment, expected):
    assert one_writer.leads(OmegaConf.create(distributed), environment) is expected


def test_where_only_a_user_dir_names_the_plugin_the_folder_is_taken_before_the_checkpoint(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(one_writer.atexit, "register", lambda close: closing.append(close))
    closing = []
    cfg = OmegaConf.create({
        "task": {"_name": "language_grouped_audio_finetuning", "history_dir": "."},
        "optimization": {}, "checkpoint": {"save_dir": str(tmp_path.parent / "elsewhere")},
    })  # fmt: skip
    trainer = SimpleNamespace(cfg=cfg, data_parallel_world_size=1)
    lock = take(tmp_path, **WORDS)
    loading = one_writer._taking_what_is_left(lambda cfg, trainer: "loaded")
    with pytest.raises(UserError, match="in use"):
        loading(cfg.checkpoint, trainer)
    lock.release()
    assert loading(cfg.checkpoint, trainer) == loading(cfg.checkpoint, trainer) == "loaded"
    assert look(tmp_path).is_alive and look(tmp_path.parent / "elsewhere").is_alive
    closing[0]()
    assert look(tmp_path) is None and look(tmp_path.parent / "elsewhere") is None
    assert hasattr(checkpoint_utils.load_checkpoint, "__wrapped__")


def test_real_commands_refuse_a_folder_in_use_and_resume_at_once_after_a_kill(
    tiny_data, tiny_checkpoint, command_server, tmp_path
):
    """With loader processes, which outlive a trainer that is killed alone."""
    command = train_command(
        tiny_data, tiny_checkpoint, dataset__num_workers=1, checkpoint__save_interval_updates=1
    )
    without_hydra = [
        str(BIN / "fairseq-train"), str(tiny_data), "--task", "language_grouped_audio_finetuning",
        "--normalize", "--criterion", "group_dro_ctc", "--arch", "wav2vec_ctc", "--w2v-path",
        str(tiny_checkpoint), "--cpu",
    ]  # fmt: skip
    lock = take(tmp_path, **WORDS)
    for refused_command in (command, without_hydra):
        refused = command_server.run(refused_command, tmp_path, check=False)
        *_, sentence = refused.stdout.rstrip().splitlines()
        assert refused.returncode == 2 and sentence.startswith("error: ")
        assert "is in use by process" in sentence and "Traceback" not in refused.stdout
    assert not (tmp_path / "checkpoints").exists()
    lock.release()
    died = command_server.run(command, tmp_path, die=at("update_ends", 2))
    assert died.returncode == -signal.SIGKILL and look(tmp_path).is_alive is False
    command_server.run(command, tmp_path)
    last = load(tmp_path / "checkpoints/checkpoint_last.pt")
    assert last["optimizer_history"][-1]["num_updates"] == 6
    assert look(tmp_path) is None


def test_two_workers_make_one_writer(tiny_data, tiny_checkpoint, command_server, tmp_path):
    command = train_command(
        tiny_data, tiny_checkpoint, optimization__max_update=1,
        distributed_training__distributed_world_size=2,
        distributed_training__distributed_backend="gloo",
        distributed_training__ddp_backend="legacy_ddp",
    )  # fmt: skip
    command_server.run(command, tmp_path, workers=2)
    assert look(tmp_path) is None
    lock = take(tmp_path, **WORDS)
    refused = command_server.run(command, tmp_path, workers=2, check=False)
    assert refused.returncode == 2 and "is in use by process" in refused.stdout
    lock.release()
