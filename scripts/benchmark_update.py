#!/usr/bin/env python3
"""What a whole training update costs with this package, against stock fairseq's.

    .venv/bin/python scripts/benchmark_update.py
    .venv/bin/python scripts/benchmark_update.py --blocks 20 --layers 2    # quicker

Three of fairseq's own trainers with the same weights take turns on the same batches: stock
`audio_finetuning` with `ctc`, and `language_grouped_audio_finetuning` with `group_dro_ctc`, once
as `erm` and once as `ctc_dro`, of which q moves and is logged. A block is the six updates
stock, erm, ctc_dro, ctc_dro, erm, stock on one list of batches, so that neither drift nor order
counts. Forward, backward, clipping, Adam, metrics and the move of q are inside; reading audio is
not. Times are CPU seconds of one thread, which other processes disturb less than wall time.

Prints the ratio of median times, ours / stock, with a 95 % interval (bootstrap over blocks); each
time is first divided by the mean of stock in its block, for lists of batches differ in length.
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
import soundfile
import torch
from fairseq import options, tasks
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.logging import metrics
from fairseq.trainer import Trainer

from fairseq_dro.demo.random_checkpoint import write_random_checkpoint

LANGUAGES = ("deu", "ell", "fra", "hin")
GROUPED = ["--task", "language_grouped_audio_finetuning", "--criterion", "group_dro_ctc"]
RUNS = {
    "stock ctc": ["--task", "audio_finetuning", "--criterion", "ctc"],
    "erm": [*GROUPED, "--objective", "erm"],
    "ctc_dro": [*GROUPED, "--objective", "ctc_dro"],
}
TURNS = (*RUNS, *reversed(RUNS))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=40, help="of six updates (default: 40)")
    parser.add_argument("--layers", type=int, default=4, help="transformer layers (default: 4)")
    parser.add_argument("--width", type=int, default=256, help="of the transformer (default: 256)")
    parser.add_argument("--batch-seconds", type=float, default=12, help="of a batch (default: 12)")
    parser.add_argument("--update-freq", type=int, default=2, help="batches an update (default: 2)")
    args = parser.parse_args()
    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # q's log goes to the current folder
        write_noise(Path("data"), args.batch_seconds)
        write_random_checkpoint(
            Path("random.pt"), encoder_layers=args.layers, encoder_embed_dim=args.width,
            encoder_ffn_embed_dim=4 * args.width, encoder_attention_heads=4,
            conv_feature_layers="[(128, 10, 5)] + [(128, 3, 2)] * 4 + [(128, 2, 2)] * 2", seed=7,
        )
        seconds = measure(args)
        n_moves = len(Path("group_weights.jsonl").read_text().splitlines())
    stock = seconds["stock ctc"]
    relative = {name: times / stock.mean(1, keepdims=True) for name, times in seconds.items()}
    sys.stdout.write(
        f"{args.blocks} blocks on {args.layers} layers of width {args.width}, "
        f"{args.update_freq} x {args.batch_seconds:g} s of audio an update; median of stock ctc "
        f"{1000 * np.median(stock):.0f} ms of CPU; q moved {n_moves} times\n\n"
        "| update, against stock ctc | ratio of medians | 95 % interval |\n|---|---:|---:|\n"
    )
    for name in ("erm", "ctc_dro"):
        low, high = interval(relative[name], relative["stock ctc"])
        ratio = np.median(relative[name]) / np.median(relative["stock ctc"])
        sys.stdout.write(f"| {name} | {ratio:.4f} | {low:.4f} to {high:.4f} |\n")
    return 0


def measure(args: argparse.Namespace) -> dict[str, np.ndarray]:
    """[blocks, 2] CPU seconds of an update, by run."""
    trainers = {name: make_trainer(words, args) for name, words in RUNS.items()}
    grouped = trainers["erm"].task
    batches = grouped.get_batch_iterator(
        grouped.dataset("train"), max_tokens=10**7, seed=1
    ).frozen_batches
    dataset = grouped.dataset("train")
    samples = [dataset.collater([dataset[i] for i in batch]) for batch in batches]
    samples = samples[: len(samples) // args.update_freq * args.update_freq]
    seconds: dict[str, list[float]] = {name: [] for name in RUNS}
    for block in range(-2, args.blocks):  # two to warm up
        first = args.update_freq * block % len(samples)
        of_update = samples[first : first + args.update_freq]
        for name in TURNS:
            begin = time.process_time()
            with metrics.aggregate(new_root=True), metrics.aggregate("train_inner"):
                trainers[name].train_step([dict(sample) for sample in of_update])
            if block >= 0:
                seconds[name].append(time.process_time() - begin)
    return {name: np.reshape(times, (-1, 2)) for name, times in seconds.items()}


def make_trainer(words: list[str], args: argparse.Namespace) -> Trainer:
    """As `fairseq-train` makes it, with everything on that the recipes have on."""
    parser = options.get_training_parser(default_task=words[1])
    parsed = options.parse_args_and_arch(
        parser,
        [
            "data", *words, "--arch", "wav2vec_ctc", "--w2v-path", "random.pt", "--normalize",
            "--labels", "ltr", "--post-process", "letter", "--zero-infinity", "--sentence-avg",
            "--apply-mask", "--mask-prob", "0.5", "--feature-grad-mult", "0.0",
            "--layerdrop", "0.0",  # a layer left out at random would be the whole difference
            "--optimizer", "adam", "--lr", "1e-4", "--lr-scheduler", "fixed", "--cpu",
            "--clip-norm", "5", "--update-freq", str(args.update_freq), "--max-update", "100000",
            *(["--batch-seconds", str(args.batch_seconds)] if "group_dro_ctc" in words else []),
        ],
    )
    cfg = convert_namespace_to_omegaconf(parsed)
    task = tasks.setup_task(cfg.task)
    task.load_dataset("train")
    torch.manual_seed(1)
    model = task.build_model(cfg.model)
    trainer = Trainer(cfg, task, model, task.build_criterion(cfg.criterion))
    trainer.lr_step_begin_epoch(1)
    return trainer


def interval(ours: np.ndarray, stock: np.ndarray) -> tuple[float, float]:
    """95 % of the ratio of medians, over 5,000 resamples of whole blocks."""
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, len(stock), (5000, len(stock)))
    medians = [np.median(times[chosen].reshape(5000, -1), axis=1) for times in (ours, stock)]
    low, high = np.quantile(medians[0] / medians[1], [0.025, 0.975])
    return float(low), float(high)


def write_noise(folder: Path, batch_seconds: float) -> None:
    """Random audio and letters; 8 batches a language of utterances of 2 to 6 s."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    rows, labels, languages = [str(folder.resolve())], [], []
    for language in LANGUAGES:
        for i in range(round(2 * batch_seconds)):
            audio = 0.1 * rng.standard_normal(int(16_000 * rng.uniform(2, 6)))
            soundfile.write(folder / f"{language}{i}.wav", audio, 16_000)
            rows.append(f"{language}{i}.wav\t{len(audio)}")
            labels.append(" ".join(rng.choice(list("abcdefghij"), 30)) + " |")
            languages.append(language)
    for suffix, lines in (("tsv", rows), ("ltr", labels), ("lang", languages)):
        (folder / f"train.{suffix}").write_text("".join(f"{line}\n" for line in lines))
    (folder / "dict.ltr.txt").write_text("".join(f"{letter} 10\n" for letter in "|abcdefghij"))


if __name__ == "__main__":
    raise SystemExit(main())
