"""Which runs are this package's own, and which are other people's.

The plugin is installed for every fairseq command of an environment. What a new Python or torch
needs in order to work is patched for all of them. What this package does otherwise than fairseq
(refusals, wording, signals, saving) is done in its own runs alone: those whose task or criterion
is one of this package or derived from one, and its own commands. ``docs/guarantees.md`` has the
table.

A patch that is handed the trainer or the configuration asks about that. One that is not asks
`current`: it is true inside the commands of an own run, and in a process that has set up a task of
this package (workers that fairseq spawned; a user dir that was imported when the command was
under way).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator
from typing import Any

PACKAGE = "fairseq_dro"

_current = False


def current() -> bool:
    """Whether this process is at a run or a command of this package."""
    return _current


@contextlib.contextmanager
def own(yes: bool = True) -> Iterator[None]:
    """For a while, what `current` says; the commands of this package are wrapped in it."""
    global _current
    before, _current = _current, yes
    try:
        yield
    finally:
        _current = before


def has_own_part(trainer: Any) -> bool:
    """Whether fairseq's `trainer` trains with a task or a criterion of this package."""
    criterion = getattr(trainer, "_criterion", None)  # the property would wrap it for DDP
    return _is_own(type(trainer.task)) or _is_own(type(criterion))


def names_own_part(cfg: Any) -> bool:
    """Whether a whole fairseq configuration names a task or a criterion of this package."""
    sections = (getattr(cfg, name, None) for name in ("task", "criterion"))
    return any(_name_of(section) in own_names() for section in sections)


def is_own_task(name: Any) -> bool:
    """Whether fairseq knows a task of this package, or one derived from it, under a name."""
    from fairseq.tasks import TASK_REGISTRY

    return name in TASK_REGISTRY and _is_own(TASK_REGISTRY[name])


def own_names() -> list[str]:
    """The names under which fairseq knows the tasks and criterions of this package."""
    from fairseq.criterions import CRITERION_REGISTRY
    from fairseq.tasks import TASK_REGISTRY

    return [
        name
        for registry in (TASK_REGISTRY, CRITERION_REGISTRY)
        for name, kind in registry.items()
        if _is_own(kind)
    ]


def mentions_own_part(texts: Iterable[str]) -> bool:
    """Whether a command line or a file names one, where there is no configuration to ask."""
    names = own_names()
    return any(name in text for text in texts for name in names)


def apply() -> None:
    """Wrap ``distributed_utils.call_main``, which knows the run, and ``tasks.setup_task``."""
    from fairseq import tasks
    from fairseq.distributed import utils as distributed_utils

    call_main, setup_task = distributed_utils.call_main, tasks.setup_task
    if hasattr(call_main, "knows_own_runs"):
        return

    @functools.wraps(call_main)
    def call_main_of_a_run(cfg: Any, main: Any, **kwargs: Any) -> Any:
        with own(_current or names_own_part(cfg)):
            return call_main(cfg, main, **kwargs)

    @functools.wraps(setup_task)
    def setup_task_of_a_run(cfg: Any, **kwargs: Any) -> Any:
        global _current
        _current = _current or is_own_task(_name_of(cfg))
        return setup_task(cfg, **kwargs)

    call_main_of_a_run.knows_own_runs = True  # type: ignore[attr-defined]
    distributed_utils.call_main = call_main_of_a_run
    tasks.setup_task = setup_task_of_a_run


def _is_own(kind: type) -> bool:
    return any(one.__module__.split(".")[0] == PACKAGE for one in kind.__mro__)


def _name_of(section: Any) -> str | None:
    """The registered name in a section, which a namespace of options has in its place."""
    return section if isinstance(section, str) else getattr(section, "_name", None)
