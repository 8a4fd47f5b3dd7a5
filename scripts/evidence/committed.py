"""Runs whose records are committed, and the try of an arm that is compared."""

from __future__ import annotations

from statistics import fmean

from plan import RECORDS, SETTINGS, Run

from fairseq_dro.runs.history import HISTORY_FILE, read_records

SEEDS = (1, 2, 3, 4, 5)


def choose(setting: str, arm: str) -> int | None:
    """The try with the lowest mean CER of dev speech after the last update, at seed 1."""
    tries = SETTINGS[setting].arms[arm]
    rates = {attempt: dev_cer(Run(setting, arm, attempt, 1)) for attempt in tries}
    made = {attempt: rate for attempt, rate in rates.items() if rate is not None}
    return min(made, key=made.__getitem__) if made else None


def seeds(setting: str, arm: str, attempt: int) -> list[Run]:
    """The runs of an arm that are made."""
    planned = [Run(setting, arm, attempt, seed) for seed in SEEDS]
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
    records, apart = validations(run), SETTINGS[run.setting].apart
    if not records:
        return None
    languages = records[-1]["languages"].items()
    return fmean(values["cer"] for code, values in languages if code not in apart)


def runs_made(setting: str) -> list[Run]:
    """All runs of a setting that are made."""
    arms = SETTINGS[setting].arms
    return [
        run
        for arm, tries in arms.items()
        for attempt in tries
        for run in seeds(setting, arm, attempt)
    ]
