"""Shared fixtures: a tiny spoken-tone corpus, tiny pre-trained files and runs from them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.killed_commands import CommandServer
from tests.stock_commands import stock_train_command, train_command
from tests.tiny_corpus import write_tiny_corpus

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def a_test_is_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has set up a task of ours is at a run of ours, which no later test is."""
    from fairseq_dro import own_runs

    monkeypatch.setattr(own_runs, "_current", False)


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data folder with train, valid and test of deu, ell and fra; do not change it."""
    return write_tiny_corpus(tmp_path_factory.mktemp("tiny_data"))


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random wav2vec2 of two 32-wide layers in a file shaped like ``xlsr2_300m.pt``."""
    from fairseq_dro.demo.random_checkpoint import write_random_checkpoint

    path = tmp_path_factory.mktemp("tiny_checkpoint") / "xlsr2_tiny.pt"
    write_random_checkpoint(path, **TINY_SIZES)
    return path


@pytest.fixture(scope="session")
def command_server() -> Iterator[CommandServer]:
    """Runs training commands in a second each, and lets them die (``killed_commands.py``)."""
    server = CommandServer()
    yield server
    server.close()


# Workers of pytest-xdist take tests in the order of their files, so the files that share a training
# have names that follow each other: else two workers would train.


@pytest.fixture(scope="session")
def pretrained_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One tiny pre-trained file of each origin."""
    from tests.pretrained_files import write_pretrained_files

    return write_pretrained_files(tmp_path_factory.mktemp("pretrained"))


@pytest.fixture(scope="session")
def fine_tuned(
    pretrained_files: dict[str, Path],
    tiny_data: Path,
    tmp_path_factory: pytest.TempPathFactory,
    command_server: CommandServer,
) -> Path:
    """Run folder of three updates from an XLS-R-shaped file, by the command of a user."""
    folder = tmp_path_factory.mktemp("fine_tuned")
    command = train_command(tiny_data, pretrained_files["xlsr2_300m"], optimization__max_update="3")
    command_server.run(command, folder)
    return folder


@pytest.fixture(scope="session")
def stock_model(
    tiny_data: Path,
    tiny_checkpoint: Path,
    tmp_path_factory: pytest.TempPathFactory,
    command_server: CommandServer,
) -> Path:
    """A model fine-tuned by fairseq's own task and criterion."""
    folder = tmp_path_factory.mktemp("stock_model")
    command_server.run(stock_train_command(tiny_data, tiny_checkpoint), folder)
    return folder / "checkpoints" / "checkpoint_last.pt"


@pytest.fixture
def two_runs(tmp_path: Path) -> list[Path]:
    """Decoded runs, erm and ctc_dro, of deu and kat."""
    from tests.compared_runs import plant_two_runs

    return plant_two_runs(tmp_path)


TINY_SIZES = dict(
    encoder_layers=2, encoder_embed_dim=32, encoder_ffn_embed_dim=64, encoder_attention_heads=4,
    conv_feature_layers="[(32, 10, 5)] + [(32, 3, 2)] * 4 + [(32, 2, 2)] * 2", seed=7,
)
