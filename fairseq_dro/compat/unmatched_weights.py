"""Name the weights that keep a run from going on where it stopped.

When a checkpoint does not fit the model of the run (another dictionary, another ``w2v_path``),
``Trainer.load_checkpoint`` replaces torch's list of names by "please ensure that the architectures
match" (fairseq/trainer.py:580).
"""

from __future__ import annotations

import functools
from typing import Any

from fairseq_dro.compat import own_runs
from fairseq_dro.errors import UserError


def needed() -> bool:
    """Always: this is about wording, which no version of fairseq has."""
    return True


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
        except Exception as error:
            cause = str(error.__context__)
            if "loading state_dict" not in cause or not own_runs.has_own_part(self):
                raise
            raise UserError(
                f"{filename} does not fit the model of this run ({_names(cause)}); use the "
                "dictionary and the model settings it was made with, or another hydra.run.dir "
                "to start afresh."
            ) from error

    Trainer.load_checkpoint = load_checkpoint


def _names(message: str, shown: int = 3) -> str:
    """torch's complaints, one a line below its heading, as one phrase."""
    complaints = [line.strip().rstrip(". ") for line in message.splitlines()[1:] if line.strip()]
    more = f"; {len(complaints) - shown} more" if len(complaints) > shown else ""
    return "; ".join(complaints[:shown]) + more
