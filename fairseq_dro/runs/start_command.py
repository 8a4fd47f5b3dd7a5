"""The command that starts a run again, as far as ``run.jsonl`` or hydra's own files tell it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairseq_dro.runs.training_run import TrainingRun

_TORCHRUN, _SRUN = "torchrun", "srun"


@dataclass(frozen=True)
class StartCommand:
    """Lines to type.

    Attributes:
        text: the folder to go to and the command, a line each; empty where nothing is known.
        recorded: whether it was typed so; else it is put together from what hydra stored.
        unknown: what the text may lack, in words.
    """

    text: str
    recorded: bool
    unknown: tuple[str, ...]


def start_command(run: TrainingRun) -> StartCommand:
    """Of the last start that was recorded."""
    start = next((s for s in reversed(run.starts) if _is_typed(s)), None)
    if start is None:
        return _put_together(run)
    words = [*_launcher(start), *_program(start), *_options(start)]
    unknown = [] if "workers" in start else ["launcher and number of workers"]
    if _launched_by(start) == _TORCHRUN and _n_nodes(start) > 1:
        unknown.append("the rendezvous of the machines")
    return StartCommand(_lines(folder_of(run, start), words), True, tuple(unknown))


def folder_of(run: TrainingRun, start: Mapping[str, Any]) -> str:
    """Where the command was typed; empty where it is not known.

    Older versions recorded the run folder, which hydra had entered by then.
    """
    recorded = str(start.get("folder") or "")
    if recorded and Path(recorded).resolve() != run.folder.resolve():
        return recorded
    return str((run.hydra.get("runtime") or {}).get("cwd") or recorded)


def workers_of(start: Mapping[str, Any]) -> str:
    """``16, by torchrun on 2 machines``; empty where it was not recorded."""
    if "workers" not in start:
        return ""
    launcher, n_nodes = _launched_by(start), _n_nodes(start)
    by = f", by {launcher}" if launcher else ""
    return f"{start['workers']}{by}" + (f" on {n_nodes} machines" if n_nodes > 1 else "")


def _is_typed(start: Mapping[str, Any]) -> bool:
    """Whether the command is one that a person types, not what submitit makes of it."""
    words = [str(word) for word in start.get("command") or []]
    return bool(words) and "submitit" not in words[0]


def _put_together(run: TrainingRun) -> StartCommand:
    if not run.overrides:
        return StartCommand("", False, ())
    name = (run.hydra.get("job") or {}).get("config_name")
    words = ["fairseq-hydra-train", *(["--config-name", str(name)] if name else [])]
    hydra = ((run.hydra.get("overrides") or {}).get("hydra")) or []
    words += [*run.overrides, *map(str, hydra)]
    unknown = ("--config-dir", "launcher and number of workers")
    return StartCommand(_lines(folder_of(run, {}), words), False, unknown)


def _lines(folder: str, words: list[str]) -> str:
    go_there = [f"cd {shlex.quote(folder)}"] if folder else []
    return "\n".join([*go_there, shlex.join(words)])


def _options(start: Mapping[str, Any]) -> list[str]:
    return [str(word) for word in start["command"][1:]]


def _program(start: Mapping[str, Any]) -> list[str]:
    """The program as it is typed behind the launcher."""
    path = str(start["command"][0])
    program = [str(word) for word in start.get("program") or []]
    under_torchrun = _launched_by(start) == _TORCHRUN
    if program[-2:-1] == ["-m"]:
        return ["-m", program[-1]] if under_torchrun else ["python", "-m", program[-1]]
    if under_torchrun:
        return [path]  # which runs a file, and does not look for a command
    return ["python", path] if path.endswith(".py") else [Path(path).name]


def _launcher(start: Mapping[str, Any]) -> list[str]:
    environment = start.get("environment") or {}
    launcher, n_nodes = _launched_by(start), str(_n_nodes(start))
    if launcher == _TORCHRUN:
        where = ["--standalone"] if n_nodes == "1" else ["--nnodes", n_nodes]
        return [_TORCHRUN, *where, "--nproc_per_node", environment.get("LOCAL_WORLD_SIZE", "1")]
    if launcher == _SRUN:
        return [_SRUN, "--nodes", n_nodes, "--ntasks", environment["SLURM_STEP_NUM_TASKS"]]
    return []


def _launched_by(start: Mapping[str, Any]) -> str:
    environment = start.get("environment") or {}
    if "TORCHELASTIC_RUN_ID" in environment:
        return _TORCHRUN
    return _SRUN if environment.get("SLURM_STEP_NUM_TASKS", "1") != "1" else ""


def _n_nodes(start: Mapping[str, Any]) -> int:
    environment = start.get("environment") or {}
    name = "GROUP_WORLD_SIZE" if _launched_by(start) == _TORCHRUN else "SLURM_STEP_NUM_NODES"
    return int(environment.get(name) or 1)
