"""Everything that exists only because fairseq 0.12.2 and hydra 1.0.7 are old.

One module a reason. Each cites the line it answers and has two functions: ``needed()``, whether the
running versions need it at all, and ``apply()``. Each has a test that runs the stock command
without it and asserts the error, so that a module can be deleted on the day its test goes red.

What fairseq needs in order to start is listed here, everything else in ``patches.py``. What a new
Python or torch needs is applied to every run; whatever else is applied, fairseq's own tasks and
criterions do what they do without it (``own_runs.py``).

The environment variable ``FAIRSEQ_DRO_COMPAT`` chooses what is applied, from other folders too:

============  ======================================================================================
unset, ``1``  everything that the running versions need
``0``         nothing, and no import hook: hydra and fairseq as they are
``startup``   only what fairseq needs in order to start; the plugin does not register itself
``-a,-b``     everything but the reasons ``a`` and ``b`` (module names of this package)
============  ======================================================================================
"""

from __future__ import annotations

import importlib
import os

# (reason, the moment it belongs to): "start" is before hydra or fairseq is imported, otherwise
# right after the module of that name has been imported
STARTUP = (
    ("dataclass_defaults", "start"),
    ("plugin_scan", "start"),
    ("typing_io", "start"),
    ("tensorboard_hint", "start"),
    ("error_traceback", "hydra._internal.utils"),
    ("user_dir", "fairseq"),
)

_done: set[str] = set()


def apply_startup(moment: str) -> None:
    """Apply the start-up reasons that belong to `moment`; a second call does nothing."""
    for reason, when in STARTUP:
        if when == moment:
            apply_once(f"{__name__}.{reason}")


def is_off(reason: str) -> bool:
    """Whether ``FAIRSEQ_DRO_COMPAT`` forbids the patch `reason`."""
    wanted = os.environ.get("FAIRSEQ_DRO_COMPAT", "")
    return wanted == "0" or f"-{reason}" in wanted.split(",")


def apply_once(module: str) -> None:
    """Make the patch of a module, unless it is switched off, not needed, or made already."""
    reason = module.rpartition(".")[2]
    if reason in _done or is_off(reason):
        return
    patch = importlib.import_module(module)
    if not hasattr(patch, "needed") or patch.needed():
        patch.apply()
    _done.add(reason)
