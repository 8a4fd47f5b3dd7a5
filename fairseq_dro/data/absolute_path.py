"""Absolute paths that mean the file that the system opens."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path


def absolute_path(path: str | Path) -> str:
    """As ``os.path.abspath``; but where ``..`` leaves a link, which that takes for a folder, links
    are followed.
    """
    folder, name = os.path.split(os.path.join(os.getcwd(), path))
    if name in ("", os.curdir, os.pardir):
        return _folder(os.path.join(folder, name))
    return os.path.join(_folder(folder), name)


@lru_cache(maxsize=4096)
def _folder(path: str) -> str:
    plain = os.path.abspath(path)
    if os.pardir not in path.split(os.sep):
        return plain
    try:
        return plain if os.path.samefile(plain, path) else os.path.realpath(path)
    except OSError:  # one of them is not there
        return os.path.realpath(path)
