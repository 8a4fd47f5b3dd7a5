"""Say in one sentence why a checkpoint cannot be read, whoever asked for it.

``checkpoint_utils.load_checkpoint_to_cpu`` (checkpoint_utils.py:281) lets through whatever
``torch.load`` or its own upgrading of old layouts stumbles over: a page about unpickling for a
web page saved as ``.pt``, ``KeyError: 'best_loss'`` for a file of another toolkit. All readers of
checkpoints pass there: fine-tuning, resuming, ``load_model_ensemble_and_task`` and infer.
"""

from __future__ import annotations

import errno
import functools
import os
import pickle
from typing import Any

from omegaconf.errors import OmegaConfBaseException

from fairseq_dro import own_runs
from fairseq_dro.errors import UserError
from fairseq_dro.models import checkpoint_checks


def apply() -> None:
    """Wrap ``checkpoint_utils.load_checkpoint_to_cpu``."""
    from fairseq import checkpoint_utils

    original = checkpoint_utils.load_checkpoint_to_cpu

    @functools.wraps(original)
    def load_checkpoint_to_cpu(path: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        if not own_runs.current():
            return original(path, *args, **kwargs)
        try:
            state = original(path, *args, **kwargs)
        except UserError:
            raise
        except OSError as error:
            if error.errno == errno.EINVAL:  # torch sought before the start of a short file
                raise UserError(_incomplete(path)) from error
            raise UserError(_cannot_open(path, error)) from error
        except pickle.UnpicklingError as error:
            raise UserError(_not_unpickled(path, error)) from error
        except EOFError as error:
            raise UserError(_incomplete(path)) from error
        except RuntimeError as error:
            packed = checkpoint_checks.archive_inside(path)
            if packed is not None:
                raise UserError(f"{path} {packed}.") from error
            of_an_archive = ("PytorchStreamReader", "corrupted", "hasRecord")
            if any(word in str(error) for word in of_an_archive):
                raise UserError(_incomplete(path)) from error
            if "Tensor.__contains__" not in str(error):  # the file holds nothing but a tensor
                raise
            state = None
        except (KeyError, TypeError, AttributeError, IndexError, OmegaConfBaseException):
            state = None  # fairseq's upgrading of old layouts met none
        checkpoint_checks.require_layout(state, path)
        checkpoint_checks.require_no_adapters(state, path)
        return state

    checkpoint_utils.load_checkpoint_to_cpu = load_checkpoint_to_cpu


def _cannot_open(path: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        where = " or ".join(places_of(path))
        return f"no checkpoint at {where}; expected an existing file, such as xlsr2_300m.pt."
    if isinstance(error, IsADirectoryError):
        return f"{path} is a folder; expected a checkpoint file inside it, such as {path}/model.pt."
    return f"the checkpoint {path} cannot be opened: {error.strerror or error}."


def places_of(path: str) -> list[str]:
    """Where a path was looked for: where the command was typed, if hydra left it, and here."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.utils import get_original_cwd

    typed = [get_original_cwd()] if HydraConfig.initialized() else []
    places = [os.path.join(folder, path) for folder in (*typed, os.getcwd())]
    return list(dict.fromkeys(places))  # one where the path is absolute


def _incomplete(path: str) -> str:
    return (
        f"{path} ({os.path.getsize(path):,} bytes) is not a complete torch checkpoint: it is "
        "empty, cut short or damaged; copy or download it again."
    )


def _not_unpickled(path: str, error: pickle.UnpicklingError) -> str:
    unsafe = checkpoint_checks.first_unsafe_global(path, str(error))
    if unsafe is None:
        return (
            f"{path} is not a torch checkpoint; expected a file that torch.save wrote, such as "
            "xlsr2_300m.pt or a checkpoint of fairseq."
        )
    return (
        f"{path} was refused: loading it would run {unsafe}, which is not among the harmless types "
        "that torch allows; nothing in it was run: take the file from its publisher, or save it "
        "again with nothing but tensors, numbers and strings."
    )
