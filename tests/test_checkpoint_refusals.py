"""Pre-trained and fine-tuned files that are not what they should be, and the sentence on each."""

from __future__ import annotations

import re
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from fairseq_dro.doctor import contradictions
from fairseq_dro.errors import UserError
from fairseq_dro.refusals import unmatched_weights
from tests.killed_commands import CommandServer
from tests.pretrained_files import build, load, write_changed
from tests.stock_commands import REPOSITORY, train_command


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
    pretrained_files: dict[str, Path], tiny_data: Path, tmp_path: Path, content: Any, sentence: str
) -> None:
    path = tmp_path / "w2v.pt"
    if isinstance(content, str) and content == "folder":
        path.mkdir()
    elif isinstance(content, str):
        whole = pretrained_files["xlsr2_300m"].read_bytes()
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
from tests.pretrained_files import build
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
    kind: str, pretrained_files: dict[str, Path], tiny_data: Path, tmp_path: Path
) -> None:
    pack, said = PACKED[kind]
    pack(tmp_path / "packed.pt", pretrained_files["xlsr2_300m"])
    for sentence in said_of(tmp_path / "packed.pt", tiny_data):
        assert f"packed.pt {said}" in sentence


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_numbers_are_named_before_training(
    value: float, pretrained_files: dict[str, Path], tiny_data: Path, tmp_path: Path
) -> None:
    def change(state: dict[str, Any]) -> None:
        state["model"]["encoder.layers.1.fc2.bias"][3] = value

    write_changed(tmp_path / "broken.pt", pretrained_files["xlsr2_300m"], change)
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
    pretrained_files: dict[str, Path], tiny_data: Path
) -> None:
    with pytest.raises(UserError, match="set task.normalize=true"):
        build(pretrained_files["xlsr2_300m"], tiny_data, normalize=False)


@pytest.mark.parametrize("trait", ["layer type", "weights", "fine-tuned"])
def test_an_adapter_checkpoint_says_what_to_use_instead(
    pretrained_files: dict[str, Path], tiny_data: Path, tmp_path: Path, trait: str
) -> None:
    def change(state: dict[str, Any]) -> None:
        if trait == "weights":
            state["model"]["encoder.layers.0.adapter_layer.W_a"] = torch.zeros(1, 2)
        elif trait == "layer type":
            state["cfg"]["model"].update(layer_type="trf_adp", adp_num=1, adp_dim=16)
        else:
            inner = {"model": {"_name": "wav2vec2", "layer_type": "trf_adp"}, "task": {}}
            state["cfg"]["model"] = {"_name": "wav2vec_ctc", "w2v_args": inner}

    write_changed(tmp_path / "mms1b_all.pt", pretrained_files["main_branch"], change)
    for attempt in (build, lambda path, _: load(path)):
        with pytest.raises(UserError, match=r"mms1b_all\.pt has adapter layers.*base_300m\.pt"):
            attempt(tmp_path / "mms1b_all.pt", tiny_data)


def test_missing_unexpected_and_reshaped_weights_are_named(
    pretrained_files: dict[str, Path], tiny_data: Path, tmp_path: Path
) -> None:
    def change(state: dict[str, Any]) -> None:
        del state["model"]["encoder.layers.1.fc2.weight"]
        state["model"]["encoder.layers.2.fc2.weight"] = torch.zeros(2)
        state["model"]["layer_norm.bias"] = torch.zeros(5)

    write_changed(tmp_path / "odd.pt", pretrained_files["xlsr2_300m"], change)
    with pytest.raises(UserError) as error:
        build(tmp_path / "odd.pt", tiny_data)
    sentence = str(error.value)
    assert "odd.pt" in sentence
    assert "misses encoder.layers.1.fc2.weight" in sentence
    assert "has the unexpected encoder.layers.2.fc2.weight" in sentence
    assert "another shape for layer_norm.bias ((5,) instead of (32,))" in sentence


def test_resuming_with_another_dictionary_says_so(
    fine_tuned: Path,
    pretrained_files: dict[str, Path],
    tiny_data: Path,
    tmp_path: Path,
    command_server: CommandServer,
) -> None:
    error = _last_error_with_another_dictionary(
        fine_tuned, pretrained_files, tiny_data, tmp_path, "1", command_server
    )
    said = r"error: checkpoints/checkpoint_last.pt was trained on another dictionary, of \d+ units"
    assert re.search(said, error) and "or another hydra.run.dir." in error


def test_weights_of_another_model_are_named() -> None:
    complaints = [
        f"\tsize mismatch for w{n}: copying a param with shape torch.Size([4, 2]) from checkpoint, "
        f"the shape in current model is torch.Size([{n}, 2]).\n" for n in (6, 7, 8, 9)
    ]  # fmt: skip
    heading = "Error(s) in loading state_dict for M:\n"
    sentence = unmatched_weights.sentence_about("a.pt", heading + "".join(complaints), 6)
    assert "size mismatch for w6" in sentence and "; 1 more): use the model settings" in sentence
    for_7_units = unmatched_weights.sentence_about("a.pt", heading + complaints[1], 7)
    assert "of 4 units, and that of task.data has 7" in for_7_units


def test_stock_fairseq_ends_without_naming_the_weights_that_do_not_fit(
    fine_tuned: Path,
    pretrained_files: dict[str, Path],
    tiny_data: Path,
    tmp_path: Path,
    command_server: CommandServer,
) -> None:
    error = _last_error_with_another_dictionary(
        fine_tuned, pretrained_files, tiny_data, tmp_path, "-unmatched_weights", command_server
    )
    assert "Exception: Cannot load model parameters from checkpoint" in error
    assert "proj.weight" not in error


def _last_error_with_another_dictionary(
    fine_tuned: Path,
    pretrained_files: dict[str, Path],
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
    command = train_command(
        folder / "data", pretrained_files["xlsr2_300m"], optimization__max_update="9"
    )
    done = command_server.run(command, folder / "run", check=False, FAIRSEQ_DRO_COMPAT=compat)
    assert done.returncode != 0
    return done.stdout.split("another exception occurred:")[-1].split("direct cause of")[-1]


def test_pretraining_heads_and_their_absence_are_no_error(
    pretrained_files: dict[str, Path], tiny_data: Path, tmp_path: Path
) -> None:
    def change(state: dict[str, Any]) -> None:
        for name in [name for name in state["model"] if name.startswith(("quantizer", "final_"))]:
            del state["model"][name]

    write_changed(tmp_path / "headless.pt", pretrained_files["xlsr2_300m"], change)
    build(tmp_path / "headless.pt", tiny_data)
