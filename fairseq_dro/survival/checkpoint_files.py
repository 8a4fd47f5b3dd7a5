"""The checkpoints in the folder of a run: which are whole, and which is the newest.

A checkpoint is a zip file, in which ``torch.save`` stores a CRC-32 of every tensor;
``torch.load`` does not look at it, so a flipped bit in a weight loads in silence. Reading a file
through the CRC went at 3.4 GB/s on one core (the file in memory), and the file is in memory for
the loading that follows.
"""

from __future__ import annotations

import errno
import math
import os
import re
import zipfile
from typing import Any

import torch

from fairseq_dro.survival.durable_file import TEMPORARY_SUFFIX, sync_folder

LAST = "checkpoint_last.pt"
NAMES = re.compile(r"checkpoint(\d+|_\d+_\d+|_best|\.best_.+)\.pt")
"""What fairseq calls the others that a run can resume from (checkpoint_utils.py:62-109)."""

_NOT_THE_FILES_FAULT = (errno.EACCES, errno.EPERM, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
_LEGACY_PICKLE = b"\x80\x02"  # how files that are no zip begin; they hold no checksum


def damage_of(path: str) -> str | None:
    """What is wrong with the bytes of a checkpoint, or None; reads the whole file.

    Raises:
        OSError: the file cannot be opened, which is not its own fault.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(2)
        if head == _LEGACY_PICKLE:
            return None
        if not head:
            return "it is empty"
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()
        if wrong is not None:
            return f"the checksum of {wrong} in it is wrong"
        torch_reader = torch._C.PyTorchFileReader(path)  # bears less than zipfile does
        for record in torch_reader.get_all_records():
            torch_reader.get_record_offset(record)
        return None
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in _NOT_THE_FILES_FAULT:
            raise
        return f"it cannot be read to its end ({error.strerror or error})"
    except Exception:  # zipfile meets nonsense with a dozen kinds of errors
        return "it is cut short or overwritten"


def updates_of(path: str) -> float:
    """Updates that a checkpoint holds; reads no weights.

    Infinity where it does not say: such a file is damaged or no checkpoint of fairseq.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        return int(state["optimizer_history"][-1]["num_updates"])
    except Exception:  # torch and pickle have no common one
        return math.inf


def other_checkpoints(folder: str) -> list[str]:
    """Paths of the checkpoints in `folder` that a run can resume from, without `LAST`."""
    names = [name for name in sorted(os.listdir(folder)) if NAMES.fullmatch(name)]
    return [os.path.join(folder, name) for name in names]


def set_aside(path: str) -> str:
    """Rename a damaged file, so that nobody takes it for a checkpoint; return its new name."""
    aside = f"{path}.corrupt"
    os.replace(path, aside)
    sync_folder(os.path.dirname(path))
    return aside


def remove_leftovers(folder: str) -> list[str]:
    """Remove the temporary files of checkpoints that a killed run left; return their names."""
    leftovers = [
        name
        for name in sorted(os.listdir(folder))
        if name.endswith(f".pt{TEMPORARY_SUFFIX}") and name.startswith(("checkpoint", "crash"))
    ]
    for name in leftovers:
        os.remove(os.path.join(folder, name))
    return leftovers
