"""Group DRO for many languages: a plugin for fairseq 0.12.2.

Where the package is installed it registers itself as soon as a program imports fairseq. Where it is
not, ``common.user_dir=/path/to/fairseq_dro`` imports it. Both ways lead to `register`.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

from fairseq_dro import compat, patches
from fairseq_dro.compat import startup_hook

if TYPE_CHECKING:
    from fairseq_dro.decoding.speech_model import SpeechModel

__version__ = "0.1.0"

# fairseq imports only tasks/ and models/ of a user dir by itself (fairseq/utils.py:492-502)
REGISTERED_PARTS = ("tasks", "criterions", "models.whisper", "models.layer_weighted")

_registered = False


def register() -> None:
    """Make tasks, criterions and models known to fairseq; a second call does nothing.

    Raises whatever the parts raise when they are imported: a defect of the plugin shows itself.
    """
    global _registered
    if _registered:
        return
    _registered = True  # first, for the parts import fairseq, whose end calls this function
    try:
        patches.apply()
        for part in REGISTERED_PARTS:
            importlib.import_module(f"{__name__}.{part}")
        if not compat.is_off("one_writer"):
            importlib.import_module(f"{__name__}.training.one_writer").apply()
        compat.apply_once(f"{__name__}.refusals.plain_commands")  # the outermost
    except BaseException:
        _registered = False
        raise


def load(run: str | os.PathLike[str], device: str | None = None) -> SpeechModel:
    """A trained model that writes down what it hears: ``load(RUN).transcribe(path).text``.

    Args:
        run: a run folder (its best checkpoint, or the last), a checkpoint, or the folder of a
            published Whisper or CTC model (``docs/models.md``).
        device: of torch; None: the GPU where there is one.

    Raises:
        UserError: there is no such run, or its checkpoint cannot be used.
    """
    register()
    from fairseq_dro.decoding.speech_model import SpeechModel

    return SpeechModel(run, device)


startup_hook.install()
if startup_hook.fairseq_is_loaded():
    register()
