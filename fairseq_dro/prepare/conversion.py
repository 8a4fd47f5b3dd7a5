"""The audio of the utterances that are kept: used where it lies, or converted into the folder."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from fairseq_dro.data.manifest_writer import Utterance
from fairseq_dro.prepare import audio_pool
from fairseq_dro.prepare.candidate import Candidate
from fairseq_dro.prepare.data_folder import CONVERTED
from fairseq_dro.prepare.recording import Rejection
from fairseq_dro.prepare.rejected import count_by_language

_MOST_BYTES_OF_A_NAME = 150  # file systems take 255, the sum and the suffixes among them


def converted(
    candidates: list[Candidate], out: Path, workers: int, rejected: list[Rejection]
) -> tuple[list[Utterance], dict[str, dict[str, int]]]:
    """Lines of the data folder, in the order of the candidates, and what was put right in them.

    The counts are by phrase of ``adjusted.py`` and language.

    Raises:
        UserError: a file cannot be written, or a process was killed.
    """
    to_convert = [c for c in candidates if not c.n_samples]
    jobs = [
        c.job(target_of(out, c.recording.language, c.recording.utterance_id))
        for c in to_convert
    ]
    results = audio_pool.convert(jobs, workers)
    paths: dict[int, Path] = {}
    dropped = set()
    for candidate, job, result in zip(to_convert, jobs, results):
        if result.error:
            rejected.append(candidate.reject(result.error, result.detail))
            dropped.add(id(candidate))
        else:
            candidate.n_samples = result.n_samples
            candidate.adjusted += result.adjusted
            paths[id(candidate)] = job.target
    kept = [c for c in candidates if id(c) not in dropped]
    utterances = [
        Utterance(
            path=paths.get(id(c), c.recording.audio),
            n_samples=c.n_samples,
            language=c.recording.language,
            label=c.label,
            utterance_id=" ".join(c.recording.utterance_id.split()),
            split=c.split,
            text=c.text,
            speaker=" ".join(c.recording.speaker.split()),
            corpus=" ".join(c.recording.corpus.split()),
            columns={name: " ".join(text.split()) for name, text in c.recording.columns.items()},
        )
        for c in kept
    ]
    return utterances, count_by_language(
        (phrase, c.recording.language) for c in kept for phrase in c.adjusted
    )


def target_of(out: Path, language: str, utterance_id: str) -> Path:
    """Where a converted file goes: a name that any file system takes, one for each id."""
    safe = re.sub(r"[^\w.\-]", "_", utterance_id)
    safe = safe.encode()[:_MOST_BYTES_OF_A_NAME].decode(errors="ignore")
    if safe != utterance_id or safe.startswith("."):
        safe = f"{safe.lstrip('.')}-{hashlib.sha256(utterance_id.encode()).hexdigest()[:12]}"
    return out / CONVERTED / language / f"{safe}.flac"
