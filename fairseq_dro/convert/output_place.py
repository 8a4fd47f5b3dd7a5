"""Where a conversion goes: a file or folder that becomes whole in one moment, and is nobody's."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fairseq_dro.errors import UserError
from fairseq_dro.survival.durable_file import sync_folder, write_durably

MARK = "converted.json"
"""In a folder that a conversion wrote: from what, and the names of the files it wrote."""
KEY = "converted"
"""From what, in a file."""
_UNFINISHED = '{"unfinished": true}\n'


def require_free(out: Path, source: Path) -> None:
    """Refuse to replace what no conversion wrote, and to write into or over what is read.

    Raises:
        UserError: naming the place and what to do.
    """
    target, read = out.resolve(), source.resolve()
    is_run = (source / "checkpoints").is_dir()  # into whose folder a conversion may go
    if target == read or (source.is_dir() and read in target.parents and not is_run):
        raise UserError(f"{out} is what is read, or lies in it: name another place.")
    if target in read.parents:
        raise UserError(f"{source}, which is read, lies in {out}: name another place for OUT.")
    if not out.exists():
        return
    if out.is_dir():
        strange = _strange(out)
        if not strange and out.suffix != ".pt":
            return
        if (out / MARK).is_file() and strange:
            raise UserError(
                f"{out} is there already, and no conversion wrote {_some(strange)} in it: move "
                "that out of the folder, or name another place."
            )
    elif out.suffix == ".pt" and _is_own_file(out):
        return
    raise UserError(
        f"{out} is there already, and no conversion wrote it: name another place, or remove it."
    )


def _is_own_file(out: Path) -> bool:
    import torch

    try:
        return KEY in torch.load(out, map_location="cpu", mmap=True, weights_only=True)
    except Exception:  # whatever it is
        return False


def _written(folder: Path) -> set[str]:
    """Names of the files that a conversion says it wrote, `MARK` aside."""
    try:
        names = json.loads((folder / MARK).read_text(encoding="utf-8"))["files"]
        return {name for name in names if isinstance(name, str) and Path(name).name == name}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _strange(folder: Path) -> list[str]:
    """Names of what no conversion wrote."""
    own = {*_written(folder), MARK}
    return sorted(
        one.name for one in folder.iterdir()
        if one.name not in own or (one.is_dir() and not one.is_symlink())
    )  # fmt: skip


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def write_checkpoint(out: Path, checkpoint: Mapping[str, Any], origin: Mapping[str, Any]) -> None:
    """Write a file of fairseq's, whole or not at all."""
    import torch

    out.parent.mkdir(parents=True, exist_ok=True)
    write_durably(
        str(out), lambda stream: torch.save({**checkpoint, KEY: dict(origin)}, stream)
    )


def write_folder(out: Path, fill: Callable[[Path], None], origin: Mapping[str, Any]) -> None:
    """Write a folder, whole or not at all.

    What was there is ``.OUT.old`` between two renames. After a kill in between it is the only copy,
    and the next call puts it back before anything else.

    Args:
        fill: puts the files into an empty folder.

    Raises:
        UserError: somebody put files into the folder in the meantime, or has one of the name that
            is written to first; they are kept.
    """
    out = out.resolve()  # "." has no name
    out.parent.mkdir(parents=True, exist_ok=True)
    partial, old = (out.with_name(f".{out.name}.{what}") for what in ("partial", "old"))
    _settle(out, old)
    _remove_unfinished(partial)
    partial.mkdir()
    try:
        (partial / MARK).write_text(_UNFINISHED, encoding="utf-8")
        fill(partial)
        files = sorted(file.name for file in partial.iterdir() if file.name != MARK)
        text = json.dumps({**origin, "files": files}, ensure_ascii=False, indent=2)
        (partial / MARK).write_text(text + "\n", encoding="utf-8")
        for file in partial.iterdir():
            with open(file, "rb") as stream:
                os.fsync(stream.fileno())
        if out.exists():
            os.rename(out, old)
        os.rename(partial, out)
        sync_folder(str(out.parent))
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        _settle(out, old)


def _remove_unfinished(partial: Path) -> None:
    """Remove what a killed conversion left.

    Raises:
        UserError: it is somebody's.
    """
    if not os.path.lexists(partial):
        return
    mark = partial / MARK
    is_ours = mark.is_file() and mark.read_text("utf-8", errors="replace") == _UNFINISHED
    if partial.is_symlink() or not partial.is_dir() or (any(partial.iterdir()) and not is_ours):
        raise UserError(
            f"{partial} is there already, and no conversion wrote it: move it elsewhere, or name "
            "another place."
        )
    shutil.rmtree(partial)


def _settle(out: Path, old: Path) -> None:
    """Put back what has no successor, and remove what has one."""
    if not old.exists():
        return
    if not out.exists():
        os.rename(old, out)
        return
    strange = _strange(old)
    if strange:
        raise UserError(
            f"{old} is what {out} was before, and no conversion wrote {_some(strange)} in it: move "
            "the folder elsewhere."
        )
    for name in _written(old):
        (old / name).unlink(missing_ok=True)
    (old / MARK).unlink(missing_ok=True)  # last: until then it says what may be removed
    old.rmdir()
