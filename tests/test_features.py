"""Laws of features that are computed once: the files, the command, and training from them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from fairseq_dro.cli import main
from fairseq_dro.data.feature_file import open_features
from fairseq_dro.data.manifest import read_manifest
from fairseq_dro.errors import UserError
from fairseq_dro.features import command as features_command
from fairseq_dro.features import extraction
from fairseq_dro.runs.history import read_records
from tests.checkpoints import assert_same_training_state, load
from tests.frozen_encoders import FROZEN_RUN, HEADS, KINDS, frozen_command, make_model, write_encoder
from tests.killed_commands import Moment, at
from tests.runs import group_dro_ctc, make_task, samples_of
from tests.test_whisper_runs import infer  # noqa: F401

LAST = Path("checkpoints/checkpoint_last.pt")


@pytest.fixture(scope="module", params=KINDS)
def encoder(request, tmp_path_factory) -> dict:
    return write_encoder(tmp_path_factory.mktemp("encoder"), request.param)


@pytest.fixture(scope="module")
def features(encoder, tiny_data, tmp_path_factory) -> Path:
    return compute(tiny_data, encoder, tmp_path_factory.mktemp("features") / "of_it")


def compute(data: Path, encoder: dict, out: Path, *words: str) -> Path:
    path = encoder.get("whisper_path") or encoder["w2v_path"]
    assert main(["features", str(data), "--model", path, "--out", str(out), *words]) == 0
    return out


def test_losses_from_features_are_those_from_audio(encoder, features, tiny_data):
    losses = {}
    for folder in (None, str(features)):
        task = make_task(tiny_data, normalize=encoder["normalize"], features=folder)
        model = task.build_model(config_of(encoder))
        criterion = group_dro_ctc(task)
        model.eval(), criterion.eval()
        task.load_dataset("train")
        with torch.no_grad():
            losses[folder] = torch.cat(
                [criterion.utterances(model, sample).losses for sample in samples_of(task)]
            )
    assert len(losses[None]) == 126
    torch.testing.assert_close(losses[str(features)], losses[None], rtol=1e-3, atol=1e-3)
