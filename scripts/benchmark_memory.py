#!/usr/bin/env python3
"""Whether the memory of a training process grows with its updates.

    .venv/bin/python scripts/benchmark_memory.py                         # 2,000 updates each
    .venv/bin/python scripts/benchmark_memory.py --updates 300 --arms ours
    .venv/bin/python scripts/benchmark_memory.py --set ONEDNN_PRIMITIVE_CACHE_CAPACITY=1

Trains a model of 1 M weights on noise of all lengths from 0.5 to 3 s, once with fairseq's own
`audio_finetuning` and `ctc`, once with `language_grouped_audio_finetuning` and `group_dro_ctc`,
each in a process of its own on the CPU. Prints the process's own memory (anonymous resident pages,
from /proc) and the number of Python's objects at equal steps, and at the end the growth from the
middle to the last update, of ours against stock.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

LANGUAGES = ("deu", "ell", "fra", "hin")
PER_LANGUAGE = 100
SECONDS = (0.5, 3.0)
N_STEPS = 10
GROUPED = ["--task=language_grouped_audio_finetuning", "--criterion=group_dro_ctc"]
ARMS = {
    "stock": ["--task=audio_finetuning", "--criterion=ctc", "--labels=ltr"],
    "ours": [*GROUPED, "--objective=ctc_dro", "--batch-seconds=5"],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--updates", type=int, default=2000, help="of each arm (default: 2000)")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                        help="for the environment of the training processes")
    parser.add_argument("--train", nargs=2, metavar=("ARM", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.train:
        train(args.train[0], Path(args.train[1]), args.updates)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        write_noise(Path(folder) / "data")
        subprocess.run([Path(sys.executable).parent / "fairseq-dro", "random-checkpoint",
                        Path(folder) / "demo.pt"], check=True, stdout=subprocess.DEVNULL)
        growth = {arm: measure(arm, folder, args) for arm in args.arms}
    for arm, (middle, last) in growth.items():
        print(f"{arm}: {last - middle:+.0f} MB from the middle to the end, {last:.0f} MB at last")
    if len(growth) == len(ARMS):
        print(f"ours / stock at last: {growth['ours'][1] / growth['stock'][1]:.2f}")
    return 0


def measure(arm: str, folder: str, args: argparse.Namespace) -> tuple[float, float]:
    """MB of the process in the middle of its updates and at their end."""
    threads = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    environment = {**os.environ, **threads, **dict(one.split("=", 1) for one in args.set)}
    process = subprocess.Popen(
        [sys.executable, __file__, "--updates", str(args.updates), "--train", arm, folder],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )
    print(f"{arm}: update, MB of memory, thousands of objects, CPU seconds")
    used = []
    for line in process.stdout:
        if line.startswith("{"):
            one = json.loads(line)
            used.append(one["mb"])
            print(f"  {one['update']:6d} {one['mb']:8.0f} {one['objects'] / 1000:8.1f}"
                  f" {one['cpu_s']:8.1f}", flush=True)
    if process.wait() != 0:
        sys.exit(f"training of {arm} ended with status {process.returncode}")
    return used[len(used) // 2], used[-1]


# --- in the training process ----------------------------------------------------------------------


def train(arm: str, folder: Path, updates: int) -> None:
    """Train by fairseq's own command and print a line of numbers at equal steps."""
    from fairseq.trainer import Trainer
    from fairseq_cli.train import cli_main

    step = max(1, updates // N_STEPS)
    train_step = Trainer.train_step

    def measured(trainer: Trainer, *arguments: object, **options: object) -> object:
        result = train_step(trainer, *arguments, **options)
        update = trainer.get_num_updates()
        if update % step == 0 or update == 1:
            gc.collect()
            n_objects = len(gc.get_objects())
            numbers = {"mb": own_megabytes(), "objects": n_objects, "cpu_s": time.process_time()}
            print(json.dumps({"update": update, **numbers}), flush=True)
        return result

    Trainer.train_step = measured
    run = folder / arm
    run.mkdir()
    os.chdir(run)
    sys.argv = [
        "fairseq-train", str(folder / "data"), *ARMS[arm], "--arch=wav2vec_ctc", "--normalize",
        f"--w2v-path={folder}/demo.pt", "--apply-mask", "--mask-prob=0.3", "--mask-length=4",
        "--max-tokens=96000", "--optimizer=adam", "--lr=0.0001", "--zero-infinity",
        "--sentence-avg", f"--max-update={updates}", "--disable-validation", "--no-save", "--cpu",
        "--num-workers=0", "--seed=1", "--log-format=none", "--required-batch-size-multiple=1",
    ]
    cli_main()


def own_megabytes() -> float:
    """Anonymous resident memory of this process, without files that it has mapped."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) / 1024


def write_noise(folder: Path) -> None:
    """Noise under random letters."""
    rng = np.random.default_rng(1)
    folder.mkdir()
    rows = {"tsv": [str(folder)], "ltr": [], "lang": []}
    for language in LANGUAGES:
        for i in range(PER_LANGUAGE):
            audio = rng.normal(0, 0.1, int(16_000 * rng.uniform(*SECONDS)))
            name = f"{language}_{i:03d}.wav"
            soundfile.write(folder / name, audio, 16_000, subtype="PCM_16")
            rows["tsv"].append(f"{name}\t{len(audio)}")
            rows["ltr"].append(" ".join([*rng.choice(list("abcdefgh"), len(audio) // 2_500), "|"]))
            rows["lang"].append(language)
    for suffix, lines in rows.items():
        for split in ("train", "valid"):  # fairseq reads one though it does not validate
            text = "\n".join(lines) + "\n"
            (folder / f"{split}.{suffix}").write_text(text, encoding="utf-8")
    units = "".join(f"{unit} 1\n" for unit in "|abcdefgh")
    (folder / "dict.ltr.txt").write_text(units, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
