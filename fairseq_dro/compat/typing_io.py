"""Python 3.13: the pseudo-module ``typing.io`` is gone.

antlr4/Lexer.py:12 and antlr4/Parser.py:6 (antlr4-python3-runtime 4.8, which hydra 1.0.7 pins) say
``from typing.io import TextIO``: ``ModuleNotFoundError: No module named 'typing.io'; 'typing' is
not a package``. A module of that name with its three classes is put in place.
"""

from __future__ import annotations

import sys
import types
import typing


def needed() -> bool:
    return sys.version_info >= (3, 13)


def apply() -> None:
    module = types.ModuleType("typing.io", "The three classes that left typing.io.")
    module.IO, module.TextIO, module.BinaryIO = (  # type: ignore[attr-defined]
        typing.IO,
        typing.TextIO,
        typing.BinaryIO,
    )
    sys.modules.setdefault("typing.io", module)
