"""Pre-trained and fine-tuned files: what loads, what is refused, and in which words."""

from __future__ import annotations

import logging
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

import fairseq_dro
from fairseq_dro import own_runs
from fairseq_dro.demo import random_checkpoint
from fairseq_dro.demo.random_checkpoint import write_random_checkpoint
from fairseq_dro.doctor import contradictions
from fairseq_dro.errors import UserError
from tests.killed_commands import CommandServer
from tests.stock_commands import REPOSITORY, stock_train_command, train_command

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
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One tiny pre-trained file of each origin."""
    fairseq_dro.register()
    folder = tmp_path_factory.mktemp("pretrained")
    for origin in random_checkpoint.ORIGINS:
        write_random_checkpoint(folder / f"{origin}.pt", origin=origin)
    return {origin: folder / f"{origin}.pt" for origin in random_checkpoint.ORIGINS}


@pytest.fixture(scope="module")
def fine_tuned(
    files: dict[str, Path],
    tiny_data: Path,
    tmp_path_factory: pytest.TempPathFactory,
    command_server: CommandServer,
) -> Path:
    """Run folder of three updates from an XLS-R-shaped file, by the command of a user."""
    folder = tmp_path_factory.mktemp("fine_tuned")
    command = train_command(tiny_data, files["xlsr2_300m"], optimization__max_update="3")
    command_server.run(command, folder)
    return folder


@pytest.fixture(scope="module")
def stock_run(
    files: dict[str, Path],
    tiny_data: Path,
    tmp_path_factory: pytest.TempPathFactory,
    command_server: CommandServer,
) -> Path:
    """Run folder of three updates by fairseq alone: its own task and criterion, no plugin."""
    folder = tmp_path_factory.mktemp("stock_run")
    command = stock_train_command(tiny_data, files["fairseq_0.12.2"], optimization__max_update="3")
    command_server.run(command, folder, FAIRSEQ_DRO_COMPAT="startup")
    return folder


def build(path: Path, data: Path, **options: Any) -> torch.nn.Module:
    """The ``wav2vec_ctc`` model one of our fine-tuning runs starts from."""
    from fairseq import tasks
    from omegaconf import OmegaConf

    task = {"_name": "audio_finetuning", "data": str(data), "labels": "ltr", "normalize": True}
    model = {"_name": "wav2vec_ctc", "w2v_path": str(path), "data": str(data), "normalize": True}
    with own_runs.own():
        return tasks.setup_task(OmegaConf.create(task)).build_model(
            OmegaConf.create({**model, "ddp_backend": "legacy_ddp", **options})
        )


def load(path: Path) -> torch.nn.Module:
    """The model of a checkpoint, as a command of ours loads it."""
    from fairseq import checkpoint_utils

    with own_runs.own():
        models, _, _ = checkpoint_utils.load_model_ensemble_and_task([str(path)])
    return models[0]


# --- the writer -----------------------------------------------------------------------------------


def test_a_random_checkpoint_has_the_23_foreign_keys_of_xlsr2_300m(files: dict[str, Path]) -> None:
    from fairseq.tasks.audio_pretraining import AudioPretrainingConfig

    state = torch.load(files["xlsr2_300m"])
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
    files: dict[str, Path], tmp_path: Path, command_server: CommandServer
) -> None:
    command = [sys.executable, "-c", LOAD_THEM_ALL, *map(str, files.values())]
    output = command_server.run(command, tmp_path, FAIRSEQ_DRO_COMPAT="-foreign_task_keys").stdout
    for key in FIRST_FOREIGN_KEY.values():
        assert f"ConfigKeyError: Key '{key}' not in 'AudioPretrainingConfig'" in output
    assert f"loaded {files['fairseq_0.12.2']}" in output


@pytest.mark.parametrize("origin", list(random_checkpoint.ORIGINS))
def test_a_pretrained_file_of_every_origin_loads(files: dict[str, Path], origin: str) -> None:
    model = load(files[origin])
    weights = torch.load(files[origin])["model"]
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
    files: dict[str, Path], tiny_data: Path, origin: str
) -> None:
    from fairseq.tasks import TASK_DATACLASS_REGISTRY
    from omegaconf import OmegaConf

    model = build(files[origin], tiny_data)
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
    _change(last, change)(tmp_path / "main_branch.pt")
    expected = load(last).state_dict()
    actual = load(tmp_path / "main_branch.pt").state_dict()
    assert all(torch.equal(actual[key], expected[key]) for key in expected)


def test_fine_tuning_resumes_from_its_own_checkpoint(
    fine_tuned: Path,
    files: dict[str, Path],
    tiny_data: Path,
    tmp_path: Path,
    command_server: CommandServer,
) -> None:
    shutil.copytree(fine_tuned, tmp_path / "run")
    command = train_command(tiny_data, files["xlsr2_300m"], optimization__max_update="5")
    output = command_server.run(command, tmp_path / "run").stdout
    assert "Loaded checkpoint" in output and "@ 3 updates" in output
    state = torch.load(tmp_path / "run" / "checkpoints" / "checkpoint_last.pt")
    assert state["optimizer_history"][-1]["num_updates"] == 5


def test_fine_tuning_starts_from_the_weights_and_with_the_options_asked_for(
    files: dict[str, Path], tiny_data: Path
) -> None:
    options = {"mask_prob": 0.31, "feature_grad_mult": 0.0, "layerdrop": 0.17, "dropout": 0.23}
    model = build(files["xlsr2_300m"], tiny_data, **options).w2v_encoder.w2v_model
    weights = torch.load(files["xlsr2_300m"])["model"]
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
    files: dict[str, Path], tiny_data: Path, tmp_path: Path, layout: str
) -> None:
    bad, touched = tmp_path / "downloaded.pt", tmp_path / "touched"
    _write_malicious(bad, layout, touched, files["fairseq_0.12.2"])
    for attempt in (lambda: build(bad, tiny_data), lambda: load(bad)):
        with pytest.raises(UserError, match=r"downloaded\.pt was refused.*(posix|nt)\.system"):
            attempt()
    assert not touched.exists()
    if layout in ("zip", "pickle"):  # the same file does run code where loading is not safe
        with open(bad, "rb") as file:
            torch.load(file, weights_only=False) if layout == "zip" else pickle.load(file)
        assert touched.exists()


def test_the_training_command_refuses_a_file_that_would_run_code(
    files: dict[str, Path], tiny_data: Path, tmp_path: Path, command_server: CommandServer
) -> None:
    bad, touched = tmp_path / "downloaded.pt", tmp_path / "touched"
    _write_malicious(bad, "zip", touched, files["xlsr2_300m"])
    done = command_server.run(train_command(tiny_data, bad), tmp_path / "run", check=False)
    assert done.returncode != 0 and not touched.exists()
    assert "error: model.w2v_path: " in done.stdout and "posix.system" in done.stdout
    assert "begin training" not in done.stdout


def test_stock_fairseq_cannot_resume_because_of_its_dictionary(
    stock_run: Path,
    files: dict[str, Path],
    tiny_data: Path,
    tmp_path: Path,
    command_server: CommandServer,
) -> None:
    shutil.copytree(stock_run, tmp_path / "run")
    command = stock_train_command(tiny_data, files["fairseq_0.12.2"], optimization__max_update="4")
    done = command_server.run(command, tmp_path / "run", check=False, FAIRSEQ_DRO_COMPAT="startup")
    assert done.returncode != 0
    assert "Unsupported global: GLOBAL fairseq.data.dictionary.Dictionary" in done.stdout


def _resume_with_two_workers(
    stock_run: Path,
    files: dict[str, Path],
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
    command = stock_train_command(tiny_data, files["fairseq_0.12.2"], **distributed)
    return command_server.run(command, folder, workers=2, check=False, FAIRSEQ_DRO_COMPAT=compat)


def test_two_workers_cannot_resume_without_the_trusted_broadcast(
    stock_run: Path,
    files: dict[str, Path],
    tiny_data: Path,
    tmp_path: Path,
    command_server: CommandServer,
) -> None:
    done = _resume_with_two_workers(
        stock_run, files, tiny_data, tmp_path / "run", "-trusted_broadcast", command_server
    )
    assert done.returncode != 0
    assert "Unsupported global: GLOBAL omegaconf.dictconfig.DictConfig" in done.stdout


def test_two_workers_resume(
    stock_run: Path,
    files: dict[str, Path],
    tiny_data: Path,
    tmp_path: Path,
    command_server: CommandServer,
) -> None:
    done = _resume_with_two_workers(
        stock_run, files, tiny_data, tmp_path / "run", "1", command_server
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


# --- files that are not what they should be -------------------------------------------------------


def _change(good: Path, change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        state = torch.load(good)
        change(state)
        torch.save(state, path)

    return write


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "no checkpoint at /.*w2v.pt; expected an existing file"),
        (b"", r"w2v.pt \(0 bytes\) is not a complete torch checkpoint"),
        (b"<html>404</html>", "w2v.pt is not a torch checkpoint; expected a file that torch.save"),
        ("folder", "w2v.pt is not a Hugging Face folder of a wav2vec 2.0: name one, or a file"),
        ("half", r"w2v.pt \([\d,]+ bytes\) is not a complete torch checkpoint: it is .* cut short"),
        ({"embed.weight": torch.zeros(2)}, "w2v.pt can be read but is not a fairseq checkpoint"),
        (torch.zeros(2), "w2v.pt can be read but is not a fairseq checkpoint"),
        ([1, 2], "w2v.pt can be read but is not a fairseq checkpoint"),
    ],
    ids=["missing", "empty", "web page", "folder", "half", "Hugging Face", "tensor", "list"],
)
def test_a_w2v_path_that_is_no_checkpoint_is_one_sentence(
    files: dict[str, Path], tiny_data: Path, tmp_path: Path, content: Any, sentence: str
) -> None:
    path = tmp_path / "w2v.pt"
    if isinstance(content, str) and content == "folder":
        path.mkdir()
    elif isinstance(content, str):
        whole = files["xlsr2_300m"].read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(UserError, match=f"^model.w2v_path: .*{sentence}") as error:
        build(path, tiny_data)
    assert "\n" not in str(error.value)


BUILD_THEM_ALL = """
import sys
from pathlib import Path
sys.path.append(sys.argv.pop(1))
from tests.test_checkpoints import build
data, *paths = map(Path, sys.argv[1:])
for path in paths:
    try:
        build(path, data)
    except Exception as error:
        print(path.name, repr(error)[:200])
"""


def test_stock_fairseq_says_nothing_helpful_about_a_wrong_w2v_path(
    fine_tuned: Path, tiny_data: Path, tmp_path: Path, command_server: CommandServer
) -> None:
    torch.save({"embed.weight": torch.zeros(2)}, tmp_path / "hugging_face.pt")
    (tmp_path / "empty.pt").touch()
    paths = [tmp_path / "hugging_face.pt", tmp_path / "empty.pt"]
    paths.append(fine_tuned / "checkpoints" / "checkpoint_last.pt")
    output = command_server.run(
        [sys.executable, "-c", BUILD_THEM_ALL, *map(str, (REPOSITORY, tiny_data, *paths))],
        tmp_path,
        FAIRSEQ_DRO_COMPAT="-unreadable_files,-wrong_pretrained_files",
    ).stdout
    assert "hugging_face.pt KeyError('best_loss')" in output
    assert "empty.pt EOFError(" in output
    assert "checkpoint_last.pt AttributeError" in output and "remove_pretraining_modul" in output


WEIGHTS = {"encoder.weight": torch.zeros(3, 3), "encoder.bias": torch.zeros(3)}
NO_CHECKPOINTS = {
    "bare state dict": lambda path: torch.save(WEIGHTS, path),
    "Lightning": lambda path: torch.save({"state_dict": WEIGHTS, "epoch": 1}, path),
    "no options": lambda path: torch.save({"model": WEIGHTS}, path),
    "options are a number": lambda path: torch.save({"model": WEIGHTS, "cfg": 5}, path),
    "model is a list": lambda path: torch.save({"model": [1], "cfg": {"a": 1}}, path),
    "a list": lambda path: torch.save([1, 2], path),
    "a tensor": lambda path: torch.save(torch.zeros(3), path),
    "nothing": lambda path: torch.save(None, path),
}
PACKED = {
    "ZIP": (lambda path, inner: _zip(path, inner), "is a ZIP archive that holds inner/x.pt"),
    "tar": (lambda path, inner: _tar(path, inner), "is a tar archive that holds inner/x.pt"),
    "TorchScript": (
        lambda path, _: torch.jit.save(torch.jit.script(torch.nn.Identity()), path),
        "is a TorchScript program",
    ),
}


def _zip(path: Path, inner: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(inner, "inner/x.pt")


def _tar(path: Path, inner: Path) -> None:
    with tarfile.open(path, "w") as archive:
        archive.add(inner, "inner/x.pt")


def said_of(path: Path, data: Path) -> list[str]:
    """What training and the doctor say of a file as ``model.w2v_path``."""
    with pytest.raises(UserError) as refused:
        build(path, data)
    model = {"_name": "wav2vec_ctc", "w2v_path": str(path)}
    cfg = OmegaConf.create({"model": model, "task": {"normalize": True}})
    findings, _ = contradictions.of_checkpoint(cfg)
    assert [(one.kind, str(one.severity.value)) for one in findings] == [
        ("wrong_checkpoint", "error")
    ]
    return [str(refused.value), findings[0].what]


@pytest.mark.parametrize("kind", NO_CHECKPOINTS)
def test_a_file_of_another_toolkit_is_one_sentence_of_training_and_of_the_doctor(
    kind: str, tiny_data: Path, tmp_path: Path
) -> None:
    NO_CHECKPOINTS[kind](tmp_path / "pytorch_model.bin")
    for sentence in said_of(tmp_path / "pytorch_model.bin", tiny_data):
        assert "pytorch_model.bin can be read but is not a fairseq checkpoint" in sentence


@pytest.mark.filterwarnings("ignore:.*TorchScript")
@pytest.mark.parametrize("kind", PACKED)
def test_an_archive_of_other_files_is_named_with_what_it_holds(
    kind: str, files: dict[str, Path], tiny_data: Path, tmp_path: Path
) -> None:
    pack, said = PACKED[kind]
    pack(tmp_path / "packed.pt", files["xlsr2_300m"])
    for sentence in said_of(tmp_path / "packed.pt", tiny_data):
        assert f"packed.pt {said}" in sentence


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_numbers_are_named_before_training(
    value: float, files: dict[str, Path], tiny_data: Path, tmp_path: Path
) -> None:
    def change(state: dict[str, Any]) -> None:
        state["model"]["encoder.layers.1.fc2.bias"][3] = value

    _change(files["xlsr2_300m"], change)(tmp_path / "broken.pt")
    for sentence in said_of(tmp_path / "broken.pt", tiny_data):
        assert "broken.pt has NaN or infinite values in encoder.layers.1.fc2.bias" in sentence


@pytest.mark.parametrize("n_bytes", [0, 100, 5_000, 100_000])
def test_a_checkpoint_cut_by_a_crash_is_named(
    fine_tuned: Path, tmp_path: Path, n_bytes: int
) -> None:
    last = tmp_path / "checkpoint_last.pt"
    whole = (fine_tuned / "checkpoints" / "checkpoint_last.pt").read_bytes()
    assert len(whole) > n_bytes
    last.write_bytes(whole[:n_bytes])
    with pytest.raises(UserError, match=r"checkpoint_last\.pt .* is not a complete torch"):
        load(last)


def test_a_fine_tuned_checkpoint_as_w2v_path_says_what_to_set_instead(
    fine_tuned: Path, tiny_data: Path
) -> None:
    path = fine_tuned / "checkpoints" / "checkpoint_last.pt"
    with pytest.raises(UserError, match="is a fine-tuned checkpoint.*finetune_from_model="):
        build(path, tiny_data)


def test_a_file_of_the_other_normalization_says_what_to_set(
    files: dict[str, Path], tiny_data: Path
) -> None:
    with pytest.raises(UserError, match="set task.normalize=true"):
        build(files["xlsr2_300m"], tiny_data, normalize=False)


@pytest.mark.parametrize("trait", ["layer type", "weights", "fine-tuned"])
def test_an_adapter_checkpoint_says_what_to_use_instead(
    files: dict[str, Path], tiny_data: Path, tmp_path: Path, trait: str
) -> None:
    def change(state: dict[str, Any]) -> None:
        if trait == "weights":
            state["model"]["encoder.layers.0.adapter_layer.W_a"] = torch.zeros(1, 2)
        elif trait == "layer type":
            state["cfg"]["model"].update(layer_type="trf_adp", adp_num=1, adp_dim=16)
        else:
            inner = {"model": {"_name": "wav2vec2", "layer_type": "trf_adp"}, "task": {}}
            state["cfg"]["model"] = {"_name": "wav2vec_ctc", "w2v_args": inner}

    _change(files["main_branch"], change)(tmp_path / "mms1b_all.pt")
    for attempt in (build, lambda path, _: load(path)):
        with pytest.raises(UserError, match=r"mms1b_all\.pt has adapter layers.*base_300m\.pt"):
            attempt(tmp_path / "mms1b_all.pt", tiny_data)


def test_missing_unexpected_and_reshaped_weights_are_named(
    files: dict[str, Path], tiny_data: Path, tmp_path: Path
) -> None:
    def change(state: dict[str, Any]) -> None:
        del state["model"]["encoder.layers.1.fc2.weight"]
        state["model"]["encoder.layers.2.fc2.weight"] = torch.zeros(2)
        state["model"]["layer_norm.bias"] = torch.zeros(5)

    _change(files["xlsr2_300m"], change)(tmp_path / "odd.pt")
    with pytest.raises(UserError) as error:
        build(tmp_path / "odd.pt", tiny_data)
    sentence = str(error.value)
    assert "odd.pt" in sentence
    assert "misses encoder.layers.1.fc2.weight" in sentence
    assert "has the unexpected encoder.layers.2.fc2.weight" in sentence
    assert "another shape for layer_norm.bias ((5,) instead of (32,))" in sentence


def test_resuming_with_another_dictionary_names_the_weights_that_do_not_fit(
    fine_tuned: Path,
    files: dict[str, Path],
    tiny_data: Path,
    tmp_path: Path,
    command_server: CommandServer,
) -> None:
    error = _last_error_with_another_dictionary(
        fine_tuned, files, tiny_data, tmp_path, "1", command_server
    )
    assert "error: checkpoints/checkpoint_last.pt does not fit the model of this run" in error
    assert "size mismatch for w2v_encoder.proj.weight" in error


def test_stock_fairseq_ends_without_naming_the_weights_that_do_not_fit(
    fine_tuned: Path,
    files: dict[str, Path],
    tiny_data: Path,
    tmp_path: Path,
    command_server: CommandServer,
) -> None:
    error = _last_error_with_another_dictionary(
        fine_tuned, files, tiny_data, tmp_path, "-unmatched_weights", command_server
    )
    assert "Exception: Cannot load model parameters from checkpoint" in error
    assert "proj.weight" not in error


def _last_error_with_another_dictionary(
    fine_tuned: Path,
    files: dict[str, Path],
    data: Path,
    folder: Path,
    compat: str,
    command_server: CommandServer,
) -> str:
    """What the command ends with when a symbol is added to the dictionary before a resume."""
    shutil.copytree(fine_tuned, folder / "run")
    shutil.copytree(data, folder / "data")
    with open(folder / "data" / "dict.ltr.txt", "a", encoding="utf-8") as dictionary:
        dictionary.write("ß 1\n")
    command = train_command(folder / "data", files["xlsr2_300m"], optimization__max_update="9")
    done = command_server.run(command, folder / "run", check=False, FAIRSEQ_DRO_COMPAT=compat)
    assert done.returncode != 0
    return done.stdout.split("another exception occurred:")[-1].split("direct cause of")[-1]


def test_pretraining_heads_and_their_absence_are_no_error(
    files: dict[str, Path], tiny_data: Path, tmp_path: Path
) -> None:
    def change(state: dict[str, Any]) -> None:
        for name in [name for name in state["model"] if name.startswith(("quantizer", "final_"))]:
            del state["model"][name]

    _change(files["xlsr2_300m"], change)(tmp_path / "headless.pt")
    build(tmp_path / "headless.pt", tiny_data)
