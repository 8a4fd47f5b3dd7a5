"""Python 3.12: ``importer.find_module`` no longer exists.

hydra/core/plugins.py:168 looks for its plugins with ``importer.find_module(name)`` on the finders
that `pkgutil` hands out: ``AttributeError: 'FileFinder' object has no attribute 'find_module'``.
The method comes back, built on ``find_spec``.
"""

from __future__ import annotations

import importlib.machinery
import sys
from typing import Any


def needed() -> bool:
    return sys.version_info >= (3, 12)


def apply() -> None:
    def find_module(finder: Any, fullname: str, path: Any = None) -> Any:
        spec = finder.find_spec(fullname)
        return None if spec is None else spec.loader

    importlib.machinery.FileFinder.find_module = find_module  # type: ignore[attr-defined]
