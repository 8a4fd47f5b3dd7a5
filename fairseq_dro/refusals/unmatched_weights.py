"""Name what keeps a run from resuming: weights of another model, another criterion or optimizer.

When a checkpoint does not fit the model of the run (another dictionary, another ``w2v_path``),
``Trainer.load_checkpoint`` replaces torch's list of names by "please ensure that the architectures
match" (fairseq/trainer.py:580). Another criterion or optimizer is an ``AssertionError`` with the
names of two classes, and an option that would mix two objectives in one run (trainer.py:593).
"""

from __future__ import annotations

import functools
import os
import re
import shlex
from typing import Any

from fairseq_dro import own_runs
from fairseq_dro.errors import UserError

SHOWN = 3
"""How many weights a sentence names."""


def apply() -> None:
    """Wrap ``Trainer.load_checkpoint``."""
    from fairseq.trainer import Trainer

    original = Trainer.load_checkpoint

    @functools.wraps(original)
    def load_checkpoint(self: Any, filename: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(self, filename, *args, **kwargs)
        except UserError:
            raise
        except AssertionError as error:
            sentence = _of_another_kind(filename, str(error))
            if sentence is None or not own_runs.has_own_part(self):
                raise
            raise UserError(sentence) from error
        except Exception as error:
            cause = str(error.__context__)
            if "loading state_dict" not in cause or not own_runs.has_own_part(self):
                raise
            units = len(self.task.target_dictionary)
            raise UserError(sentence_about(filename, cause, units)) from error

    Trainer.load_checkpoint = load_checkpoint


def sentence_about(filename: str, cause: str, units: int) -> str:
    """About weights that do not fit.

    Args:
        cause: torch's message, a complaint a line below its heading.
        units: of the dictionary; where only its size differs, the data folder is another one.
    """
    complaints = [line.strip().rstrip(". ") for line in cause.splitlines()[1:] if line.strip()]
    sizes = {tuple(re.findall(r"Size\(\[(\d+)", line)) for line in complaints}
    if len(sizes) == 1 and all(len(pair) == 2 and int(pair[1]) == units for pair in sizes):
        return (
            f"{filename} was trained on another dictionary, of {sizes.pop()[0]} units, and that of "
            f"task.data has {units}: name the data folder of that run, or another hydra.run.dir."
        )
    more = f"; {len(complaints) - SHOWN} more" if len(complaints) > SHOWN else ""
    return (
        f"{filename} does not fit the model of this run ({'; '.join(complaints[:SHOWN])}{more}): "
        "use the model settings it was made with, or another hydra.run.dir to start over."
    )


def _of_another_kind(filename: str, message: str) -> str | None:
    """About a checkpoint of another criterion or optimizer; None for any other message."""
    match = re.match(r"(Criterion|Optimizer) does not match; .*\. (\w+) vs (\w+)$", message)
    if match is None:
        return None
    kind = match[1].lower()
    then, now = (_registered_name(kind, name) for name in match.groups()[1:])
    return (
        f"{filename} was trained with {kind}={then}, and this command asks for {kind}={now}: name "
        "another folder for it (hydra.run.dir=...), and to start it from these weights "
        f"checkpoint.finetune_from_model={shlex.quote(os.path.abspath(filename))}"
    )


def _registered_name(kind: str, class_name: str) -> str:
    from fairseq.registry import REGISTRIES

    registry = REGISTRIES.get(kind, {}).get("registry", {})
    names = [name for name, one in registry.items() if one.__name__ == class_name]
    return names[0] if names else class_name
