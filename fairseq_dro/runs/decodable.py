"""From what a user names, a run folder or a checkpoint, to the file that is decoded."""

from __future__ import annotations

from pathlib import Path

from fairseq_dro.errors import UserError
from fairseq_dro.input_paths import nearest_path

RESULTS = "decode_test"
"""Sub-folder of a run into which the test split is decoded, unless another is named."""

CHECKPOINTS = ("checkpoint_best.pt", "checkpoint_last.pt")
"""Of a run, in this order: the best one by ``checkpoint.best_checkpoint_metric``, or the last."""


def run_folder_of(path: Path) -> Path | None:
    """The run folder that a path is, or in whose ``checkpoints`` it lies."""
    folder = path.parent.parent if path.parent.name == "checkpoints" else path
    return folder if (folder / "checkpoints").is_dir() else None


def checkpoint_of(path: Path) -> Path:
    """The file to decode with: of a run folder its best checkpoint, or the last one.

    Anything else that exists is returned as it is: a file, or a folder of a published model.

    Raises:
        UserError: nothing is there, or the run has saved no checkpoint yet.
    """
    if not path.exists():
        near = nearest_path(path)
        hint = f"did you mean {near}?" if near else "name a run folder or a checkpoint."
        raise UserError(f"{path} does not exist: {hint}")
    if path.is_file() or run_folder_of(path) != path:
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
