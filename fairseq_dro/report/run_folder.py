"""What a finished run left behind: its history, its test scores, its data folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairseq_dro.errors import UserError
from fairseq_dro.report.history import HISTORY_FILE, read_records

RESULTS = "decode_test"  # sub-folder that holds infer's scores.json
_SCORES_FORMAT = 1


@dataclass(frozen=True)
class RunFolder:
    """One training run with its decoded test split.

    Attributes:
        name: the folder's own name.
        objective: erm, group_dro or ctc_dro; empty where no history says it.
        history: validations by ascending update (``history.jsonl``), possibly none.
        cer, wer: error rates of the test split by language, as fractions.
        final_q: weights at the last validation by language; empty without a history.
    """

    folder: Path
    name: str
    objective: str
    history: list[dict[str, Any]]
    cer: dict[str, float]
    wer: dict[str, float]
    n_utterances: dict[str, int]

    @property
    def final_q(self) -> dict[str, float]:
        if not self.history:
            return {}
        last = self.history[-1]["languages"]
        return {code: row["q"] for code, row in last.items() if row.get("q") is not None}

    @property
    def last_update(self) -> int:
        return int(self.history[-1]["update"]) if self.history else 0


def read_run(folder: str | Path, results: str = RESULTS) -> RunFolder:
    """Read ``history.jsonl`` and ``<results>/scores.json`` of a run.

    Raises:
        UserError: the folder or its scores are missing, or the scores cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} does not exist: expected the hydra.run.dir of a training run.")
    scores = _read_scores(folder / results / "scores.json", folder)
    history_path = folder / HISTORY_FILE
    history = read_records(history_path) if history_path.exists() else []
    history = [record for record in history if isinstance(record.get("languages"), dict)]
    # of several validation splits the first, by which fairseq chooses checkpoints (train.py:502)
    history = [record for record in history if record.get("subset") == history[0].get("subset")]
    languages = scores["languages"]
    return RunFolder(
        folder=folder,
        name=folder.resolve().name,
        objective=str(history[-1].get("objective", "")) if history else "",
        history=history,
        cer={code: float(row["cer"]) for code, row in languages.items()},
        wer={code: float(row["wer"]) for code, row in languages.items()},
        n_utterances={code: int(row.get("n_utterances", 0)) for code, row in languages.items()},
    )


def _read_scores(path: Path, run: Path) -> dict[str, Any]:
    try:
        scores = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{path} does not exist: decode the test split of the run first, with "
            f"`fairseq-dro-infer ... decoding.results_path={path.parent}`, or name another "
            "sub-folder with --results."
        ) from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno} is not JSON: decode {run} again.") from None
    if not scores.get("languages") or scores.get("format") != _SCORES_FORMAT:
        raise UserError(
            f"{path}: expected scores of format {_SCORES_FORMAT} with at least one language: "
            "decode again with the fairseq-dro-infer of this version."
        )
    return scores


def data_folder_of(run: Path) -> Path | None:
    """``task.data`` of the run's stored configuration, or None where it is not to be found."""
    config = run / ".hydra" / "config.yaml"
    if not config.exists():
        return None
    import yaml

    task = (yaml.safe_load(config.read_text(encoding="utf-8")) or {}).get("task") or {}
    data = Path(str(task.get("data", "")))
    return data if data.is_absolute() and data.is_dir() else None
