"""How long ``fairseq-dro score`` takes, in how much memory; and what greedy decoding adds.

    python scripts/benchmark_scoring.py                        # 1,000,000 utterances, 2 processes
    python scripts/benchmark_scoring.py --utterances 100000
    python scripts/benchmark_scoring.py --decoding [--large]   # --large: the shape of XLS-R-300M

The records are random text in 143 languages, 40 characters a sentence on average, with one
character in ten wrong. Baseline: jiwer (characters and words) on a sample of the same pairs, in one
process. Memory: peak of the largest process, and of the command with a tenth of the utterances
beside it, to show what grows.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fairseq_dro.scoring.records import format_line
from fairseq_dro.scoring.utterances import score_utterance

SAMPLE = 3_000
LETTERS = "abcdefghijklmnopqrstuvwxyzäöüßéèñçабвгдежзийклмнопрстαβγδεζηθ"
SUBPROCESS = """
import resource, sys
from fairseq_dro.cli import main
status = main(sys.argv[1:])
use = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
cpu = sum(one.ru_utime + one.ru_stime for one in use)
sys.stderr.write(f"cpu_and_peak {cpu} {max(one.ru_maxrss for one in use)}\\n")
sys.exit(status)
"""


def write_records(path: Path, n_utterances: int) -> None:
    """Record lines as fairseq-dro-infer writes them; texts repeat, ids do not."""
    draw = random.Random(0)
    lines = []
    for number in range(min(n_utterances, 143 * 150)):
        words = ("".join(draw.choices(LETTERS, k=draw.randrange(2, 10))) for _ in range(7))
        reference = " ".join(words)
        hypothesis = "".join(
            draw.choice(LETTERS) if c != " " and draw.random() < 0.1 else c for c in reference
        )
        code, speaker = f"l{number % 143:02x}", f"s{number // 143 % 30}"
        record = score_utterance(
            f"[deu]{reference}", f"[deu]{hypothesis}", id="ID", language=code, seconds=4.25,
            score=-12.345, speaker=speaker,
        )  # fmt: skip
        lines.append(format_line(record))
    with open(path, "w", encoding="utf-8") as stream:
        for number in range(n_utterances):
            line = lines[number % len(lines)]
            stream.write(line.replace('"ID"', f'"corpus/{number:08d}"', 1) + "\n")


def time_score(*words: str | Path) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds of all processes and MiB at the peak of the largest one."""
    command = [sys.executable, "-c", SUBPROCESS, "score", *map(str, words), "--json"]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(done.stderr)
    cpu_seconds, peak = done.stderr.split("cpu_and_peak ")[1].split()[:2]
    return seconds, float(cpu_seconds), int(peak) / 1024


def time_jiwer(path: Path) -> float:
    """CPU seconds an utterance."""
    import jiwer

    with open(path, encoding="utf-8") as stream:
        records = [json.loads(next(stream)) for _ in range(SAMPLE)]
    started = time.process_time()
    for record in records:
        jiwer.process_characters(record["reference"], record["hypothesis"])
        jiwer.process_words(record["reference"], record["hypothesis"])
    return (time.process_time() - started) / SAMPLE


def scoring(n_utterances: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / "small.jsonl", Path(folder) / "large.jsonl"
        write_records(small, max(SAMPLE, n_utterances // 10))
        write_records(large, n_utterances)
        _, _, small_peak = time_score(small)
        seconds, cpu_seconds, peak = time_score(large)
        each = time_jiwer(small)
    sys.stdout.write(
        f"score, {n_utterances:,} utterances: {seconds:.1f} s, of CPU time "
        f"{cpu_seconds:.1f} s; peak of the largest process {peak:.0f} MiB ({small_peak:.0f} MiB "
        f"with a tenth)\njiwer, characters and words alone, one process: {each * 1e6:.0f} us of "
        f"CPU time an utterance, that is {each * n_utterances:.1f} s, "
        f"{each * n_utterances / cpu_seconds:.1f} times the CPU time of score\n"
    )


def decoding(large: bool) -> None:
    """Share of greedy search in decoding, with a wav2vec 2.0 of random weights."""
    import torch

    from fairseq_dro.criterions.greedy_units import greedy_units
    from fairseq_dro.decoding.greedy import best_path_scores

    if large:
        model, width, seconds, n_units = _encoder(24, 1024), 1024, 10, 500
    else:
        model, width, seconds, n_units = _encoder(4, 256), 256, 10, 100
    n_frames = seconds * 50
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = model.to(device).eval()
    projection = torch.nn.Linear(width, n_units).to(device)
    frames = torch.randn(n_frames, 4, width, device=device)
    lengths = torch.full((4,), n_frames, device=device)

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    shares = []
    with torch.no_grad():
        for _ in range(7):  # interleaved
            wait()
            started = time.perf_counter()
            scores = projection(model(frames))
            wait()
            between = time.perf_counter()
            best_path_scores(scores, lengths).tolist()
            greedy_units(scores, lengths, 0)
            shares.append((time.perf_counter() - between) / (between - started))
    sys.stdout.write(
        f"greedy search on {device}, 4 x {seconds} s, {n_units} units: "
        f"{100 * sorted(shares)[3]:.2f} % of the transformer (which is the model without its "
        "convolutions, so of the whole model it is less)\n"
    )


def _encoder(n_layers: int, width: int):
    import torch

    layer = torch.nn.TransformerEncoderLayer(width, width // 64, 4 * width)
    return torch.nn.TransformerEncoder(layer, n_layers, enable_nested_tensor=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--utterances", type=int, default=1_000_000)
    parser.add_argument("--decoding", action="store_true")
    parser.add_argument("--large", action="store_true")
    args = parser.parse_args()
    if args.decoding:
        decoding(args.large)
    else:
        scoring(args.utterances)


if __name__ == "__main__":
    main()
