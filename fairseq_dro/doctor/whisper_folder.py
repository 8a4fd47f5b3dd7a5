"""A data folder beside the Whisper that is to be trained on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fairseq_dro.checks import whisper_limits
from fairseq_dro.checks.finding import Finding
from fairseq_dro.data.manifest import Manifest
from fairseq_dro.data.token_lines import TokenLines
from fairseq_dro.doctor.run_settings import RunSettings
from fairseq_dro.models.whisper.tokenizer import WhisperTokenizer


def tokenizer_of(run: RunSettings) -> WhisperTokenizer | None:
    """That beside the weights of the run; None where there is none to be read."""
    path = Path(run.tokenizer_path or Path(run.whisper_path or "") / "tokenizer.json")
    if not path.is_file() and run.whisper_path:
        path = Path(run.whisper_path).parent / "tokenizer.json"
    return WhisperTokenizer(path.read_text(encoding="utf-8")) if path.is_file() else None


def whisper_findings(
    manifest: Manifest, run: RunSettings, tokenizer: WhisperTokenizer | None, *,
    stops_training: bool,
) -> list[Finding]:  # fmt: skip
    """Utterances beyond 30 s or 444 tokens; of the training split, tokens by language as well."""
    seconds = manifest.n_samples / run.sample_rate
    n_tokens = np.zeros(len(manifest), dtype=np.int64)
    if tokenizer is not None:
        n_tokens = TokenLines(manifest.labels, tokenizer.encode_all).lengths
    rows = whisper_limits.beyond_whisper(manifest, seconds, n_tokens)
    findings = whisper_limits.beyond_whisper_finding(
        manifest, rows, seconds, n_tokens, stops=stops_training and not run.skip_infeasible
    )
    if tokenizer is not None and manifest.split == run.train_subset:
        findings.append(whisper_limits.token_rates(manifest, seconds, n_tokens))
    return findings
