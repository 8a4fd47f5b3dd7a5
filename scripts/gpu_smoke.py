#!/usr/bin/env python3
"""Ten minutes on a GPU: does training run there, in which precision, how fast, in what memory?

    .venv/bin/python scripts/gpu_smoke.py
    .venv/bin/python scripts/gpu_smoke.py --shapes demo,xlsr_300m --seconds-each 60

Random weights and noise, fairseq's own trainer. For each size of model and for fp32, fp16 and bf16
it makes updates on the first GPU for as long as each may take, and prints audio seconds a second,
peak memory and whether every loss was finite. With two GPUs or more it then runs the recipe `demo`
on two of them, by NCCL, through torchrun. Ends with status 1 where there is no GPU or something
failed; the table has what did not.

It was written on machines without a GPU: whoever runs it first may have to correct it.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from noise_training import FINE_TUNING, batches_of, make_trainer, update, write_noise

from fairseq_dro.demo.random_checkpoint import write_random_checkpoint

PRECISIONS = ("fp32", "fp16", "bf16")
BATCH_SECONDS = 50
N_BATCHES = 4
NCCL_UPDATES = 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", default="demo,xlsr_300m", help="default: demo,xlsr_300m")
    parser.add_argument("--seconds-each", type=float, default=60, help="of training (default: 60)")
    parser.add_argument("--folder", help="where to put the temporary files (default: system's)")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        sys.stderr.write("error: no GPU is visible here, so there is nothing to try.\n")
        return 1
    logging.disable(logging.INFO)
    sys.stdout.write(
        f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}, torch {torch.__version__}; "
        f"batches of about {BATCH_SECONDS} s\n\n"
        "| model | precision | updates | audio-s a second | peak memory | losses |\n"
        "|---|---|---:|---:|---:|---|\n"
    )
    failed = False
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        os.chdir(folder)
        write_noise(Path("data"), N_BATCHES, BATCH_SECONDS)
        for shape in args.shapes.split(","):
            write_random_checkpoint(Path(f"{shape}.pt"), shape=shape)
            for precision in PRECISIONS:
                try:
                    row = train(shape, precision, args.seconds_each)
                except Exception as error:  # one that fails must not hide the others
                    failed, row = True, f"– | – | – | FAILED: {type(error).__name__}: {error}"
                sys.stdout.write(f"| {shape} | {precision} | {row} |\n")
                sys.stdout.flush()
                torch.cuda.empty_cache()
        if torch.cuda.device_count() >= 2:
            told = on_two_gpus()
            failed |= "FAILED" in told
        else:
            told = "one GPU: NCCL was not tried"
        sys.stdout.write(f"\n{told}\n")
    return int(failed)


def train(shape: str, precision: str, seconds: float) -> str:
    """Cells of the table: updates, speed, memory, losses."""
    words = ["--w2v-path", f"{shape}.pt", *FINE_TUNING]
    words += [] if precision == "fp32" else [f"--{precision}"]
    trainer = make_trainer("data", BATCH_SECONDS, words)
    losses: list[float] = []
    criterion = trainer.criterion
    forward = criterion.forward

    def watched(*arguments, **options):
        loss, sample_size, log = forward(*arguments, **options)
        losses.append(float(log["loss"]))
        return loss, sample_size, log

    criterion.forward = watched
    batches = batches_of(trainer)
    for batch in batches:  # to warm up, and so that all lengths have been met
        update(trainer, batch)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    begin, audio, n_updates = time.monotonic(), 0.0, 0
    while time.monotonic() - begin < seconds:
        sample = update(trainer, batches[n_updates % len(batches)])
        audio += int(sample["n_samples"].sum()) / 16_000
        n_updates += 1
    torch.cuda.synchronize()
    took = time.monotonic() - begin
    peak = torch.cuda.max_memory_allocated() / 1e9
    n_bad = sum(not math.isfinite(loss) for loss in losses)
    told = "finite" if not n_bad else f"{n_bad} of {len(losses)} NOT FINITE"
    return f"{n_updates} | {audio / took:,.0f} | {peak:.2f} GB | {told}"


def on_two_gpus() -> str:
    """A sentence about the recipe `demo` on two GPUs."""
    program = Path(sys.executable).parent
    for suffix in ("tsv", "ltr", "lang"):
        Path(f"data/valid.{suffix}").write_text(Path(f"data/train.{suffix}").read_text())
    write_random_checkpoint(Path("nccl.pt"), shape="demo")
    done = subprocess.run(
        [
            str(program / "torchrun"), "--standalone", "--nproc_per_node", "2",
            str(program / "fairseq-dro"), "train", "demo", "criterion.objective=ctc_dro",
            f"task.data={Path('data').resolve()}", f"model.w2v_path={Path('nccl.pt').resolve()}",
            "common.cpu=false", f"optimization.max_update={NCCL_UPDATES}",
            "distributed_training.distributed_world_size=2", "hydra.run.dir=nccl",
        ],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    history = Path("nccl/history.jsonl")
    if done.returncode != 0 or not history.exists():
        return f"NCCL on two GPUs FAILED with status {done.returncode}:\n{done.stdout[-3000:]}"
    updates = json.loads(history.read_text().splitlines()[-1])["update"]
    return f"NCCL on two GPUs: the recipe demo made {updates} updates"


if __name__ == "__main__":
    raise SystemExit(main())
