"""Runs whose records are committed, and the try of an arm that is compared."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean

from plan import RECORDS, SETTINGS, Run

from fairseq_dro.runs.history import HISTORY_FILE, read_records


def best_on_dev(runs: Iterable[Run]) -> Run | None:
    """The run of lowest mean CER on dev speech after the last update; None if none is made."""
    rates = {run: dev_cer(run) for run in runs}
    return min((run for run in rates if rates[run] is not None), key=rates.get, default=None)


def choose(setting: str, arm: str) -> int | None:
    """The try of an arm that is the best on dev speech at seed 1."""
    best = best_on_dev(Run(setting, arm, attempt, 1) for attempt in SETTINGS[setting].arms[arm])
    return best and best.attempt


def seeds(setting: str, arm: str, attempt: int) -> list[Run]:
    """The runs of an arm that are made."""
    n_seeds = SETTINGS[setting].seeds.get(arm, 1)
    planned = [Run(setting, arm, attempt, seed) for seed in range(1, n_seeds + 1)]
    return [run for run in planned if (RECORDS / run.name / "decode_test/scores.json").exists()]


def validations(run: Run) -> list[dict]:
    """Records of the run's validations, oldest first."""
    return [record for record in records_of(run, HISTORY_FILE) if "languages" in record]


def records_of(run: Run, file_name: str) -> list[dict]:
    """Of a file of the run folder, by update; none where the run has no such file."""
    path = RECORDS / run.name / file_name
    return read_records(path) if path.exists() else []


def dev_cer(run: Run) -> float | None:
    """Mean CER of the run's last validation over the languages that count."""
    records = validations(run)
    if not records:
        return None
    return fmean(records[-1]["languages"][code]["cer"] for code in SETTINGS[run.setting].counted)


def runs_made(setting: str) -> list[Run]:
    """All runs of a setting that are made."""
    arms = SETTINGS[setting].arms
    return [
        run
        for arm, tries in arms.items()
        for attempt in tries
        for run in seeds(setting, arm, attempt)
    ]
