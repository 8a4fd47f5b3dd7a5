"""What ``dataset.json`` says: versions, counts, coverage of the dictionary, a fingerprint."""

from __future__ import annotations

import hashlib
import platform
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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


class Units(NamedTuple):
    """Units of one language.

    Attributes:
        known: how many there are that are known.
        unknown: the others, with how often they occur.
    """

    known: int
    unknown: Counter[str]

    @property
    def coverage(self) -> float:
        """Share of the units that is known; 1 where there are none."""
        total = self.known + self.unknown.total()
        return self.known / total if total else 1.0


def units_beyond_training(utterances: Sequence[Utterance]) -> dict[str, Units]:
    """The units of each language in valid and test, beside those that training has."""
    known = {unit for u in utterances if u.split == "train" for unit in u.label.split()}
    found = units_beyond(known, ((u.language, u.label) for u in utterances if u.split != "train"))
    languages = sorted({u.language for u in utterances})
    return {code: found.get(code, Units(0, Counter())) for code in languages}


def units_beyond(
    known: Collection[str], labels: Iterable[tuple[str, str]]
) -> dict[str, Units]:
    """The units of each language, beside those that are known.

    Args:
        labels: language and label of each utterance.
    """
    seen: Counter[str] = Counter()
    unknown: dict[str, Counter[str]] = defaultdict(Counter)
    for language, label in labels:
        units = label.split()
        others = [unit for unit in units if unit not in known]
        seen[language] += len(units) - len(others)
        unknown[language].update(others)
    return {code: Units(seen[code], unknown[code]) for code in sorted(seen)}


def fingerprint(utterances: Iterable[Utterance], dictionary: Path) -> str:
    """SHA-256 of all lines in order and of the dictionary; where the audio lies does not count."""
    digest = hashlib.sha256()
    for u in utterances:
        fields = [u.split, u.utterance_id, str(u.n_samples), u.language, u.label]
        fields += [f"{name}={value}" for name, value in u.columns.items()]
        digest.update(("\t".join(fields) + "\n").encode())
    digest.update(dictionary.read_bytes())
    return digest.hexdigest()
