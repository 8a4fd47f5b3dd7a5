"""Which runs are seeds of one arm: as typed, or by their configurations."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from os.path import commonprefix
from pathlib import Path
from typing import Any, NamedTuple

from fairseq_dro.errors import UserError
from fairseq_dro.group_by import BY_LANGUAGE, GroupBy
from fairseq_dro.runs.decoding_command import decoding_command
from fairseq_dro.runs.record_file import said_to_be_in
from fairseq_dro.runs.training_run import TrainingRun, read_training_run

# Options that say where a run is and not what it is.
_PLACES = {
    "common": ("seed", "tensorboard_logdir", "log_file", "wandb_project", "aim_repo"),
    "checkpoint": ("save_dir", "restore_file"),
    "hydra": None,
}


class Arm(NamedTuple):
    """One way of training: a name and its runs, which differ in their seeds."""

    name: str
    runs: list[TrainingRun]


def read_arms(typed: Sequence[str], results: str) -> list[Arm]:
    """The arms of ``NAME=RUN,RUN`` or ``RUN``, as typed.

    Where nothing but run folders is typed, runs that differ in their seed only are one arm
    (``group_runs``); beside a named arm, each is an arm of its own.

    Raises:
        UserError: a name or a run is missing or there twice, or see ``read``.
    """
    named = ["=" in text and not Path(text).exists() for text in typed]
    if not any(named):
        return group_runs([Path(text) for text in typed], results)
    arms = []
    for text, is_named in zip(typed, named):
        name, _, folders = text.partition("=") if is_named else ("", "", text)
        if is_named and not (name and all(folders.split(","))):
            raise UserError(
                f"compare: {text}: expected NAME=RUN or NAME=RUN,RUN,RUN (run folders)."
            )
        runs = [read(Path(one), results) for one in (folders.split(",") if name else [folders])]
        arms.append(Arm(name or runs[0].name, runs))
    _require_distinct(arms)
    return arms


def group_runs(folders: Sequence[Path], results: str) -> list[Arm]:
    """Arms in the order in which their first runs were typed.

    Runs whose stored configurations differ in nothing but ``common.seed`` and places of files are
    one arm. Where this would leave a single arm, or where the seeds are equal too, each run is an
    arm of its own.

    Raises:
        UserError: a run is there twice, two have the same name, or see ``read``.
    """
    by_configuration: dict[str, list[TrainingRun]] = {}
    for folder in folders:
        run = read(folder, results)
        by_configuration.setdefault(_configuration(run), []).append(run)
    groups = []
    for runs in by_configuration.values():
        seeds = {(run.config.get("common") or {}).get("seed") for run in runs}
        together = len(seeds) == len(runs) and len(by_configuration) > 1
        groups += [runs] if together else [[run] for run in runs]
    arms = [Arm(_name(runs), runs) for runs in groups]
    if len({arm.name for arm in arms}) < len(arms):  # the names of seeds' arms are made up
        arms = [Arm(arm.name if len(arm.runs) == 1 else arm.runs[0].name, arm.runs) for arm in arms]
    _require_distinct(arms)
    return arms


def read(folder: Path, results: str) -> TrainingRun:
    """A run whose test split has been decoded.

    Raises:
        UserError: it is no run, or not decoded (see ``training_run.read_training_run``).
    """
    run = read_training_run(folder, results)
    if not run.utterances:
        raise UserError(
            f"{folder / results} holds no records: decode the test split of the run first, with "
            f"`{decoding_command(run, results)}`, or name another "
            f"sub-folder with --results{said_to_be_in(folder)}."
        )
    return run


def group_by_of(arms: Sequence[Arm]) -> GroupBy:
    """What groups are in the first run that has a history; else languages."""
    runs = (run for arm in arms for run in arm.runs if run.validations)
    return next((run.group_by for run in runs), BY_LANGUAGE)


def _configuration(run: TrainingRun) -> str:
    """What a run was told to do, without its seed; its own folder where nothing is stored."""
    if not run.config:
        return str(run.folder.resolve())
    kept: dict[str, Any] = {}
    for section, options in run.config.items():
        places = _PLACES.get(section, ())
        if places is None:
            continue
        if isinstance(options, Mapping):
            options = {key: value for key, value in options.items() if key not in places}
        kept[section] = options
    return json.dumps(kept, sort_keys=True, default=str)


def _name(runs: Sequence[TrainingRun]) -> str:
    """The folder's name; of several, what their names begin with (``erm_seed1``, ``erm_seed2``)."""
    if len(runs) == 1:
        return runs[0].name
    begin = commonprefix([run.name for run in runs])
    return re.sub(r"[-_. ]*(seed|s|run)?[-_. ]*\d*$", "", begin) or runs[0].objective or begin


def _require_distinct(arms: Sequence[Arm]) -> None:
    folders = [run.folder.resolve() for arm in arms for run in arm.runs]
    for folder in folders:
        if folders.count(folder) > 1:
            raise UserError(f"compare: {folder} is named twice; name each run once.")
    names = [arm.name for arm in arms]
    for name in names:
        if names.count(name) > 1:
            raise UserError(
                f"compare: two of the runs or arms have the same name, {name}; name them "
                "yourself, as NAME=RUN."
            )
