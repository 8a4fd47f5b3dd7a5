"""The paths without which no training starts, and what is said where one is missing or wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from fairseq_dro.errors import UserError

INPUTS = {
    "task.data": ("FOLDER", "a data folder, as `fairseq-dro prepare` makes it"),
    "model.w2v_path": ("FILE", "the pre-trained model, such as xlsr2_300m.pt"),
    "model.whisper_path": ("PATH", "the folder or file of a Whisper model"),
}
"""Option: whether it names a folder, a file or either, and which."""

TO_TRY = {
    "model.w2v_path": "`fairseq-dro random-checkpoint random.pt` makes one to try things with",
    "model.whisper_path": "`python scripts/fetch_whisper_base.py` fetches the base model",
}
"""Where to get one, said of a file that is not there."""


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
    path, (kind, what) = Path(value), INPUTS[name]
    if kind == "FOLDER" and path.exists():
        require_data_folder(path, f"{name}={value}")
    if path.exists():
        return
    otherwise = "; ".join(filter(None, (f"name {what}", TO_TRY.get(name))))
    raise UserError(f"{name}={value} does not exist: {nearest_hint(path) or f'{otherwise}.'}")


def require_data_folder(path: Path, named: str) -> None:
    """Refuse what is not there, is a file, or holds neither a split nor a dictionary.

    Args:
        named: what was typed, for the sentence.

    Raises:
        UserError: the sentence says which data folders are near.
    """
    what = f"name {INPUTS['task.data'][1]}."
    if path.is_file():
        raise UserError(f"{named} is a file: name the folder that holds it.")
    if not path.is_dir():
        raise UserError(f"{named} does not exist: {nearest_hint(path) or what}")
    if _holds_data(path):
        return
    hint = did_you_mean(one for one in sorted(path.iterdir()) if one.is_dir() and _holds_data(one))
    raise UserError(f"{named} holds no split such as train.tsv: {hint or what}")


def _holds_data(folder: Path) -> bool:
    names = (one.name for one in folder.iterdir())
    return any(name.endswith(".tsv") or name.startswith("dict.") for name in names)


def did_you_mean(paths: Iterable[Path], at_most: int = 3) -> str:
    """``did you mean a or b?``; empty where there is none."""
    return f"did you mean {' or '.join(names)}?" if (names := [*map(str, paths)][:at_most]) else ""


def nearest_hint(path: Path) -> str:
    """``did you mean a?``, of what is spelt most alike; empty where nothing is."""
    near = nearest_path(path)
    return did_you_mean([near] if near else [])


def nearest_path(path: Path) -> Path | None:
    """What in the same folder is spelt most alike."""
    folder = path.parent
    names = sorted(one.name for one in folder.iterdir()) if folder.is_dir() else []
    near = difflib.get_close_matches(path.name, names, 1, 0.6)
    return folder / near[0] if near else None
