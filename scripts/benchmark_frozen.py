#!/usr/bin/env python3
"""What an epoch on a frozen encoder costs from audio, and from features computed once.

    .venv/bin/python scripts/benchmark_frozen.py                      # whisper-base's shape
    .venv/bin/python scripts/benchmark_frozen.py --encoder xlsr_300m --batches 1 --batch-seconds 10

fairseq's own trainer makes the same updates from audio files and from the features that
`fairseq-dro features` would write, with both heads of the recipes. Reading and collating a batch,
the encoder, the head, Adam and metrics are inside. Weights are random and the audio is noise, of
utterances of 3 to 9 s. Times are CPU seconds of one thread, which other processes disturb less than
wall time; features come from the page cache, as they do from the second epoch on where they fit
into memory.

Prints a table: CPU seconds for an hour of speech from each, their ratio, which is that of an epoch,
and what computing the features costs once.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from fairseq.trainer import Trainer
from noise_training import batches_of, make_trainer, update, write_noise

from fairseq_dro.data.manifest import read_manifest
from fairseq_dro.demo.random_checkpoint import write_random_checkpoint
from fairseq_dro.models.whisper.dims import SIZES
from fairseq_dro.models.whisper.model import WhisperModel
from fairseq_dro.models.whisper.options import WhisperConfig
from fairseq_dro.training.feature_writing import SplitFeatures

ENCODERS = {"whisper_base": "base", "xlsr_300m": "xlsr_300m"}
HEADS = {
    "frozen_linear": [],
    "frozen_transformer": ["--pre-encoder", "80", "--transformer-layers", "2"],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", choices=ENCODERS, default="whisper_base")
    parser.add_argument("--batches", type=int, default=3, help="of a language (default: 3)")
    parser.add_argument("--batch-seconds", type=float, default=24, help="of audio (default: 24)")
    parser.add_argument("--folder", help="where to put the temporary files (default: system's)")
    args = parser.parse_args()
    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        os.chdir(folder)
        write_noise(Path("data"), args.batches, args.batch_seconds)
        encoder = write_encoder(args.encoder)
        rows, once = measure(encoder, args.batch_seconds)
    sys.stdout.write(
        f"{args.encoder}, batches of {args.batch_seconds:g} s, CPU seconds of one thread for an "
        f"hour of speech; computing the features once: {once:,.0f} s\n\n"
        "| recipe | from audio | from features | ratio of an epoch |\n|---|---:|---:|---:|\n"
    )
    for recipe, (audio, features) in rows.items():
        ratio = audio / features
        sys.stdout.write(f"| `{recipe}` | {audio:,.0f} | {features:,.0f} | {ratio:.1f} |\n")
    return 0


def measure(
    encoder: list[str], batch_seconds: float
) -> tuple[dict[str, tuple[float, float]], float]:
    """(from audio, from features) by recipe, and the features once: seconds for 3,600 s."""
    os.mkdir("features")
    rows, once = {}, 0.0
    for recipe, head in HEADS.items():
        words = ["--cpu", "--arch", "layer_weighted_ctc", "--normalize-layers", *encoder, *head]
        from_audio = make_trainer("data", batch_seconds, words)
        if not once:
            writer = SplitFeatures(
                Path("features"), read_manifest("data", "train"), from_audio.get_model()
            )
            begin = time.process_time()
            writer.write()
            once = (time.process_time() - begin) / seconds_of(from_audio) * 3600
        words += ["--features", os.path.abspath("features")]
        from_features = make_trainer("data", batch_seconds, words)
        rows[recipe] = (time_of_epoch(from_audio), time_of_epoch(from_features))
    return rows, once


def time_of_epoch(trainer: Trainer) -> float:
    """CPU seconds for 3,600 s of audio, the first update aside."""
    batches = batches_of(trainer)
    update(trainer, batches[0])
    begin = time.process_time()
    for batch in batches:
        update(trainer, batch)
    return (time.process_time() - begin) / seconds_of(trainer) * 3600


def seconds_of(trainer: Trainer) -> float:
    return float(np.sum(trainer.task.dataset("train").sizes)) / 16_000


def write_encoder(name: str) -> list[str]:
    """A file of random weights, and the options that name it."""
    path = os.path.abspath("encoder.pt")
    if name == "xlsr_300m":
        write_random_checkpoint(Path(path), shape="xlsr_300m")
        return ["--w2v-path", path, "--normalize"]
    dims = SIZES[ENCODERS[name]]
    weights = WhisperModel(WhisperConfig(normalize=False), dims).state_dict()
    torch.save({"dims": dims.as_dict(), "model_state_dict": weights}, path)
    return ["--whisper-path", path]


if __name__ == "__main__":
    raise SystemExit(main())
