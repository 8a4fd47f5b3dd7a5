"""Everything that a run folder tells, each part possibly missing.

A run made with this package has ``history.jsonl`` and ``group_weights.jsonl``; one with fairseq's
own task or criterion has only the log and what was decoded later. A run that is still going has
whatever has been written so far.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from fairseq_dro.data.manifest import Manifest, read_manifest
from fairseq_dro.errors import UserError
from fairseq_dro.group_by import BY_LANGUAGE, GroupBy
from fairseq_dro.runs.decodable import RESULTS, run_meant_by
from fairseq_dro.runs.decoding_source import DecodingSource, decoding_source
from fairseq_dro.runs.history import (
    GROUP_WEIGHTS_FILE,
    HISTORY_FILE,
    count_falls,
    read_records,
)
from fairseq_dro.runs.progress import Progress, read_progress
from fairseq_dro.runs.provenance import RUN_FILE
from fairseq_dro.runs.record_file import RECORDS_FILE
from fairseq_dro.runs.record_file import read_records as read_utterances
from fairseq_dro.runs.training_log import TrainingLog, read_training_log
from fairseq_dro.scoring.records import Record

LOG_FILE = "hydra_train.log"


@dataclass
class TrainingRun:
    """One run folder.

    Attributes:
        name: as it is called in tables; the folder's own name unless two are alike.
        history: validations of each split by ascending update, the primary split first.
        moves: moves of q (``group_weights.jsonl``).
        config: the stored configuration, interpolations as they were written.
        overrides: options typed on the command line.
        starts: lines of ``run.jsonl`` (see ``provenance``), one per start.
        log: fairseq's own log.
        progress: how far it is, as it says itself.
        falls: how often its files fall back to an earlier update.
        utterances: decoded utterances; empty before decoding.
        results: name of the folder that holds them.
    """

    folder: Path
    name: str
    history: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    moves: list[dict[str, Any]] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)
    hydra: dict[str, Any] = field(default_factory=dict)
    starts: list[dict[str, Any]] = field(default_factory=list)
    log: TrainingLog = field(default_factory=TrainingLog)
    progress: Progress | None = None
    falls: int = 0
    utterances: list[Record] = field(default_factory=list)
    results: str = RESULTS

    def option(self, section: str, name: str, default: Any = None) -> Any:
        """As the stored configuration has it; the default where it is null, 0, empty or absent."""
        return (self.config.get(section) or {}).get(name) or default

    @property
    def subset(self) -> str:
        """Name of the primary validation split, by which fairseq chooses checkpoints."""
        return next(iter(self.history), next(iter(self.log.validations), ""))

    @property
    def validations(self) -> list[dict[str, Any]]:
        """History of the primary split; empty for a run without ``group_dro_ctc``."""
        return self.history.get(self.subset, [])

    @property
    def objective(self) -> str:
        """``erm``, ``ctc_dro`` ...; for a run of fairseq's own criterion, the criterion's name."""
        if self.validations:
            return str(self.validations[-1].get("objective", ""))
        return str(self.option("criterion", "objective") or self.option("criterion", "_name", ""))

    @property
    def objectives(self) -> list[tuple[str, int]]:
        """Each objective that the validations name, with the last update under it, in order."""
        found: list[tuple[str, int]] = []
        for record in self.validations:
            name, update = str(record.get("objective", "")), int(record["update"])
            if found and found[-1][0] == name:
                found.pop()
            found.append((name, update))
        return found

    @property
    def group_by(self) -> GroupBy:
        """What its groups are, as the last validation has it; else languages."""
        last = self.validations[-1] if self.validations else {}
        return GroupBy.parse(last.get("group_by", BY_LANGUAGE))

    @property
    def updates(self) -> int:
        """The highest update that any file tells of."""
        updates = [int(r["update"]) for records in self.history.values() for r in records[-1:]]
        updates += [int(r["update"]) for r in self.moves[-1:]]
        updates += [self.progress.update] if self.progress is not None else []
        return max([*updates, self.log.last_update], default=0)

    @property
    def planned_updates(self) -> int:
        """``optimization.max_update`` of the last start that trained; 0 where it is not known."""
        return self.log.planned_updates or int(self.option("optimization", "max_update", 0))

    @property
    def checkpoints(self) -> Path:
        """Where the run saved them."""
        return self.folder / str(self.option("checkpoint", "save_dir", "checkpoints"))

    @property
    def final_q(self) -> dict[str, float]:
        """Latest known weights by group; empty where the run has none."""
        rows = self.validations[-1]["languages"] if self.validations else {}
        q = {group: row["q"] for group, row in rows.items() if row.get("q") is not None}
        if self.moves and (not q or self.moves[-1]["update"] > self.validations[-1]["update"]):
            q = dict(self.moves[-1]["q"])
        return q

    @property
    def moved_q(self) -> bool:
        """Whether q ever moved; under ERM it does not."""
        return self.objective != "erm" and bool(self.moves)

    def q_path(self) -> list[tuple[int, Mapping[str, float]]]:
        """(update, q by group), from the moves where they were kept, else from validations."""
        if self.moves:
            return [(int(record["update"]), record["q"]) for record in self.moves]
        path = []
        for record in self.validations:
            q = {g: row["q"] for g, row in record["languages"].items() if row.get("q") is not None}
            if q:
                path.append((int(record["update"]), q))
        return path

    @property
    def data(self) -> Path | None:
        """The data folder as the run named it, if it is (still) there."""
        named = self.option("task", "data")
        recorded = (self.starts[-1].get("data") or {}).get("folder") if self.starts else None
        base = Path((self.hydra.get("runtime") or {}).get("cwd") or ".")
        for place in (recorded, named):
            if place and (base / str(place)).is_dir():
                return base / str(place)
        return None

    @property
    def training_subset(self) -> str:
        """Name of the split that it trains on."""
        return str(self.option("dataset", "train_subset", "train"))

    @property
    def label_type(self) -> str:
        """Suffix of the label files."""
        return str(self.option("task", "labels", "ltr"))

    @property
    def post_process(self) -> str:
        """How units become text, that of decoding too."""
        return str(self.option("criterion", "post_process", "letter"))

    @property
    def best_checkpoint_metric(self) -> str:
        """By which ``checkpoint_best.pt`` is chosen."""
        return str(self.option("checkpoint", "best_checkpoint_metric", "loss"))

    @cached_property
    def decoded_from(self) -> DecodingSource:
        """What its records were decoded from."""
        return decoding_source(self.folder / self.results)

    @cached_property
    def training_manifest(self) -> Manifest | None:
        """The training split; None where its folder is gone or cannot be read."""
        if self.data is None:
            return None
        try:
            return read_manifest(
                self.data, self.training_subset, self.label_type, languages_required=False
            )
        except UserError:
            return None


def read_training_run(folder: str | Path, results: str = RESULTS) -> TrainingRun:
    """Read what there is of a run.

    Args:
        results: name of the folder, below the run's, with decoded utterances.

    Raises:
        UserError: the folder does not exist or holds nothing of a run, or its decoded utterances
            cannot be read (see ``record_file.read_records``).
    """
    folder = Path(folder)
    if not folder.is_dir():
        hint = run_meant_by(folder) or "expected the hydra.run.dir of a training run."
        raise UserError(f"{folder} does not exist: {hint}")
    run = TrainingRun(folder, folder.resolve().name, results=results)
    run.config = _yaml(folder / ".hydra" / "config.yaml")
    run.hydra = _yaml(folder / ".hydra" / "hydra.yaml").get("hydra", {})
    overrides = _yaml(folder / ".hydra" / "overrides.yaml")
    run.overrides = [str(one) for one in overrides] if isinstance(overrides, list) else []
    run.history = _by_subset(_records(folder / HISTORY_FILE), run.config)
    run.moves = [r for r in _records(folder / GROUP_WEIGHTS_FILE) if isinstance(r.get("q"), dict)]
    run.starts = _starts(folder / RUN_FILE)
    run.progress = read_progress(folder)
    files = [folder / name for name in (HISTORY_FILE, GROUP_WEIGHTS_FILE)]
    run.falls = max((count_falls(path) for path in files if path.exists()), default=0)
    if (folder / LOG_FILE).exists():
        run.log = read_training_log(folder / LOG_FILE)
    if (folder / results / RECORDS_FILE).exists():
        run.utterances = read_utterances(folder / results / RECORDS_FILE)
    if not (run.history or run.moves or run.log.n_starts or run.utterances):
        hint = run_meant_by(folder) or (
            "name the hydra.run.dir of a training run, or the folder of its decoded test split "
            "with --results."
        )
        raise UserError(
            f"{folder} holds nothing of a run: neither {HISTORY_FILE} nor {LOG_FILE} nor "
            f"{results}/{RECORDS_FILE}; {hint}"
        )
    return run


def _records(path: Path) -> list[dict[str, Any]]:
    return read_records(path) if path.exists() else []


def _by_subset(
    records: list[dict[str, Any]], config: Mapping[str, Any]
) -> dict[str, list[dict[str, Any]]]:
    """Validations by split, the primary one first (``fairseq_cli/train.py:502`` takes the first
    of ``dataset.valid_subset``).
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        if isinstance(record.get("languages"), dict):
            found.setdefault(str(record.get("subset", "")), []).append(record)
    configured = str((config.get("dataset") or {}).get("valid_subset") or "").split(",")
    order = [name for name in configured if name in found]
    return {name: found[name] for name in dict.fromkeys([*order, *found])}


def _starts(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    starts = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(record, dict):
            starts.append(record)
    return starts


def _yaml(path: Path) -> Any:
    if not path.exists():
        return {}
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError:
        return {}
