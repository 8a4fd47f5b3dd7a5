"""What whole files cost: one save as fairseq makes it, its own way and through the plugin.

    .venv/bin/python scripts/benchmark_saving.py --megabytes 600 --folder .

A save is one ``torch.save`` and two copies (best, last). Both ways run in turn; the last line of
each is the median over the pairs of their ratio. The plugin also waits for the disk (fsync), which
fairseq leaves to chance, so this measures the disk under ``--folder`` more than any code.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from fairseq import checkpoint_utils
from fairseq.file_io import PathManager

import fairseq_dro
from fairseq_dro.survival.checkpoint_files import damage_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=600)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("."))
    options = parser.parse_args()
    fairseq_dro.register()
    n_tensors = 50
    size = options.megabytes * 1_000_000 // 4 // n_tensors
    state = {"model": {str(i): torch.randn(size) for i in range(n_tensors)}}
    save, copy = checkpoint_utils.torch_persistent_save, PathManager.copy
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        ways = {
            "fairseq": (save.__wrapped__, copy.__wrapped__), "the plugin": (save, copy),
        }
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(options.pairs):
            for way, (save_one, copy_one) in ways.items():
                seconds[way].append(timed(save_round, folder, state, save_one, copy_one))
        gigabytes = (Path(folder) / "checkpoint_last.pt").stat().st_size / 1e9
        last = f"{folder}/checkpoint_last.pt"
        check = min(timed(damage_of, last) for _ in range(options.pairs))
    for way, measured in seconds.items():
        sys.stdout.write(
            f"{way:<12} {statistics.median(measured):6.2f} s for 3 x {gigabytes:.2f} GB, "
            f"{min(measured):.2f} to {max(measured):.2f}\n"
        )
    ratios = [ours / theirs for theirs, ours in zip(seconds["fairseq"], seconds["the plugin"])]
    sys.stdout.write(f"ratio        {statistics.median(ratios):6.2f}\n")
    sys.stdout.write(f"checksums    {check:6.2f} s for one file, {gigabytes / check:.1f} GB/s\n")


def save_round(folder: str, state: object, save: Callable, copy: Callable) -> None:
    save(state, f"{folder}/checkpoint_1_500.pt")
    for name in ("best", "last"):
        copy(f"{folder}/checkpoint_1_500.pt", f"{folder}/checkpoint_{name}.pt", overwrite=True)


def timed(work: Callable, *arguments: object) -> float:
    """Seconds on the clock."""
    begin = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
