#!/usr/bin/env python3
"""Where the time of a fine-tuning update goes.

    .venv/bin/python scripts/profile_update.py                    # XLS-R-300M's shape, on the CPU
    .venv/bin/python scripts/profile_update.py --shape demo --gpu --precision fp16

Random weights in the full shape, one batch of noise, fairseq's own trainer with the model of the
recipe `finetune`, all of the encoder trained but its convolutional extractor. Three updates: the
first two warm up (Adam makes its state in the first), the third is seen by torch's profiler.
Prints two tables: parts of the update, and operators by their own time. On the CPU times are of one
thread.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from noise_training import FINE_TUNING, batches_of, make_trainer, update, write_noise
from torch.profiler import ProfilerActivity, profile, record_function

from fairseq_dro.demo.random_checkpoint import SHAPES, write_random_checkpoint

PARTS = "part: "
N_OPERATORS = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="xlsr_300m")
    parser.add_argument("--seconds", type=float, default=12, help="of audio (default: 12)")
    parser.add_argument("--gpu", action="store_true", help="on the first GPU")
    parser.add_argument("--precision", choices=("fp32", "fp16", "bf16"), default="fp32")
    parser.add_argument("--folder", help="where to put the temporary files (default: system's)")
    args = parser.parse_args()
    if args.gpu and not torch.cuda.is_available():
        sys.stderr.write("error: no GPU is visible here: leave out --gpu.\n")
        return 1
    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        os.chdir(folder)
        write_noise(Path("data"), 1, args.seconds)
        write_random_checkpoint(Path("random.pt"), shape=args.shape)
        words = ["--w2v-path", "random.pt", *FINE_TUNING]
        words += [] if args.gpu else ["--cpu"]
        words += [] if args.precision == "fp32" else [f"--{args.precision}"]
        trainer = make_trainer("data", args.seconds, words)
        batch = batches_of(trainer)[0]
        for _ in range(2):
            sample = update(trainer, batch)
        name_parts(trainer)
        activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * args.gpu
        with profile(activities=activities) as found:
            update(trainer, batch)
            if args.gpu:
                torch.cuda.synchronize()
    seconds = int(sample["n_samples"].sum()) / 16_000
    device = torch.cuda.get_device_name() if args.gpu else "CPU, one thread"
    sys.stdout.write(f"{args.shape}, {seconds:.1f} s of audio, {device}, {args.precision}\n\n")
    sys.stdout.write(tables(found, on_gpu=args.gpu))
    return 0


def name_parts(trainer: Any) -> None:
    """Have the profiler see what belongs together."""
    wav2vec2 = trainer.get_model().w2v_encoder.w2v_model
    modules = {
        "convolutional extractor, forward": [wav2vec2.feature_extractor],
        "positional convolution, forward": [wav2vec2.encoder.pos_conv],
        "self-attention, forward": [layer.self_attn for layer in wav2vec2.encoder.layers],
        "feed-forward parts, forward": [
            linear for layer in wav2vec2.encoder.layers for linear in (layer.fc1, layer.fc2)
        ],
    }
    for name, parts in modules.items():
        for part in parts:
            part.forward = _named(f"{PARTS}{name}", part.forward)
    trainer.optimizer.backward = _named(f"{PARTS}backward, all", trainer.optimizer.backward)
    trainer.clip_grad_norm = _named(f"{PARTS}gradient norm", trainer.clip_grad_norm)
    trainer.task.optimizer_step = _named(f"{PARTS}Adam", trainer.task.optimizer_step)
    whole = type(trainer.task).train_step.__get__(trainer.task)
    trainer.task.train_step = _named(f"{PARTS}forward and backward, all", whole)


def _named(name: str, call: Any) -> Any:
    def named(*args: Any, **kwargs: Any) -> Any:
        with record_function(name):
            return call(*args, **kwargs)

    return named


def tables(found: profile, *, on_gpu: bool) -> str:
    """Parts and operators as Markdown."""
    averages = found.key_averages()

    def total(event: Any) -> float:
        return (event.device_time_total if on_gpu else event.cpu_time_total) / 1e6

    def own(event: Any) -> float:
        return (event.self_device_time_total if on_gpu else event.self_cpu_time_total) / 1e6

    operators = [event for event in averages if not event.key.startswith(PARTS)]
    everything = sum(map(own, averages))
    lines = ["| part | s | % |", "|---|---:|---:|"]
    parts = [event for event in averages if event.key.startswith(PARTS)]
    for event in sorted(parts, key=total, reverse=True):
        share = 100 * total(event) / everything
        lines.append(f"| {event.key.removeprefix(PARTS)} | {total(event):.2f} | {share:.0f} |")
    lines += ["", "| operator, its own time | s | % | calls |", "|---|---:|---:|---:|"]
    for event in sorted(operators, key=own, reverse=True)[:N_OPERATORS]:
        share = 100 * own(event) / everything
        lines.append(f"| `{event.key}` | {own(event):.2f} | {share:.0f} | {event.count} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
