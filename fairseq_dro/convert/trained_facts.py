"""What a model card says of a run: languages, hours, weights, rates, and how it was trained."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairseq_dro.compat.relative_paths import PATH_OPTIONS
from fairseq_dro.group_by import BY_LANGUAGE, GroupBy
from fairseq_dro.runs.decodable import CHECKPOINTS, results_folder_of, run_folder_of
from fairseq_dro.runs.run_state import state_of
from fairseq_dro.runs.training_run import TrainingRun, read_training_run

TEST = "test"
LAST = CHECKPOINTS[1]
"""As ``checkpoint.restore_file`` it is the run's own, and no start."""
_PLACES = {
    *(f"{section}.{option}" for section, option in PATH_OPTIONS), "checkpoint.save_dir",
    "task.history_dir", "common.tensorboard_logdir", "common.log_file",
}  # fmt: skip
"""Options whose values are places on somebody's machine, and none of the reader's business."""
_ABSOLUTE = re.compile(r"(^|[\[({,:'\"])(/|~)")


@dataclass(frozen=True)
class Group:
    """A language, or another group that q weighs.

    Attributes:
        hours: of training speech.
        q: its weight at the end of training.
        scores: its row of ``scores.json``; empty where it was not decoded.
    """

    name: str
    language: str | None
    hours: float | None
    q: float | None
    scores: Mapping[str, Any]

    @property
    def is_trained(self) -> bool:
        """Whether training had it; a test split may have more."""
        return bool(self.hours) or self.q is not None


@dataclass(frozen=True)
class TrainedFacts:
    """See the head of this file.

    Attributes:
        checkpoint: name of the file, and the update that it holds.
        scores: content of ``scores.json`` of exactly this checkpoint; empty where it has none.
        missing: why there are no scores.
        command: what makes them; it names a place.
    """

    run: TrainingRun
    checkpoint: str
    update: int
    scores: Mapping[str, Any]
    missing: str = ""
    command: str = ""

    @property
    def group_by(self) -> GroupBy:
        if self.scores:
            return GroupBy.parse(self.scores.get("group_by", BY_LANGUAGE))
        return self.run.group_by

    @property
    def data(self) -> str:
        """The name of the data folder."""
        return Path(str(self.run.option("task", "data") or "data")).name

    @property
    def start(self) -> str:
        """The names of the pre-trained model and of the checkpoint that training started from."""
        model = self.run.option("model", "w2v_path") or self.run.option("model", "whisper_path")
        names = [Path(str(model)).name] if model else []
        for option in ("finetune_from_model", "restore_file"):
            path = Path(str(self.run.option("checkpoint", option, LAST)))
            if str(path) != LAST:
                run = f"{path.parent.parent.name}/" if path.parent.name == "checkpoints" else ""
                names.append(f"{run}{path.name}")
        return " by way of ".join(names)

    @property
    def tested_on(self) -> str:
        """The name of the data folder whose test split was decoded."""
        return str((self.scores.get("decoded") or {}).get("data") or self.data)

    @property
    def typed(self) -> list[str]:
        """Options on the command line, without places."""
        return [one for one in self.run.overrides if not _is_place(one)]

    @property
    def search(self) -> str:
        """How the scored texts were searched for; empty where ``scores.json`` does not say."""
        decoded = self.scores.get("decoded") or {}
        beam, decoder = decoded.get("beam"), decoded.get("decoder", "viterbi")
        if beam is None:
            return ""
        is_ctc = "stop_at_loops" not in decoded
        found = "greedy" if beam == 1 or (is_ctc and decoder == "viterbi") else f"beam of {beam}"
        if is_ctc and decoder != "viterbi":
            found = f"{decoder}, beam of {beam}"
        return f"{found}, loops not stopped" if decoded.get("stop_at_loops") is False else found

    @property
    def versions(self) -> dict[str, str]:
        found = (self.run.starts[-1].get("versions") or {}) if self.run.starts else {}
        return {name: version for name, version in found.items() if version}

    @property
    def state(self) -> str:
        """``finished`` or what else the run is."""
        return state_of(self.run)

    def groups(self) -> list[Group]:
        """By ascending name."""
        rows, q = self.scores.get("languages") or {}, self.run.final_q
        hours = self._hours()
        by = self.group_by
        return [
            Group(name, by.language_of(name), hours.get(name), q.get(name), rows.get(name) or {})
            for name in sorted({*rows, *q, *hours})
        ]

    def _hours(self) -> dict[str, float]:
        kept = (self.scores.get("training") or {}).get("train_seconds")
        if kept:
            return {str(name): float(seconds) / 3600 for name, seconds in kept.items()}
        manifest = self.run.training_manifest
        if manifest is None or self.group_by != BY_LANGUAGE:
            return {}
        rate = int(self.run.option("task", "sample_rate", 16_000))
        return {
            name: float(manifest.n_samples[manifest.languages.codes == code].sum()) / rate / 3600
            for code, name in enumerate(manifest.languages.names)
        }


def _is_place(override: str) -> bool:
    """Whether it names a place; of an option that is not known, an absolute one."""
    name, _, value = override.lstrip("+~").partition("=")
    return name in _PLACES or name.startswith("hydra.") or bool(_ABSOLUTE.search(value))


def facts_of(
    checkpoint: Path, update: int, cfg: Mapping[str, Any]
) -> TrainedFacts | None:
    """Of the run in whose folder a checkpoint lies; None where it lies in none.

    Args:
        update: of the checkpoint; scores of another one are not its scores.
        cfg: of the checkpoint, in plain values.

    Raises:
        UserError: the folder holds nothing of a run.
    """
    folder = run_folder_of(checkpoint)
    if folder is None:
        return None
    results = results_folder_of(checkpoint, TEST)
    run = read_training_run(folder)
    run.config = dict(cfg)  # complete, where hydra stored what the recipe and the command said
    named = folder if checkpoint.name in CHECKPOINTS else checkpoint
    command = f"fairseq-dro infer {named}"
    try:
        scores = json.loads((results / "scores.json").read_text(encoding="utf-8"))
        of_update = (scores.get("decoded") or {}).get("update")
    except (OSError, ValueError, AttributeError):
        why = "the test split was not decoded"
        return TrainedFacts(run, checkpoint.name, update, {}, why, command)
    if of_update != update:
        why = f"{results.name} was decoded at update {of_update}, and this is update {update}"
        return TrainedFacts(run, checkpoint.name, update, {}, why, command)
    return TrainedFacts(run, checkpoint.name, update, scores)
