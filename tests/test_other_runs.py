"""Other people's fairseq: its own tasks do with the plugin installed what they do without it."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from fairseq_dro import own_runs
from fairseq_dro.demo.random_checkpoint import write_random_checkpoint
from fairseq_dro.patches import AFTER_FAIRSEQ
from tests.checkpoints import assert_same_training_state, load
from tests.killed_commands import CommandServer, at
from tests.stock_commands import BIN, stock_train_command

NEW_TORCH = ("safe_globals", "trusted_broadcast")
"""What a new torch needs: without it nothing could be resumed that is to be compared."""
LAST = "checkpoints/checkpoint_last.pt"


@pytest.fixture(scope="module")
def stock_server() -> Iterator[CommandServer]:
    """As ``command_server``, without anything that this package finds better."""
    reasons = [module.rpartition(".")[2] for module in AFTER_FAIRSEQ]
    off = [f"-{reason}" for reason in reasons if reason not in NEW_TORCH]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAIRSEQ_DRO_COMPAT", ",".join(off))
        server = CommandServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def translation(command_server, tmp_path_factory) -> list[str]:
    """``fairseq-train`` of a translation model of 3 kB: letters into the same letters."""
    folder = tmp_path_factory.mktemp("translation")
    rng = np.random.default_rng(0)
    for split, n in (("train", 40), ("valid", 8)):
        lines = "".join(" ".join(rng.choice(list("abcd"), 5)) + "\n" for _ in range(n))
        for language in ("xx", "yy"):
            (folder / f"{split}.{language}").write_text(lines)
    command_server.run(
        [BIN / "fairseq-preprocess", "--source-lang", "xx", "--target-lang", "yy", "--trainpref",
         folder / "train", "--validpref", folder / "valid", "--destdir", folder / "data"], folder,
    )
    sizes = [
        f"--{side}-{name}={value}" for side in ("encoder", "decoder")
        for name, value in (("embed-dim", 8), ("ffn-embed-dim", 8), ("layers", 1),
                            ("attention-heads", 2))
    ]
    return [
        str(BIN / "fairseq-train"), str(folder / "data"), "--task=translation",
        "--arch=transformer", *sizes, "--max-tokens=60", *OF_BOTH,
    ]


OF_BOTH = [
    "--optimizer=adam", "--lr=0.01", "--max-update=4", "--save-interval-updates=2",
    "--no-epoch-checkpoints", "--seed=1", "--log-format=json", "--log-interval=1", "--cpu",
    "--num-workers=0",
]


@pytest.fixture(scope="module")
def stock_checkpoint(tmp_path_factory) -> Path:
    """One that fairseq 0.12.2 loads by itself."""
    path = tmp_path_factory.mktemp("stock_checkpoint") / "tiny.pt"
    write_random_checkpoint(path, origin="fairseq_0.12.2")
    return path


@pytest.fixture(scope="module")
def speech(tiny_data: Path, stock_checkpoint: Path) -> list[str]:
    """``fairseq-train`` of ``audio_finetuning`` with ``ctc``."""
    return [
        str(BIN / "fairseq-train"), str(tiny_data), "--task=audio_finetuning", "--labels=ltr",
        "--normalize", "--arch=wav2vec_ctc", f"--w2v-path={stock_checkpoint}", "--criterion=ctc",
        "--max-tokens=160000", *OF_BOTH,
    ]


class Outcome(NamedTuple):
    """What a command did, as far as another folder and another day do not change it."""

    status: int
    last_line: str
    files: list[str]
    folder: Path


@pytest.fixture
def compare(command_server, stock_server, tmp_path):
    """Runs a command on both sides, asserts that both do the same and returns the first's.

    ``change`` does something to the folder of either side before.
    """

    def on(server: CommandServer, name: str, command: list, **how: Any) -> Outcome:
        folder = tmp_path / name
        answer = server.run(command, folder, check=False, **how)
        # the hint that stands below hydra's answers is not what a command ended with
        lines = [one for one in answer.stdout.splitlines() if one and "HYDRA_FULL" not in one]
        last = re.sub(r"\d[\d.:,]*", "N", lines[-1].replace(str(folder), "FOLDER"))
        files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
        return Outcome(answer.returncode, last, files, folder)

    def both(
        *command: str, change: Callable[[Path], Any] | None = None, readable: bool = True,
        **how: Any,
    ) -> Outcome:
        if change is not None:
            for name in ("with", "without"):
                change(tmp_path / name)
        ours = on(command_server, "with", command, **how)
        stock = on(stock_server, "without", command, **how)
        assert ours[:3] == stock[:3]
        if readable and (ours.folder / LAST).exists():
            assert_same_training_state(ours.folder / LAST, stock.folder / LAST)
        return ours

    return both


def updates_in(folder: Path) -> int:
    return load(folder / LAST)["optimizer_history"][-1]["num_updates"]


@pytest.mark.parametrize("kind", ["translation", "speech"])
def test_the_life_of_a_run_is_stock(kind, compare, request):
    """A file that is not there is started without, a run that is done makes one update more, a
    run without its last file starts over, with another optimizer too (fairseq's own test of its
    optimizers does that), and what is damaged is met by fairseq."""
    command = request.getfixturevalue(kind)
    assert compare(*command, "--restore-file=nowhere.pt").status == 0
    assert updates_in(compare(*command, "--max-update=5").folder) == 5
    assert updates_in(compare(*command, "--max-update=5").folder) == 6
    if kind == "speech":  # what follows knows no model
        return
    other = [*command, "--optimizer=adagrad"]
    assert updates_in(compare(*other, change=lambda folder: (folder / LAST).unlink()).folder) == 4
    damaged = compare(*other, readable=False, change=cut_last)
    assert damaged.status == 1 and "corrupt" not in " ".join(damaged.files)


def cut_last(folder: Path) -> None:
    (folder / LAST).write_bytes((folder / LAST).read_bytes()[:1000])


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_a_signal_does_what_it_does_to_fairseq(translation, compare, number):
    ended = compare(*translation, die=at("update_ends", 3, action=number))
    assert updates_in(ended.folder) == 2
    if number == "SIGINT":
        assert ended.last_line == "KeyboardInterrupt" and ended.status == 1
    else:
        assert ended.status == -getattr(signal, number)


@pytest.mark.parametrize(
    "options",
    [
        ["--finetune-from-model=nowhere.pt"],
        ["--write-checkpoints-asynchronously"],
        ["--lr-scheduler=tri_stage", "--phase-ratio=[0.1,0.5,0.4]", "--max-update=2"],
    ],
    ids=lambda options: options[0],
)
def test_what_we_refuse_is_not_refused(translation, compare, options):
    ended = compare(*translation, *options)
    assert not ended.last_line.startswith("error: ") and ended.status != 2


def test_two_workers_are_stock(translation, compare):
    options = ["world-size=2", "backend=gloo"]
    several = [*(f"--distributed-{option}" for option in options), "--ddp-backend=legacy_ddp"]
    assert compare(*translation, *several, workers=2).status == 0


def test_a_crash_file_is_resumed_from(translation, compare):
    failed = compare(*translation, die=at("micro_batch_ends", 2, action="EIO"))
    assert failed.status == 1 and "checkpoints/crash.pt" in failed.files
    assert compare(*translation, "--restore-file=checkpoints/crash.pt").status == 0


def test_an_error_while_saving_is_met_as_fairseq_meets_it(translation, compare):
    """It renames the spoilt file; a whole one would be one that it did not write."""
    compare(*translation, readable=False, die=at("record_is_written", 5, action="EIO"))


def test_a_pretrained_file_of_the_wrong_kind_is_answered_by_fairseq(speech, compare, tmp_path):
    torch.save({"embed.weight": torch.zeros(2)}, tmp_path / "other.pt")
    ended = compare(*speech, f"--w2v-path={tmp_path}/other.pt")
    assert ended.last_line == "KeyError: 'best_loss'"


def test_a_hydra_command_answers_mistakes_and_ctrl_c_as_it_did(
    tiny_data, stock_checkpoint, compare, tmp_path
):
    command = stock_train_command(tiny_data, stock_checkpoint, dataset__max_tokens=160_000)
    interrupted = compare(*command, die=at("update_ends", 1, action="SIGINT"))
    assert interrupted.last_line == "KeyboardInterrupt"
    (tmp_path / "stock.yaml").write_text("# @package _group_\ntask:\n  _name: audio_finetuning\n")
    recipe = ["--config-dir", str(tmp_path), "--config-name", "stock"]
    mistaken = compare(command[0], *recipe, *command[1:], "dataset.max_token=3")
    assert "did you mean" not in mistaken.last_line and mistaken.status == 1


# --- fairseq's own tests, by their kinds ----------------------------------------------------------


def test_saving_asynchronously_reaches_fairseqs_writer(monkeypatch, tmp_path):
    from fairseq import checkpoint_utils

    opened = []
    monkeypatch.setattr(
        checkpoint_utils.PathManager, "opena", lambda path, mode: opened.append(path) or open(
            path, mode)
    )
    checkpoint_utils.torch_persistent_save({}, str(tmp_path / "one.pt"), async_write=True)
    assert opened == [str(tmp_path / "one.pt")]


def test_a_configuration_of_many_workers_needs_no_process_group(tmp_path):
    """fairseq's tests of ``load_checkpoint`` hand it a mock in the place of a trainer."""
    from unittest.mock import MagicMock

    from fairseq import checkpoint_utils
    from fairseq.dataclass.configs import CheckpointConfig
    from omegaconf import OmegaConf

    trainer = MagicMock()
    trainer.data_parallel_world_size = 8
    trainer.checkpoint_suffix = ""
    trainer.load_checkpoint.return_value = None
    cfg = OmegaConf.structured(CheckpointConfig(save_dir=str(tmp_path)))
    checkpoint_utils.load_checkpoint(cfg, trainer)
    assert trainer.load_checkpoint.call_args[0][0] == f"{tmp_path}/checkpoint_last.pt"


TIMED_OUT = """
import signal, time, torch
from fairseq.distributed import DistributedTimeoutWrapper
print("handler", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
try:
    DistributedTimeoutWrapper(torch.nn.Identity(), timeout=0.05)(torch.zeros(1))
    time.sleep(5)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("switch", ["1", "startup"])
def test_a_process_that_uses_nothing_of_ours_gets_keyboard_interrupt(
    command_server, tmp_path, switch
):
    """By the signal of fairseq's time-out wrapper, with the plugin registered and without."""
    command = [sys.executable, "-c", TIMED_OUT]
    said = command_server.run(command, tmp_path, FAIRSEQ_DRO_COMPAT=switch).stdout
    assert "handler True" in said and "interrupted" in said


# --- whose run it is ------------------------------------------------------------------------------


def test_a_class_derived_from_one_of_ours_is_ours():
    from fairseq.tasks.audio_finetuning import AudioFinetuningTask

    from fairseq_dro.tasks.language_grouped_audio_finetuning import (
        LanguageGroupedAudioFinetuningTask,
    )

    class Mine(LanguageGroupedAudioFinetuningTask):
        pass

    class Trainer:
        def __init__(self, kind: type) -> None:
            self.task = kind.__new__(kind)

    assert own_runs.has_own_part(Trainer(Mine))
    assert not own_runs.has_own_part(Trainer(AudioFinetuningTask))


def test_a_run_is_over_when_its_command_is():
    assert not own_runs.current()
    with own_runs.own():
        assert own_runs.current()
    assert not own_runs.current()
