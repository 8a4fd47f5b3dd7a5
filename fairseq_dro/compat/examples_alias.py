"""Make fairseq's ``examples`` importable under the name its own modules use.

The wheel carries ``fairseq/examples``, but examples/speech_recognition/new/infer.py:20 imports it
as the top-level ``examples``: ``ModuleNotFoundError: No module named 'examples'``. Putting
site-packages/fairseq on PYTHONPATH instead would shadow the standard ``logging`` by
``fairseq/logging``. Applied by ``decoding/stock_infer.py`` alone, as nothing else imports examples.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys

MODULE = "examples.speech_recognition.new.infer"


def needed() -> bool:
    """True where the top-level name does not lead to fairseq's module."""
    try:
        return importlib.util.find_spec(MODULE) is None
    except ModuleNotFoundError:
        return True


def apply() -> None:
    """Let the name ``examples`` stand for ``fairseq.examples`` in this process.

    A package of the user's with that name, found on the path, is no longer found as ``examples``:
    in a program that only decodes, nothing else asks for it.
    """
    for name in [name for name in sys.modules if name.split(".")[0] == "examples"]:
        del sys.modules[name]
    sys.modules["examples"] = importlib.import_module("fairseq.examples")
