"""Pre-trained and fine-tuned files: what loads, here and in stock fairseq, and that it is safe."""

from __future__ import annotations

import logging
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import fairseq_dro
from fairseq_dro.demo import random_checkpoint
from fairseq_dro.demo.random_checkpoint import write_random_checkpoint
from fairseq_dro.errors import UserError
from tests.killed_commands import CommandServer
from tests.pretrained_files import build, load, write_changed
from tests.stock_commands import stock_train_command, train_command

FIRST_FOREIGN_KEY = {
    "xlsr2_300m": "multiple_train_files",
    "xlsr_53": "eval_wer",
    "main_branch": "multi_corpus_keys",
}
LOAD_THEM_ALL = """
import sys
from fairseq import checkpoint_utils
for path in sys.argv[1:]:
    try:
        checkpoint_utils.load_model_ensemble_and_task([path])
        print("loaded", path)
    except Exception as error:
        print(type(error).__name__ + ": " + str(error).splitlines()[0])
"""


@pytest.fixture(scope="module")
def stock_run(
    pretrained_files: dict[str, Path],
    tiny_data: Path,
    tmp_path_factory: pytest.TempPathFactory,
    command_server: CommandServer,
) -> Path:
    """Run folder of three updates by fairseq alone: its own task and criterion, no plugin."""
    folder = tmp_path_factory.mktemp("stock_run")
    command = stock_train_command(
        tiny_data, pretrained_files["fairseq_0.12.2"], optimization__max_update="3"
    )
    command_server.run(command, folder, FAIRSEQ_DRO_COMPAT="startup")
    return folder


# --- the writer -----------------------------------------------------------------------------------


def test_a_random_checkpoint_has_the_23_foreign_keys_of_xlsr2_300m(
    pretrained_files: dict[str, Path]
) -> None:
    from fairseq.tasks.audio_pretraining import AudioPretrainingConfig

    state = torch.load(pretrained_files["xlsr2_300m"])
    assert list(state) == ["args", "cfg", "model", "optimizer_history", "extra_state"]
    assert state["args"] is None
    assert state["cfg"]["task"]["normalize"] is True
    foreign = set(state["cfg"]["task"]) - set(AudioPretrainingConfig.__dataclass_fields__)
    assert len(foreign) == 23
    assert {"multiple_train_files", "train_subset", "mask_channel_min_space"} <= foreign


def test_the_full_shape_has_317_million_parameters(tmp_path: Path) -> None:
    one, two = (
        write_random_checkpoint(tmp_path / "wide.pt", shape="xlsr_300m", encoder_layers=layers)
        for layers in (1, 2)
    )
    assert one + 23 * (two - one) == 317_390_592


def test_random_weights_are_a_function_of_the_seed(tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_random_checkpoint(tmp_path / name, seed=seed)
    a, b, c = (torch.load(tmp_path / name)["model"] for name in "abc")
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not all(torch.equal(a[key], c[key]) for key in a)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_random_checkpoint_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    for wrong in ({"shape": "giant"}, {"origin": "hubert"}, {"encoder_depth": 3}):
        with pytest.raises(UserError, match=str(list(wrong.values())[0]).replace("3", "depth")):
            write_random_checkpoint(tmp_path / "x.pt", **wrong)


# --- foreign task keys ----------------------------------------------------------------------------


def test_foreign_keys_of_every_origin_stop_loading_without_the_patch(
    pretrained_files: dict[str, Path], tmp_path: Path, command_server: CommandServer
) -> None:
    command = [sys.executable, "-c", LOAD_THEM_ALL, *map(str, pretrained_files.values())]
    output = command_server.run(command, tmp_path, FAIRSEQ_DRO_COMPAT="-foreign_task_keys").stdout
    for key in FIRST_FOREIGN_KEY.values():
        assert f"ConfigKeyError: Key '{key}' not in 'AudioPretrainingConfig'" in output
    assert f"loaded {pretrained_files['fairseq_0.12.2']}" in output


@pytest.mark.parametrize("origin", list(random_checkpoint.ORIGINS))
def test_a_pretrained_file_of_every_origin_loads(
    pretrained_files: dict[str, Path], origin: str
) -> None:
    model = load(pretrained_files[origin])
    weights = torch.load(pretrained_files[origin])["model"]
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())


def test_keys_left_out_are_logged_once_by_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fairseq_dro.register()
    write_random_checkpoint(tmp_path / "xlsr_53.pt", origin="xlsr_53")
    with caplog.at_level(logging.INFO, logger="fairseq_dro"):
        load(tmp_path / "xlsr_53.pt")
        load(tmp_path / "xlsr_53.pt")
    told = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert len(told) == 1
    assert "left out 5 task settings" in told[0] and "eval_wer_tokenizer" in told[0]
    assert "normalize" not in told[0]


@pytest.mark.parametrize("origin", list(random_checkpoint.ORIGINS))
def test_what_fine_tuning_will_store_is_free_of_foreign_keys_and_builds_again(
    pretrained_files: dict[str, Path], tiny_data: Path, origin: str
) -> None:
    from fairseq.tasks import TASK_DATACLASS_REGISTRY
    from omegaconf import OmegaConf

    model = build(pretrained_files[origin], tiny_data)
    stored = OmegaConf.to_container(model.cfg.w2v_args, resolve=True, enum_to_str=True)
    known = TASK_DATACLASS_REGISTRY["audio_pretraining"].__dataclass_fields__
    assert set(stored["task"]) <= set(known)
    again = build(Path("not read"), tiny_data, w2v_args=stored)  # as decoding does
    again.load_state_dict(model.state_dict(), strict=True)


def test_a_fine_tuned_checkpoint_carries_no_foreign_keys(fine_tuned: Path) -> None:
    state = torch.load(fine_tuned / "checkpoints" / "checkpoint_last.pt")
    stored = state["cfg"]["model"]["w2v_args"]["task"]
    assert stored["_name"] == "audio_pretraining" and stored["normalize"] is True
    foreign = random_checkpoint.foreign_task_keys("xlsr2_300m", random_checkpoint.TINY)
    assert not set(stored) & set(foreign)


def test_a_fine_tuned_checkpoint_decodes_with_its_own_weights(fine_tuned: Path) -> None:
    path = fine_tuned / "checkpoints" / "checkpoint_last.pt"
    weights = torch.load(path)["model"]
    model = load(path)
    assert list(model.state_dict()) == list(weights)
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())


def test_a_file_that_another_fairseq_fine_tuned_decodes(stock_run: Path, tmp_path: Path) -> None:
    """Its own task section and that of the pre-trained model inside have foreign keys."""

    def change(state: dict[str, Any]) -> None:
        foreign = random_checkpoint.foreign_task_keys("main_branch", {})
        state["cfg"]["task"].update(foreign)
        state["cfg"]["model"]["w2v_args"]["task"].update(foreign)
        state["cfg"]["model"]["unknown_to_0_12_2"] = 1

    last = stock_run / "checkpoints" / "checkpoint_last.pt"
    write_changed(tmp_path / "main_branch.pt", last, change)
    expected = load(last).state_dict()
    actual = load(tmp_path / "main_branch.pt").state_dict()
    assert all(torch.equal(actual[key], expected[key]) for key in expected)


def test_fine_tuning_resumes_from_its_own_checkpoint(
    fine_tuned: Path,
    pretrained_files: dict[str, Path],
    tiny_data: Path,
    tmp_path: Path,
    command_server: CommandServer,
) -> None:
    shutil.copytree(fine_tuned, tmp_path / "run")
    command = train_command(tiny_data, pretrained_files["xlsr2_300m"], optimization__max_update="5")
    output = command_server.run(command, tmp_path / "run").stdout
    assert "Loaded checkpoint" in output and "@ 3 updates" in output
    state = torch.load(tmp_path / "run" / "checkpoints" / "checkpoint_last.pt")
    assert state["optimizer_history"][-1]["num_updates"] == 5


def test_fine_tuning_starts_from_the_weights_and_with_the_options_asked_for(
    pretrained_files: dict[str, Path], tiny_data: Path
) -> None:
    options = {"mask_prob": 0.31, "feature_grad_mult": 0.0, "layerdrop": 0.17, "dropout": 0.23}
    model = build(pretrained_files["xlsr2_300m"], tiny_data, **options).w2v_encoder.w2v_model
    weights = torch.load(pretrained_files["xlsr2_300m"])["model"]
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    assert (model.mask_prob, model.feature_grad_mult) == (0.31, 0.0)
    assert (model.encoder.layerdrop, model.encoder.dropout) == (0.17, 0.23)


# --- fairseq without the plugin -------------------------------------------------------------------

# Python 3.11 and torch 2.6 need two amendments of their own before fairseq runs at all; they are
# made here by hand, so that nothing of the plugin is loaded.
READ_WITHOUT_THE_PLUGIN = """
import dataclasses, sys
if sys.version_info >= (3, 11):
    get_field = dataclasses._get_field
    def lenient(cls, name, *rest):
        default = getattr(cls, name, None)
        default = getattr(default, "default", default)
        if dataclasses.is_dataclass(default) and type(default).__hash__ is None:
            type(default).__hash__ = object.__hash__
        return get_field(cls, name, *rest)
    dataclasses._get_field = lenient
import torch
from fairseq import checkpoint_utils, tasks
from fairseq.data import Dictionary
from omegaconf import OmegaConf
torch.serialization.add_safe_globals([Dictionary])
checkpoint, data, audio, logits = sys.argv[1:]
task = tasks.setup_task(OmegaConf.create(
    {"_name": "audio_finetuning", "data": data, "labels": "ltr", "normalize": True}))
(model,), _, _ = checkpoint_utils.load_model_ensemble_and_task([checkpoint], task=task)
with torch.no_grad():
    output = model.eval()(source=torch.load(audio), padding_mask=None)["encoder_out"]
torch.save(output, logits)
loaded = [name for name in sys.modules if name.split(".")[0] == "fairseq_dro"]
assert not loaded, loaded
assert type(model).__module__ == "fairseq.models.wav2vec.wav2vec2_asr"
"""


def test_a_fine_tuned_checkpoint_loads_in_stock_fairseq_without_the_plugin(
    fine_tuned: Path, tiny_data: Path, tmp_path: Path, command_server: CommandServer
) -> None:
    """Decoding names its task (``task=audio_finetuning``), as fairseq's infer does."""
    checkpoint = fine_tuned / "checkpoints" / "checkpoint_last.pt"
    audio = torch.randn(2, 16_000)
    torch.save(audio, tmp_path / "audio.pt")
    arguments = [checkpoint, tiny_data, tmp_path / "audio.pt", tmp_path / "logits.pt"]
    command = [sys.executable, "-c", READ_WITHOUT_THE_PLUGIN, *map(str, arguments)]
    command_server.run(command, tmp_path, FAIRSEQ_DRO_COMPAT="0")
    with torch.no_grad():
        expected = load(checkpoint).eval()(source=audio, padding_mask=None)["encoder_out"]
    assert torch.allclose(torch.load(tmp_path / "logits.pt"), expected, atol=1e-5)


# --- safe loading ---------------------------------------------------------------------------------


class _Touch:
    """Unpickled by an unsafe loader, it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.path}",)


def _write_malicious(path: Path, layout: str, touched: Path, good: Path) -> None:
    state = torch.load(good)
    state["extra_state"]["surprise"] = _Touch(touched)
    if layout == "pickle":
        path.write_bytes(pickle.dumps(state["extra_state"], protocol=4))
    else:
        torch.save(
            state,
            path,
            _use_new_zipfile_serialization=layout != "legacy",
            pickle_protocol=4 if layout == "zip, protocol 4" else 2,
        )


@pytest.mark.parametrize("layout", ["zip", "zip, protocol 4", "legacy", "pickle"])
def test_a_file_that_would_run_code_is_refused_by_name(
    pretrained_files: dict[str, Path], tiny_data: Path, tmp_path: Path, layout: str
) -> None:
    bad, touched = tmp_path / "downloaded.pt", tmp_path / "touched"
    _write_malicious(bad, layout, touched, pretrained_files["fairseq_0.12.2"])
    for attempt in (lambda: build(bad, tiny_data), lambda: load(bad)):
        with pytest.raises(UserError, match=r"downloaded\.pt was refused.*(posix|nt)\.system"):
            attempt()
    assert not touched.exists()
    if layout in ("zip", "pickle"):  # the same file does run code where loading is not safe
        with open(bad, "rb") as file:
            torch.load(file, weights_only=False) if layout == "zip" else pickle.load(file)
        assert touched.exists()


def test_the_training_command_refuses_a_file_that_would_run_code(
    pretrained_files: dict[str, Path],
    tiny_data: Path,
    tmp_path: Path,
    command_server: CommandServer,
) -> None:
    bad, touched = tmp_path / "downloaded.pt", tmp_path / "touched"
    _write_malicious(bad, "zip", touched, pretrained_files["xlsr2_300m"])
    done = command_server.run(train_command(tiny_data, bad), tmp_path / "run", check=False)
    assert done.returncode != 0 and not touched.exists()
    assert "error: model.w2v_path: " in done.stdout and "posix.system" in done.stdout
    assert "begin training" not in done.stdout


def test_stock_fairseq_cannot_resume_because_of_its_dictionary(
    stock_run: Path,
    pretrained_files: dict[str, Path],
    tiny_data: Path,
    tmp_path: Path,
    command_server: CommandServer,
) -> None:
    shutil.copytree(stock_run, tmp_path / "run")
    command = stock_train_command(
        tiny_data, pretrained_files["fairseq_0.12.2"], optimization__max_update="4"
    )
    done = command_server.run(command, tmp_path / "run", check=False, FAIRSEQ_DRO_COMPAT="startup")
    assert done.returncode != 0
    assert "Unsupported global: GLOBAL fairseq.data.dictionary.Dictionary" in done.stdout


def _resume_with_two_workers(
    stock_run: Path,
    pretrained_files: dict[str, Path],
    tiny_data: Path,
    folder: Path,
    compat: str,
    command_server: CommandServer,
) -> subprocess.CompletedProcess[str]:
    shutil.copytree(stock_run, folder)
    distributed = {
        "distributed_training__distributed_world_size": "2",
        "distributed_training__distributed_backend": "gloo",
        "distributed_training__ddp_backend": "legacy_ddp",
        "optimization__max_update": "4",
        "checkpoint__reset_dataloader": "true",  # it stopped in mid-epoch with one worker
    }
    command = stock_train_command(tiny_data, pretrained_files["fairseq_0.12.2"], **distributed)
    return command_server.run(command, folder, workers=2, check=False, FAIRSEQ_DRO_COMPAT=compat)


def test_two_workers_cannot_resume_without_the_trusted_broadcast(
    stock_run: Path,
    pretrained_files: dict[str, Path],
    tiny_data: Path,
    tmp_path: Path,
    command_server: CommandServer,
) -> None:
    done = _resume_with_two_workers(
        stock_run,
        pretrained_files,
        tiny_data,
        tmp_path / "run",
        "-trusted_broadcast",
        command_server,
    )
    assert done.returncode != 0
    assert "Unsupported global: GLOBAL omegaconf.dictconfig.DictConfig" in done.stdout


def test_two_workers_resume(
    stock_run: Path,
    pretrained_files: dict[str, Path],
    tiny_data: Path,
    tmp_path: Path,
    command_server: CommandServer,
) -> None:
    done = _resume_with_two_workers(
        stock_run, pretrained_files, tiny_data, tmp_path / "run", "1", command_server
    )
    assert done.returncode == 0, done.stdout[-6000:]
    state = torch.load(tmp_path / "run" / "checkpoints" / "checkpoint_last.pt")
    assert state["optimizer_history"][-1]["num_updates"] == 4


def test_only_the_broadcast_trusts_what_it_unpickles(tmp_path: Path) -> None:
    from fairseq.distributed import utils

    fairseq_dro.register()
    trusting = utils._broadcast_object_slow.__globals__["torch"]
    assert trusting is not torch and utils.__dict__["torch"] is torch
    assert trusting.LongTensor is torch.LongTensor
    torch.save(_Touch(tmp_path / "touched"), tmp_path / "bad.pt")
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "bad.pt")
    assert not (tmp_path / "touched").exists()


def test_only_two_plain_containers_are_added_to_the_safe_list(
    tmp_path: Path, command_server: CommandServer
) -> None:
    code = (
        "import torch; before = set(torch.serialization.get_safe_globals());"
        "import fairseq, fairseq_dro; fairseq_dro.register();"
        "added = set(torch.serialization.get_safe_globals()) - before;"
        "print(sorted(kind.__module__ + '.' + kind.__name__ for kind in added))"
    )
    code = [sys.executable, "-c", code]
    output = command_server.run(code, tmp_path, FAIRSEQ_DRO_COMPAT="1").stdout
    assert "['argparse.Namespace', 'fairseq.data.dictionary.Dictionary']" in output
