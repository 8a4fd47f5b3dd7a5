"""Python 3.10: every error inside a hydra program ends in another one.

hydra/_internal/utils.py:267 shows it with ``print_exception(etype=None, ...)``, an argument that
Python 3.10 made positional only, so the last line of any failure is ``TypeError: print_exception()
got an unexpected keyword argument 'etype'``, or in 3.13 ``missing 1 required positional argument:
'exc'``. Before that (:237), ``assert mdl is not None`` does the same to an error that came
through generated code.

Only an exception that is not one of hydra's own gets there. It is now shown by Python itself, from
the program's first line on, as hydra means to, before hydra's function sees it. A mistake of the
user, and one in the options of this package's runs, is shown as its sentence.
``HYDRA_FULL_ERROR=1`` means what it meant.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

from fairseq_dro.errors import sentence_of

EXPLANATIONS: list[Callable[[Exception], list[str]]] = []
"""What says an error of hydra's in sentences, or nothing: ``refusals/mistaken_options.py``."""

HINT = "\nSet the environment variable HYDRA_FULL_ERROR=1 for a complete stack trace.\n"


def needed() -> bool:
    return sys.version_info >= (3, 10)


def apply() -> None:
    utils = sys.modules["hydra._internal.utils"]
    original = utils.run_and_report
    hydra_errors = utils.CompactHydraException

    def run_and_report(func: Callable[[], Any]) -> Any:
        def shown() -> Any:
            try:
                return func()
            except Exception as error:
                if os.environ.get("HYDRA_FULL_ERROR") == "1":
                    raise
                sentence = sentence_of(error)
                sentences = _explained(error) if sentence is None else [sentence]
                if sentences:  # they say all; a trace would bury it
                    sys.stderr.writelines(f"error: {one}\n" for one in sentences)
                    sys.exit(2)
                if isinstance(error, hydra_errors):
                    raise
                traceback.print_exception(type(error), error, _below_hydra(error.__traceback__))
                sys.stderr.write(HINT)
                sys.exit(1)

        return original(shown)

    utils.run_and_report = run_and_report


def _explained(error: Exception) -> list[str]:
    return [sentence for explain in EXPLANATIONS for sentence in explain(error)]


def _below_hydra(trace: TracebackType | None) -> TracebackType | None:
    """The part of a trace that hydra's run_job (hydra/core/utils.py:129) called, or all of it."""
    step = trace
    while step is not None:
        if step.tb_frame.f_code.co_name == "run_job" and step.tb_next is not None:
            return step.tb_next
        step = step.tb_next
    return trace
