"""Python 3.10: an error inside a hydra program is hidden by another one.

hydra/_internal/utils.py:267 shows it with ``print_exception(etype=None, ...)``, an argument that
Python 3.10 made positional only: ``TypeError: print_exception() got an unexpected keyword argument
'etype'`` is all that is seen. Two lines above (:247), ``assert mdl is not None`` hides an error that
came through generated code in the same way.

Both are reached only by an exception that is not one of hydra's own. Such an exception is now
shown whole, by Python itself, before hydra's function sees it. ``HYDRA_FULL_ERROR=1`` means what
it meant.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Any


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
            except hydra_errors:
                raise
            except Exception:
                if os.environ.get("HYDRA_FULL_ERROR") == "1":
                    raise
                traceback.print_exc()
                sys.exit(1)

        return original(shown)

    utils.run_and_report = run_and_report
