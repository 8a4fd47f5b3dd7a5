"""A corpus that is cheap to make and possible to learn: each letter is a tone of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

SAMPLE_RATE = 16_000
LETTERS = {"deu": "abcd", "ell": "αβγδ", "fra": "abcé"}
N_UTTERANCES = {"train": 40, "valid": 6, "test": 6}
SECONDS_PER_LETTER = 0.12


def write_tiny_corpus(
    folder: Path,
    n_utterances: dict[str, int] | None = None,
    letters: dict[str, str] | None = None,
    seed: int = 0,
    growth: int = 2,
) -> Path:
    """Write wav files, ``{split}.tsv/.ltr/.lang`` and ``dict.ltr.txt``; return the folder.

    Each language has ``growth`` utterances more than the one before it.
    """
    rng = np.random.default_rng(seed)
    letters = letters or LETTERS
    alphabet = sorted({letter for word in letters.values() for letter in word})
    pitch = {letter: 200.0 * 1.15**i for i, letter in enumerate(alphabet)}
    counts = dict.fromkeys(["|", *alphabet], 0)
    for split, n in (n_utterances or N_UTTERANCES).items():
        rows = []
        for g, (language, symbols) in enumerate(letters.items()):
            for i in range(n + growth * g):
                words = ["".join(rng.choice(list(symbols), rng.integers(2, 5))) for _ in range(2)]
                path = Path("wav") / language / f"{split}_{i:03d}.wav"
                audio = tones(words, pitch, rng)
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(folder / path, audio, SAMPLE_RATE, subtype="PCM_16")
                units = [unit for word in words for unit in [*word, "|"]]
                for unit in units:
                    counts[unit] += 1
                rows.append((path, len(audio), " ".join(units), language))
        order = rng.permutation(len(rows))
        write_split(folder, split, [rows[i] for i in order])
    ranked = sorted(counts, key=lambda unit: (-counts[unit], unit))
    text = "".join(f"{unit} {counts[unit]}\n" for unit in ranked)
    (folder / "dict.ltr.txt").write_text(text, encoding="utf-8")
    return folder


def write_split(folder: Path, split: str, rows: list[tuple[Path, int, str, str]]) -> None:
    """Write the three files of a split from (path, samples, label, language) rows."""
    tsv = f"{folder}\n" + "".join(f"{path}\t{n}\n" for path, n, _, _ in rows)
    (folder / f"{split}.tsv").write_text(tsv, encoding="utf-8")
    ltr = "".join(f"{label}\n" for _, _, label, _ in rows)
    (folder / f"{split}.ltr").write_text(ltr, encoding="utf-8")
    lang = "".join(f"{language}\n" for *_, language in rows)
    (folder / f"{split}.lang").write_text(lang, encoding="utf-8")


def tones(words: list[str], pitch: dict[str, float], rng: np.random.Generator) -> np.ndarray:
    """Samples of words whose letters are tones, with a pause around each word."""
    n = int(SAMPLE_RATE * SECONDS_PER_LETTER)
    pause = np.zeros(n // 2)
    pieces = [pause]
    for word in words:
        for letter in word:
            length = int(n * rng.uniform(0.9, 1.2))
            time = np.arange(length) / SAMPLE_RATE
            pieces.append(0.3 * np.sin(2 * np.pi * pitch[letter] * time) * np.hanning(length))
        pieces.append(pause)
    audio = np.concatenate(pieces)
    return audio + rng.normal(0, 0.01, len(audio))
