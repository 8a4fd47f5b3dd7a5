"""Which of the runs were not decoded, or not into the folder that was asked for."""

from __future__ import annotations

from pathlib import Path

from fairseq_dro.report.alarms import Alarm
from fairseq_dro.report.report_data import ReportData
from fairseq_dro.runs.decoding_command import decoding_command
from fairseq_dro.runs.record_file import decoded_folders


def not_decoded(data: ReportData) -> list[Alarm]:
    """Runs without scores beside runs that have some; for none at all the page says so itself."""
    scores = [data.scores, *data.baseline_scores]
    if not any(scores):
        return []
    split = next((run.decoded_from.split for run, one in zip(data.runs, scores) if one), None)
    found = []
    for run, one in zip(data.runs, scores):
        if one is None:
            missing = "no test number" + (
                " and no difference" if run is data.run else " of it and no difference from it"
            )
            found.append(
                Alarm(
                    "not decoded",
                    f"{run.name} has no records in {run.folder / run.results}, so there is "
                    f"{missing} below: decode it with "
                    f"`{decoding_command(run, run.results, split or 'test')}`"
                    f"{or_another_folder(run.folder)}.",
                )
            )
    return found


def another_folder(data: ReportData) -> list[Alarm]:
    """Runs whose scores are of another folder than the one that was asked for."""
    found = []
    for run in data.runs:
        if run.utterances and run.results != data.results:
            others = [n for n in decoded_folders(run.folder) if n != run.results]
            more = f"; there is {' and '.join(others)} as well (--results NAME)" if others else ""
            found.append(
                Alarm(
                    "another folder",
                    f"{run.name} has no {data.results}: its test numbers are those of "
                    f"{run.results}{more}.",
                )
            )
    return found


def or_another_folder(folder: Path) -> str:
    """`` (it has records in decode_dev: ...)``; empty where it has none at all."""
    names = decoded_folders(folder)
    if not names:
        return ""
    return f" (it has records in {', '.join(names)}: --results NAME takes those)"
