"""A clean data folder with distinct sentences, and ways to spoil it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from fairseq_dro.cli import main
from tests.tiny_corpus import write_split

ALPHABETS = {"deu": "abcdefghö", "rus": "абвгдежзо", "ell": "αβγδεζηθό"}
N_UTTERANCES = {"train": 24, "valid": 3, "test": 3}


def write_clean_folder(folder: Path) -> Path:
    """Three languages of 24 + 3 + 3 utterances of 2 to 3 seconds, no text twice."""
    rng = np.random.default_rng(3)
    for split, n in N_UTTERANCES.items():
        rows = []
        for language, alphabet in ALPHABETS.items():
            for i in range(n):
                path = Path("wav") / f"{language}_{split}_{i}.wav"
                (folder / "wav").mkdir(parents=True, exist_ok=True)
                audio = rng.normal(0, 0.05, int(rng.integers(32_000, 48_000)))
                soundfile.write(folder / path, audio, 16_000, subtype="PCM_16")
                letters = rng.choice(list(alphabet), 15)
                label = f"{' '.join(letters[:7])} | {' '.join(letters[7:])} |"
                rows.append((path, len(audio), label, language))
        write_split(folder, split, rows)
    symbols = sorted(set("".join(ALPHABETS.values())) | {"|"})
    (folder / "dict.ltr.txt").write_text("".join(f"{unit} 9\n" for unit in symbols))
    return folder


def copy_of(folder: Path, target: Path) -> Path:
    """A copy that a test may spoil, whose manifests name its own audio."""
    shutil.copytree(folder, target)
    for split in ("train", "valid", "test"):
        edit(target / f"{split}.tsv", 1, lambda _: str(target))
    return target


def edit(path: Path, line: int, change: Callable[[str], str | None]) -> None:
    """Replace (or with None remove) one line of a file, counted from 1."""
    lines = path.read_text(encoding="utf-8").splitlines()
    changed = change(lines[line - 1])
    lines[line - 1 : line] = [] if changed is None else [changed]
    path.write_text("".join(f"{text}\n" for text in lines), encoding="utf-8")


def remove(folder: Path, split: str, is_removed: Callable[[int, str], bool]) -> None:
    """Remove utterances, by (index, language), from all files of a split."""
    languages = (folder / f"{split}.lang").read_text().split()
    keep = [i for i, language in enumerate(languages) if not is_removed(i, language)]
    for suffix, first in (("tsv", 1), ("ltr", 0), ("lang", 0)):
        path = folder / f"{split}.{suffix}"
        lines = path.read_text(encoding="utf-8").splitlines()
        chosen = [*lines[:first], *(lines[first + i] for i in keep)]
        path.write_text("".join(f"{line}\n" for line in chosen), encoding="utf-8")


def audio_of(folder: Path, line: int, split: str = "train") -> Path:
    """The file that a line of a .tsv names."""
    return folder / (folder / f"{split}.tsv").read_text().splitlines()[line - 1].split("\t")[0]


def spoil_audio(path: Path, how: str) -> None:
    """Give a file the defect that the doctor calls ``audio_{how}``."""
    audio, rate = soundfile.read(path)
    if how == "missing":
        path.unlink()
    elif how == "unreadable":
        path.write_bytes(b"RIFF")
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-2000])
    elif how == "rate":
        soundfile.write(path, audio, 8000)
    elif how == "channels":
        soundfile.write(path, np.stack([audio, audio], axis=1), rate)
    elif how == "silent":
        soundfile.write(path, 1e-4 * audio, rate)
    elif how == "clipped":
        soundfile.write(path, np.clip(30 * audio, -1, 1), rate)


def doctor(capsys, folder: Path, *options: str) -> tuple[int, dict[str, dict]]:
    """Exit status and findings by kind, the first of each."""
    capsys.readouterr()
    status = main(["doctor", str(folder), "--json", "--workers", "1", *options])
    found: dict[str, dict] = {}
    for finding in json.loads(capsys.readouterr().out)["findings"]:
        found.setdefault(finding["kind"], finding)
    return status, found
