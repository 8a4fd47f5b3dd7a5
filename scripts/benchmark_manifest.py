#!/usr/bin/env python3
"""Loading a training split of a million utterances in a thousand languages: stock fairseq and ours.

    .venv/bin/python scripts/benchmark_manifest.py

Writes a data folder (paths of 40 characters, labels of 20 to 80 characters in four scripts, groups
that shrink as 1 / rank, a few real audio files that all lines name in turn), then loads it in fresh
processes, in turn:

    stock    fairseq's `audio_finetuning`: its two Python lists, no languages, no checks
    ours     `language_grouped_audio_finetuning`: languages, groups, and all checks of a start:
             language codes, every unit in the dictionary, audio headers, infeasible targets
    ours, no checks of audio headers: those depend on the disk, not on the manifest

CPU and wall seconds are those of `load_dataset`, which reads the files. Megabytes: the peak of the
process, what it keeps, and what a loader process forked from it copies by looking at each name and
label once (a worker has several). The first row, imports alone, is the base. A last row plans one
epoch on top.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.large_folder import write_large_folder  # noqa: E402

LOADS = ("imports", "stock", "ours", "ours, no audio headers", "ours, and an epoch planned")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--utterances", type=int, default=1_000_000)
    parser.add_argument("--languages", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--load", choices=LOADS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.load:
        sys.stdout.write(json.dumps(load(args.load, args.folder)) + "\n")
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_large_folder(folder, args.utterances, args.languages)
        size = sum(path.stat().st_size for path in folder.glob("train.*"))
        sys.stdout.write(
            f"{args.utterances} utterances, {args.languages} languages, {size / 1e6:.0f} MB of "
            f"text; medians of {args.rounds} rounds, each load in a process of its own\n"
            f"{'':28s}{'CPU s':>8s}{'wall s':>8s}{'peak MB':>9s}{'kept MB':>9s}{'loader MB':>11s}\n"
        )
        runs: dict[str, list[dict]] = {kind: [] for kind in LOADS}
        for _ in range(args.rounds):
            for kind in LOADS:
                command = [sys.executable, __file__, "--load", kind, "--folder", name]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                runs[kind].append(json.loads(done.stdout.splitlines()[-1]))
        for kind, found in runs.items():
            cpu, wall, peak, kept, loader = (
                statistics.median(run[key] for run in found)
                for key in ("cpu", "wall", "peak", "kept", "loader")
            )
            sys.stdout.write(
                f"{kind:28s}{cpu:8.1f}{wall:8.1f}{peak:9.0f}{kept:9.0f}{loader:11.0f}\n"
            )
    return 0


def load(kind: str, folder: Path) -> dict[str, float]:
    """Seconds and peak megabytes of one way of loading, in this process."""
    import logging

    from tests.in_process import make_task

    logging.disable(logging.WARNING)
    headers = 0 if kind == "ours, no audio headers" else 20
    task = make_task(folder, audio_checks_per_language=headers)
    if kind == "stock":
        from fairseq.tasks.audio_finetuning import AudioFinetuningConfig, AudioFinetuningTask
        from omegaconf import OmegaConf

        task = AudioFinetuningTask(OmegaConf.structured(
            AudioFinetuningConfig(data=str(folder), labels="ltr", normalize=True, tpu=False)
        ))  # fmt: skip
    else:
        task.family = SimpleNamespace(frames_of=lambda n_samples: n_samples // 320 - 1)  # a model's
    _ = task.target_dictionary
    start = time.process_time(), time.perf_counter()
    if kind != "imports":
        task.load_dataset("train")
    if kind == "ours, and an epoch planned":
        task.get_batch_iterator(task.dataset("train"), max_tokens=1_280_000)
    cpu, wall = time.process_time() - start[0], time.perf_counter() - start[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    kept = memory("/proc/self/status", "VmRSS")
    loader = 0.0 if kind == "imports" else copied_by_a_loader(task.dataset("train"))
    return {"cpu": cpu, "wall": wall, "peak": peak, "kept": kept, "loader": loader}


def copied_by_a_loader(dataset) -> float:
    """Megabytes of its own that a forked process has after it looked at every name and label."""
    targets = getattr(dataset, "dataset", dataset)
    targets = targets if hasattr(targets, "labels") else dataset
    reader, writer = os.pipe()
    if os.fork() == 0:
        gc.freeze()
        before = memory("/proc/self/smaps_rollup", "Private_Dirty")
        for index in range(len(targets)):
            _ = targets.labels[index], targets.dataset.fnames[index]
        after = memory("/proc/self/smaps_rollup", "Private_Dirty")
        os.write(writer, f"{after - before}".encode())
        os._exit(0)
    os.wait()
    return float(os.read(reader, 100))


def memory(path: str, key: str) -> float:
    """Megabytes of one line of a file of the kernel about this process."""
    line = next(line for line in Path(path).read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) / 1e3


if __name__ == "__main__":
    sys.exit(main())
