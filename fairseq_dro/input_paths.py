"""The paths without which no training starts, and what is said where one is missing or wrong."""

from __future__ import annotations

import difflib
from pathlib import Path

from fairseq_dro.errors import UserError

INPUTS = {
    "task.data": ("FOLDER", "a data folder, as `fairseq-dro prepare` makes it"),
    "model.w2v_path": ("FILE", "the pre-trained model, such as xlsr2_300m.pt"),
    "model.whisper_path": ("PATH", "the folder or file of a Whisper model"),
}
"""Option: whether it names a folder, a file or either, and which."""


def missing(name: str) -> UserError:
    """The error where one of `INPUTS` has no value."""
    kind, what = INPUTS[name]
    return UserError(f"{name} is missing: type {name}={kind}, {what}.")


def require_path(name: str, value: str) -> None:
    """Refuse the path of one of `INPUTS` that is not there.

    Args:
        value: relative to the working directory, or absolute.

    Raises:
        UserError: the sentence says what in the same folder is spelt most alike.
    """
    path, kind = Path(value), INPUTS[name][0]
    if path.is_dir() if kind == "FOLDER" else path.exists():
        return
    if path.exists():
        raise UserError(f"{name}={value} is a file: name the folder that holds it.")
    near = nearest_path(path)
    hint = f"did you mean {near}?" if near else f"name {INPUTS[name][1]}."
    raise UserError(f"{name}={value} does not exist: {hint}")


def nearest_path(path: Path) -> Path | None:
    """What in the same folder is spelt most alike."""
    folder = path.parent
    names = sorted(one.name for one in folder.iterdir()) if folder.is_dir() else []
    near = difflib.get_close_matches(path.name, names, 1, 0.6)
    return folder / near[0] if near else None
