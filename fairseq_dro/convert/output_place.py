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
"""In a folder that a conversion wrote: from what."""
KEY = "converted"
"""The same in a file."""


def require_free(out: Path, source: Path) -> None:
    """Refuse to replace what no conversion wrote, and to write into what is read.

    Raises:
        UserError: naming the place and what to do.
    """
    if source.exists() and (out.resolve() == source.resolve() or (
        source.is_dir() and source.resolve() in out.resolve().parents
        and not (source / "checkpoints").is_dir()
    )):  # fmt: skip
        raise UserError(f"{out} is what is read, or lies in it: name another place.")
    if out.exists() and not _is_own(out):
        raise UserError(
            f"{out} is there already, and no conversion wrote it: name another place, or remove it."
        )


def _is_own(out: Path) -> bool:
    if out.is_dir():
        return (out / MARK).is_file() or not any(out.iterdir())
    import torch

    try:
        return KEY in torch.load(out, map_location="cpu", mmap=True, weights_only=True)
    except Exception:  # whatever it is
        return False


def write_checkpoint(out: Path, checkpoint: Mapping[str, Any], origin: Mapping[str, Any]) -> None:
    """Write a file of fairseq's, whole or not at all."""
    import torch

    out.parent.mkdir(parents=True, exist_ok=True)
    write_durably(
        str(out), lambda stream: torch.save({**checkpoint, KEY: dict(origin)}, stream)
    )


def write_folder(out: Path, fill: Callable[[Path], None], origin: Mapping[str, Any]) -> None:
    """Write a folder, whole or not at all.

    Args:
        fill: puts the files into an empty folder.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    partial, old = (out.with_name(f".{out.name}.{what}") for what in ("partial", "old"))
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir()
    try:
        fill(partial)
        text = json.dumps(dict(origin), ensure_ascii=False, indent=2)
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
        if out.exists():
            shutil.rmtree(old, ignore_errors=True)
