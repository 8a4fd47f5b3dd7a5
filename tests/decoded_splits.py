"""Decode splits of a data folder in this process, and read what was written or refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fairseq_dro.errors import UserError


def infer(*words: str) -> Path:
    """Decode with option=value words, as on the command line; the results folder."""
    from hydra.experimental import compose, initialize

    from fairseq_dro.commands import scored_infer

    scored_infer.store_config(scored_infer.CONFIG_NAME)
    with initialize():
        cfg = compose(scored_infer.CONFIG_NAME, overrides=[*words, "dataset.num_workers=0"])
    results = cfg.decoding.results_path
    scored_infer.decode(cfg, {word.split("=", 1)[0] for word in words})
    return Path(results)


def error_of(*words: str) -> str:
    """The one sentence with which ``infer`` refuses."""
    with pytest.raises(UserError) as caught:
        infer(*words)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def copy_split(data: Path, to: Path, *, without: tuple[str, ...] = ()) -> Path:
    """A data folder of its own on the same audio files."""
    shutil.copytree(data, to, ignore=shutil.ignore_patterns("wav", *without))
    return to


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()
