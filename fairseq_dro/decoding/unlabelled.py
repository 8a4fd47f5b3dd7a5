"""Decode a split that has no transcripts: in the place of each stands a word that is never scored.

fairseq's data sets want a target for each utterance. So the split is decoded from a folder beside
the data, in which the label file is made up and everything else is the user's.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fairseq_dro.decoding.decoded import Decoded
from fairseq_dro.decoding.results import write_hypotheses

PREFIX = "fairseq_dro_unlabelled_"


def is_unlabelled(cfg: DictConfig) -> bool:
    """Whether the split has audio and no transcripts."""
    split = Path(cfg.task.data) / cfg.dataset.gen_subset
    return Path(f"{split}.tsv").is_file() and not Path(f"{split}.{cfg.task.labels}").exists()


def is_made_up(cfg: DictConfig) -> bool:
    """Whether ``make_up_labels`` has been here."""
    return Path(cfg.task.data).name.startswith(PREFIX)


def make_up_labels(cfg: DictConfig, state: dict[str, Any]) -> None:
    """Let ``task.data`` be a temporary folder in which the split has labels.

    Args:
        state: the checkpoint, whose dictionary is taken where the folder has none.
    """
    data, split, labels = Path(cfg.task.data), cfg.dataset.gen_subset, cfg.task.labels
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for path in data.iterdir():
        os.symlink(path.resolve(), folder / path.name)
    symbol = write_dictionary(folder / f"dict.{labels}.txt", state)
    n_lines = len((data / f"{split}.tsv").read_text(encoding="utf-8").splitlines()) - 1
    (folder / f"{split}.{labels}").write_text(f"{symbol}\n" * n_lines, encoding="utf-8")
    if not (folder / f"{split}.lang").exists() and "detect_language" in cfg.task:
        (folder / f"{split}.lang").write_text("eng\n" * n_lines)  # whatever: it is detected
        OmegaConf.update(cfg, "task.detect_language", True, merge=False)
    OmegaConf.update(cfg, "task.data", str(folder), merge=False)


def write_dictionary(path: Path, state: dict[str, Any]) -> str:
    """A dictionary at ``path``, of the checkpoint if none is there; one of its units.

    A model with a tokenizer of its own has no dictionary, and takes any word.
    """
    dictionary = (state.get("task_state") or {}).get("target_dictionary")
    if not path.exists():
        if dictionary is None:
            return "a"
        dictionary.save(str(path))
    with open(path, encoding="utf-8") as stream:
        return next(line.split(" ")[0] for line in stream if not line.startswith(("|", "[")))


def write_results(folder: str | None, decoded: list[Decoded]) -> str:
    """Write the hypotheses, and give them as lines ``id<TAB>text``."""
    if folder is not None:
        write_hypotheses(Path(folder), decoded)
    return "".join(f"{one.scored.id}\t{one.scored.hypothesis}\n" for one in decoded)
