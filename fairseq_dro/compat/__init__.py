"""Everything that exists only because fairseq 0.12.2 and hydra 1.0.7 are old.

One module a reason. Each cites the line it answers and has two functions: ``needed()``, whether the
running versions need it at all, and ``apply()``. Each has a test that runs the stock command
without it and asserts the error, so that a module can be deleted on the day its test goes red.

What a new Python or torch needs is applied to every run; whatever else is applied, fairseq's own
tasks and criterions do what they do without it (``own_runs.py``).

The environment variable ``FAIRSEQ_DRO_COMPAT`` chooses what is applied:

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

# reasons applied by fairseq_dro.register(), when fairseq has been imported, each wrapping what the
# ones before it have wrapped: of those around load_checkpoint, preemption is the outermost, since
# training begins when it returns
AFTER_FAIRSEQ: tuple[str, ...] = (
    "safe_globals",
    "trusted_broadcast",
    "unreadable_files",
    "foreign_task_keys",
    "wrong_pretrained_files",
    "finetuned_units",
    "unmatched_weights",
    "relative_paths",
    "plus_signs",
    "missing_inputs",
    "sweep_leftovers",
    "primitive_cache",
    "finished_run",
    "no_decay",
    "crash_checkpoint",
    "atomic_saving",
    "damaged_checkpoints",
    "missing_restore_file",
    "preemption",
)

_done: set[str] = set()


def apply_startup(moment: str) -> None:
    """Apply the start-up reasons that belong to `moment`; a second call does nothing."""
    for reason, when in STARTUP:
        if when == moment:
            _apply_once(reason)


def apply() -> None:
    """Apply every reason that needs fairseq to be imported first; a second call does nothing."""
    if os.environ.get("FAIRSEQ_DRO_COMPAT") == "startup":
        return
    own_runs = importlib.import_module(f"{__name__}.own_runs")
    own_runs.apply()
    for reason in AFTER_FAIRSEQ:
        _apply_once(reason)


def is_off(reason: str) -> bool:
    """Whether ``FAIRSEQ_DRO_COMPAT`` forbids the patch `reason`."""
    wanted = os.environ.get("FAIRSEQ_DRO_COMPAT", "")
    return wanted == "0" or f"-{reason}" in wanted.split(",")


def _apply_once(reason: str) -> None:
    if reason in _done or is_off(reason):
        return
    patch = importlib.import_module(f"{__name__}.{reason}")
    if patch.needed():
        patch.apply()
    _done.add(reason)
