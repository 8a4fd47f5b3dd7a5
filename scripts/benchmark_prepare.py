"""How fast ``fairseq-dro prepare`` reads headers (and whether a file was cut), spells texts and
converts, and how its memory grows.

    python scripts/benchmark_prepare.py                       # two minutes
    python scripts/benchmark_prepare.py --ffmpeg PATH --rounds 9

Everything is CPU time (user + system), so other work on the machine weighs less; ours and ffmpeg's
runs alternate and the median of each is printed. ffmpeg is the one on PATH, or --ffmpeg; without
one its lines are left out. It converts with one thread to what we write: 16 kHz mono 16-bit FLAC.
"""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from fairseq_dro.prepare.audio_conversion import convert_all
from fairseq_dro.prepare.audio_files import AudioJob, probe_all
from fairseq_dro.text.profiles import PROFILES
from fairseq_dro.text.words import speller

CLIP_SECONDS = 5.0
KINDS = {
    "MP3 32 kHz (Common Voice)": ("mp3", 32_000, {"format": "MP3"}),
    "WAV 44.1 kHz": ("wav", 44_100, {}),
    "WAV 48 kHz stereo": ("wav", 48_000, {}),
}


def speech_like(seconds: float, rate: int, seed: int) -> np.ndarray:
    """[T] noise with a falling spectrum and syllables, so that encoders have work to do."""
    draw = np.random.default_rng(seed)
    noise = np.cumsum(draw.standard_normal(round(seconds * rate)))
    noise -= np.convolve(noise, np.ones(200) / 200, mode="same")
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * np.arange(len(noise)) / rate)
    return 0.5 * noise * syllables / np.abs(noise).max()


def headers(folder: Path, n_files: int, rounds: int) -> None:
    for suffix in ("wav", "flac"):
        paths = [folder / suffix / f"{number}.{suffix}" for number in range(n_files)]
        paths[0].parent.mkdir()
        soundfile.write(paths[0], speech_like(1.0, 16_000, 1), 16_000)
        for path in paths[1:]:
            shutil.copy(paths[0], path)
        jobs = [AudioJob(path) for path in paths]
        spent = []
        for _ in range(rounds):
            started = time.process_time()
            probe_all(jobs)
            spent.append(time.process_time() - started)
        rate = n_files / statistics.median(spent)
        sys.stdout.write(f"  {suffix:4s} {rate:8,.0f} headers a second and core\n")


def texts(n_texts: int, rounds: int) -> None:
    """Sentences of twelve words, of a vocabulary of 20,000 and without spaces, all different."""
    draw = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyzäöüé"
    words = ["".join(draw.choices(letters, k=6)) for _ in range(20_000)]
    spaced = [" ".join(draw.choices(words, k=12)) + ", don't." for _ in range(n_texts)]
    han = [chr(code) for code in range(0x4E00, 0x9000)]
    joined = ["".join(draw.choices(han, k=30)) + "。" for _ in range(n_texts)]
    for name, language, published in (("words", "eng", spaced), ("no spaces", "cmn", joined)):
        spent: dict[str, list[float]] = {"lower": [], "ml_superb": []}
        for _ in range(rounds):
            for profile, seconds in spent.items():
                speller.cache_clear()
                started = time.process_time()
                for text in published:
                    PROFILES[profile].spell(text, language)
                seconds.append(time.process_time() - started)
        ours, simple = (statistics.median(seconds) for seconds in spent.values())
        sys.stdout.write(
            f"  {name:9s} {n_texts / ours:9,.0f} texts a second and core by the profile lower; "
            f"ml_superb (replace and upper-case) {n_texts / simple:,.0f} (x{ours / simple:.1f})\n"
        )


def conversion(folder: Path, ffmpeg: str | None, n_clips: int, rounds: int) -> None:
    for kind, (suffix, rate, how) in KINDS.items():
        sources = []
        for name, seconds, n in (("clip", CLIP_SECONDS, n_clips), ("long", 120.0, 1)):
            for number in range(n):
                path = folder / f"{kind.split()[1]}_{rate}_{name}{number}.{suffix}"
                samples = speech_like(seconds, rate, number)
                if "stereo" in kind:
                    samples = np.stack([samples, samples[::-1]], axis=1)
                soundfile.write(path, samples, rate, **how)
                sources.append((name, path, seconds))
        for name in ("clip", "long"):
            paths = [path for one, path, _ in sources if one == name]
            hours = sum(seconds for one, _, seconds in sources if one == name) / 3600
            ours, theirs = [], []
            for number in range(rounds):
                started = time.process_time()
                targets = [folder / f"out{number}" / f"{path.stem}.flac" for path in paths]
                convert_all([AudioJob(p, target=t) for p, t in zip(paths, targets)])
                ours.append((time.process_time() - started) / 3600)
                if ffmpeg:
                    started = children_seconds()
                    for path in paths:
                        subprocess.run(
                            [ffmpeg, "-v", "error", "-y", "-threads", "1", "-i", path, "-ac", "1",
                             "-ar", "16000", "-sample_fmt", "s16", folder / "ffmpeg.flac"],
                            check=True,
                        )  # fmt: skip
                    theirs.append((children_seconds() - started) / 3600)
            line = f"  {kind}, files of {sources_seconds(sources, name):.0f} s: "
            line += f"{hours / statistics.median(ours):,.0f} hours of audio per core-hour"
            if theirs:
                ratio = statistics.median(theirs) / statistics.median(ours)
                line += f"; ffmpeg {hours / statistics.median(theirs):,.0f} (ours x{ratio:.2f})"
            sys.stdout.write(line + "\n")


def sources_seconds(sources: list, name: str) -> float:
    return next(seconds for one, _, seconds in sources if one == name)


def children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def memory(folder: Path, n_utterances: int) -> None:
    """Peak memory of the whole command: converting short and long clips, referencing many."""
    peaks = {}
    many, more = 20 * n_utterances, 80 * n_utterances
    for n, seconds, rate in (
        (n_utterances, 1.0, 8_000), (n_utterances, 20.0, 8_000), (many, 1.0, 16_000),
        (more, 1.0, 16_000),
    ):  # fmt: skip
        corpus = folder / "corpus"
        corpus.mkdir()
        soundfile.write(corpus / "0.wav", speech_like(seconds, rate, 1), rate)
        rows = ["path\ttext\tlanguage\n"]
        for number in range(n):
            if number:
                (corpus / f"{number}.wav").symlink_to("0.wav")
            rows.append(f"{number}.wav\tsatz nummer {number:b}\tdeu\n")
        (corpus / "t.tsv").write_text("".join(rows), encoding="utf-8")
        # not ru_maxrss, which a process takes over from the one that started it
        code = (
            "import sys; from fairseq_dro.cli import main; main(sys.argv[1:]); "
            "sys.stderr.write(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
        )
        call = [sys.executable, "-c", code, "prepare", "table", corpus / "out", "--table",
                corpus / "t.tsv", "--text-profile", "as_is", "--workers", "1"]  # fmt: skip
        done = subprocess.run(call, capture_output=True, text=True, check=True)
        peaks[n] = int(done.stderr.split()[-1]) / 1024
        how = "referenced" if rate == 16_000 else "converted"
        sys.stdout.write(f"  {n:,} utterances of {seconds:g} s {how}: peak {peaks[n]:.0f} MB\n")
        shutil.rmtree(corpus)
    grown = 1024 * (peaks[more] - peaks[many]) / (more - many)
    sys.stdout.write(f"  {grown:.2f} kB for each further utterance (its texts and paths)\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ffmpeg", default=shutil.which("ffmpeg"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--texts", type=int, default=50_000)
    parser.add_argument("--files", type=int, default=3000, help="headers")
    parser.add_argument("--clips", type=int, default=20, help="of each kind")
    parser.add_argument(
        "--utterances", type=int, default=500, help="converted; 20 and 80 times as many referenced"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sys.stdout.write("texts\n")
        texts(args.texts, args.rounds)
        sys.stdout.write("headers\n")
        headers(folder, args.files, args.rounds)
        found = "" if args.ffmpeg else " (no ffmpeg found: ours only)"
        sys.stdout.write(f"conversion{found}\n")
        conversion(folder, args.ffmpeg, args.clips, args.rounds)
        sys.stdout.write("memory\n")
        memory(folder, args.utterances)


if __name__ == "__main__":
    main()
