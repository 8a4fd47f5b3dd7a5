#!/usr/bin/env python3
"""The doctor on the text of a million utterances in a thousand languages, and a plain loop.

    .venv/bin/python scripts/benchmark_doctor.py

    loop      one Python loop over the lines of train.ltr that splits each, looks its units up in
              the dictionary and tests it for form NFC: two of the doctor's checks, nothing else
    doctor    `fairseq-dro doctor FOLDER --audio-per-language 0`: all checks of text, lengths, paths
              and splits, the planned batches and the table, for train and a valid of a fiftieth

Each in processes of its own, in turn. CPU seconds and peak include the start of Python.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import unicodedata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.large_folder import write_large_folder  # noqa: E402

WAYS = ("loop", "doctor")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--utterances", type=int, default=1_000_000)
    parser.add_argument("--languages", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        sys.stdout.write(json.dumps(examine(args.way, args.folder)) + "\n")
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for split, n, seed in (("train", args.utterances, 1), ("valid", args.utterances // 50, 2)):
            write_large_folder(
                folder, max(n, args.languages), args.languages, split, seed=seed, files_exist=False
            )
        runs: dict[str, list[dict]] = {way: [] for way in WAYS}
        for _ in range(args.rounds):
            for way in WAYS:
                command = [sys.executable, __file__, "--way", way, "--folder", name]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                runs[way].append(json.loads(done.stdout.splitlines()[-1]))
    medians = {
        way: {key: statistics.median(run[key] for run in found) for key in found[0]}
        for way, found in runs.items()
    }
    sys.stdout.write(f"{args.utterances} utterances, medians of {args.rounds} rounds\n")
    sys.stdout.write(f"{'':8s}{'CPU s':>8s}{'wall s':>8s}{'peak MB':>9s}{'kinds found':>13s}\n")
    for way, row in medians.items():
        sys.stdout.write(
            f"{way:8s}{row['cpu']:8.1f}{row['wall']:8.1f}{row['peak']:9.0f}{row['kinds']:13.0f}\n"
        )
    ratio = medians["doctor"]["cpu"] / medians["loop"]["cpu"]
    sys.stdout.write(f"doctor over loop, CPU: {ratio:.2f}\n")
    return 0


def examine(way: str, folder: Path) -> dict[str, float]:
    """Seconds and peak megabytes of one way, in this process."""
    start = time.perf_counter()
    kinds = 0
    if way == "loop":
        known = {line.split()[0] for line in open(folder / "dict.ltr.txt", encoding="utf-8")}
        for line in open(folder / "train.ltr", encoding="utf-8"):
            units = line.split()
            kinds += not known.issuperset(units)
            kinds += not unicodedata.is_normalized("NFC", "".join(units))
    else:
        from fairseq_dro.commands.doctor import as_text
        from fairseq_dro.doctor.examination import examine as examine_folder
        from fairseq_dro.doctor.run_settings import RunSettings

        result = examine_folder(folder, RunSettings(), audio_per_language=0)
        assert len(result.rows) > 0 and as_text(result, 3, whole=True)
        kinds = len({finding.kind for finding in result.findings})
    return {
        "cpu": time.process_time(),
        "wall": time.perf_counter() - start,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "kinds": kinds,
    }


if __name__ == "__main__":
    sys.exit(main())
