"""The command that started a run, as ``run.jsonl`` has it."""

from __future__ import annotations

import shlex

from fairseq_dro.runs.training_run import TrainingRun


def start_command(run: TrainingRun) -> str:
    """The folder to go to and the words that were typed, a line each; empty where none is recorded.

    The launcher is not among the words: ``workers`` and ``environment`` of the record tell it.
    """
    if not run.starts or not run.starts[-1].get("command"):
        return ""
    start = run.starts[-1]
    folder = str(start.get("folder") or "")
    words = shlex.join(str(word) for word in start["command"])
    return "\n".join([*([f"cd {shlex.quote(folder)}"] if folder else []), words])
