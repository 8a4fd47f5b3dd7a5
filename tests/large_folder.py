"""A data folder as large as one likes, for benchmarks: real lengths of text, made-up languages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from fairseq_dro.languages import COLUMNS

ALPHABETS = ("abcdefghijklmnopqrstuvwxyz", "абвгдежзийклмнопрстуфхцчшщ", "अआइईउऊकखगघचछजझटठडढ",
             "αβγδεζηθικλμνξοπρστυφχψω")  # fmt: skip
SCRIPTS = ("Latn", "Cyrl", "Deva", "Grek")
N_FILES = 50


def write_large_folder(
    folder: Path, n_utterances: int, n_languages: int, split: str = "train", *, seed: int = 1,
    files_exist: bool = True,
) -> None:
    """A split, its dictionary and a language table ``languages.tsv``.

    Paths have 44 characters, labels 20 to 80 characters in four scripts; languages shrink as
    1 / rank, and each has an utterance.

    Args:
        files_exist: all lines name one of 50 recordings in turn; else each a file of its own,
            which is not there, and no sentence comes twice.
    """
    rng = np.random.default_rng(seed)
    codes = write_language_table(folder / "languages.tsv", n_languages)
    share = 1 / np.arange(1, len(codes) + 1)
    drawn = rng.choice(len(codes), max(n_utterances - len(codes), 0), p=share / share.sum())
    language = rng.permutation(np.concatenate([np.arange(len(codes)), drawn]))[:n_utterances]
    lengths = rng.integers(48_000, 160_000, N_FILES)
    place = "a_folder_of_some_corpus/recording"
    if files_exist:
        for number, length in enumerate(lengths.tolist()):
            path = folder / "audio" / f"{place}_{number:06d}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, rng.normal(0, 0.1, length), 16_000)
    sentences = [
        [" ".join(rng.choice(list(letters + "|"), size)) for size in rng.integers(20, 80, 500)]
        for letters in ALPHABETS
    ]
    with open(folder / f"{split}.tsv", "w") as tsv, open(folder / f"{split}.ltr", "w") as ltr:
        tsv.write(f"{folder / 'audio'}\n")
        for i, code in enumerate(language.tolist()):
            name = f"{place}_{i % N_FILES:06d}" if files_exist else f"{place}_{split}_{i:07d}"
            tsv.write(f"{name}.flac\t{lengths[i % N_FILES]}\n")
            alphabet = code % len(ALPHABETS)
            label = sentences[alphabet][i % 500]
            if not files_exist:  # numbered in letters
                digits = np.base_repr(i, 10)
                label += " | " + " ".join(ALPHABETS[alphabet][int(digit)] for digit in digits)
            ltr.write(f"{label}\n")
    (folder / f"{split}.lang").write_text("".join(f"{codes[c]}\n" for c in language.tolist()))
    symbols = sorted(set("|".join(ALPHABETS)))
    (folder / "dict.ltr.txt").write_text("".join(f"{symbol} 1\n" for symbol in symbols))


def write_language_table(path: Path, n_languages: int) -> list[str]:
    """A table of so many made-up languages, for the package's has a few hundred; their codes."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    codes = [f"{a}{b}{c}" for a in letters for b in letters for c in letters][:n_languages]
    row = {"name": "Made-up", "family": "Constructed", "scored_without_spaces": "no"}
    rows = [
        {**row, "code": code, "script": SCRIPTS[number % len(SCRIPTS)]}
        for number, code in enumerate(codes)
    ]
    lines = ["\t".join(row.get(key, "") for key in COLUMNS) for row in rows]
    path.write_text("".join(f"{line}\n" for line in ["\t".join(COLUMNS), *lines]))
    return codes
