"""Which process trains a run, and whether it is still there."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PROC = Path("/proc")


def this_process() -> dict[str, Any]:
    """Host, number and what tells the process from a later one of that number (Linux only)."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "namespace": _namespace(),
        "began": _began(os.getpid()),
    }


def is_alive(recorded: Mapping[str, Any] | None) -> bool | None:
    """Whether the process of ``this_process`` is there; None where it cannot be told from here."""
    if not recorded or recorded.get("host") != socket.gethostname():
        return None
    if recorded.get("namespace") is None or recorded["namespace"] != _namespace():
        return None  # no /proc, or a container's own numbers
    return recorded.get("began") is not None and _began(recorded.get("pid")) == recorded["began"]


def _namespace() -> str | None:
    """Of the numbers of processes, and of the machine's start, with which they begin anew."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{os.readlink(_PROC / 'self/ns/pid')} {boot}"
    except OSError:
        return None


def _began(pid: Any) -> int | None:
    """Clock ticks from the machine's start to the process's; None where it has ended."""
    try:
        status = (_PROC / str(int(pid)) / "stat").read_text(encoding="utf-8", errors="replace")
    except (OSError, TypeError, ValueError):
        return None
    fields = status.rpartition(")")[2].split()  # proc(5): from the third on; names may hold spaces
    return None if fields[0] in "ZX" else int(fields[19])
