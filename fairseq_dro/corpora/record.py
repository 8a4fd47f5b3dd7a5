"""What ``dataset.json`` says: versions, counts, coverage of the dictionary, a fingerprint."""

from __future__ import annotations

import hashlib
import platform
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from fairseq_dro.data.manifest_writer import SAMPLE_RATE, Utterance


def versions() -> dict[str, str]:
    """Of everything that has a say in what is written."""
    import numpy
    import soundfile
    import soxr

    from fairseq_dro import __version__

    return {
        "fairseq_dro": __version__,
        "python": platform.python_version(),
        "unicode": unicodedata.unidata_version,
        "numpy": numpy.__version__,
        "soundfile": soundfile.__version__,
        "libsndfile": soundfile.__libsndfile_version__,
        "soxr": soxr.__version__,
    }


def counts(utterances: Iterable[Utterance]) -> dict[str, dict[str, Any]]:
    """Utterances and seconds by language and split."""
    found: dict[str, dict[str, list[int]]] = defaultdict(dict)
    for utterance in utterances:
        cell = found[utterance.language].setdefault(utterance.split, [0, 0])
        cell[0] += 1
        cell[1] += utterance.n_samples
    return {
        language: {
            split: {"utterances": n, "seconds": round(samples / SAMPLE_RATE, 2)}
            for split, (n, samples) in splits.items()
        }
        for language, splits in sorted(found.items())
    }


def coverage(utterances: Sequence[Utterance]) -> dict[str, float]:
    """Share of each language's units, in valid and test, that training has; 1 where it has none."""
    known = {unit for u in utterances if u.split == "train" for unit in u.label.split()}
    held_out = [u for u in utterances if u.split != "train"]
    shares = coverage_by(known, ((u.language, u.label) for u in held_out))
    return {code: shares.get(code, 1.0) for code in sorted({u.language for u in utterances})}


def coverage_by(
    known: Collection[str], labels: Iterable[tuple[str, str]]
) -> dict[str, float]:
    """Share of each language's units that are known.

    Args:
        labels: language and label of each utterance.
    """
    seen: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for language, label in labels:
        units = label.split()
        total[language] += len(units)
        seen[language] += sum(unit in known for unit in units)
    return {code: seen[code] / total[code] for code in sorted(total)}


def fingerprint(utterances: Iterable[Utterance], dictionary: Path) -> str:
    """SHA-256 of all lines in order and of the dictionary; where the audio lies does not count."""
    digest = hashlib.sha256()
    for u in utterances:
        fields = [u.split, u.utterance_id, str(u.n_samples), u.language, u.label]
        fields += [f"{name}={value}" for name, value in u.columns.items()]
        digest.update(("\t".join(fields) + "\n").encode())
    digest.update(dictionary.read_bytes())
    return digest.hexdigest()
