"""From what a user names, a run folder or a checkpoint, to the file that is decoded."""

from __future__ import annotations

from pathlib import Path

from fairseq_dro.errors import UserError
from fairseq_dro.input_paths import did_you_mean, nearest_hint, nearest_path

RESULTS = "decode_test"
"""Sub-folder of a run into which the test split is decoded, unless another is named."""

CHECKPOINTS = ("checkpoint_best.pt", "checkpoint_last.pt")
"""Of a run, in this order: the best one by ``checkpoint.best_checkpoint_metric``, or the last."""


PUBLISHED = ("config.json", "*.safetensors", "*.bin")
"""Of the files of a published model's folder, those by which it is known from others."""


def run_folder_of(path: Path) -> Path | None:
    """The run folder that a path is, or in whose ``checkpoints`` it lies."""
    folder = path.parent.parent if path.parent.name == "checkpoints" else path
    return folder if (folder / "checkpoints").is_dir() else None


def run_meant_by(path: Path) -> str:
    """``did you mean runs/demo/erm?``, of a path that is no run folder; empty if none is near."""
    if not path.is_dir():
        near = nearest_path(path)
        return did_you_mean([near] if near and near.is_dir() else [])
    if (path.parent / "checkpoints").is_dir():
        return did_you_mean([path.parent])
    below = {one.parent for depth in ("*", "*/*") for one in path.glob(f"{depth}/checkpoints")}
    return did_you_mean(sorted(below))


def checkpoint_of(path: Path) -> Path:
    """The file to decode with: of a run folder its best checkpoint, or the last one.

    Anything else that exists is returned as it is: a file, or a folder of a published model.

    Raises:
        UserError: nothing is there, a folder is neither a run's nor a model's, or the run has saved
            no checkpoint yet.
    """
    if not path.exists():
        hint = nearest_hint(path) or "name a run folder or a checkpoint."
        raise UserError(f"{path} does not exist: {hint}")
    if path.is_file():
        return path
    if run_folder_of(path) != path:
        if not any(file for name in PUBLISHED for file in path.glob(name)):
            raise UserError(
                f"{path} holds no model: "
                f"{run_meant_by(path) or 'name a run folder or a checkpoint.'}"
            )
        return path
    for name in CHECKPOINTS:
        if (path / "checkpoints" / name).is_file():
            return path / "checkpoints" / name
    raise UserError(
        f"{path} has no checkpoint yet: wait until the run saves one, or name a file of "
        f"{path / 'checkpoints'}."
    )


def results_folder_of(path: Path, split: str) -> Path | None:
    """Where the results of a run's checkpoint go: ``RUN/decode_SPLIT``, by its name for a file
    that is neither the best nor the last; None for a model that lies in no run folder.
    """
    run = run_folder_of(path)
    if run is None:
        return None
    other = "" if path == run or path.name in CHECKPOINTS else f"_{path.stem}"
    return run / f"decode_{split}{other}"
