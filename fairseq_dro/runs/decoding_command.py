"""The command that decodes a run, to be typed as it stands."""

from __future__ import annotations

import shlex
from pathlib import Path

from fairseq_dro.hydra_words import hydra_value
from fairseq_dro.runs.decodable import results_folder_of
from fairseq_dro.runs.training_run import TrainingRun


def decoding_command(run: TrainingRun, results: str, split: str = "test") -> str:
    """With ``checkpoint_best.pt``, or with the last where that is all there is.

    Args:
        results: name of the folder below the run's.
    """
    best, last = (run.checkpoints / f"checkpoint_{name}.pt" for name in ("best", "last"))
    return infer_command(last if last.exists() and not best.exists() else best,
                         run.folder / results, split)


def infer_command(checkpoint: Path, results: Path, split: str = "test") -> str:
    """Args: the file to decode with; the folder for the results; the split to decode."""
    words = ["fairseq-dro", "infer", str(checkpoint), "--split", split]
    if results_folder_of(checkpoint, split) != results:
        words.append(f"decoding.results_path={hydra_value(str(results))}")
    return shlex.join(words)
