"""Findings about what Whisper cannot take, and what its tokens make of each language's text."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fairseq_dro.checks.finding import Finding, Severity, listed, number_of, places
from fairseq_dro.data.manifest import Manifest
from fairseq_dro.data.token_lines import TokenLines
from fairseq_dro.doctor.run_settings import RunSettings
from fairseq_dro.models.whisper.log_mel import MAX_SECONDS
from fairseq_dro.models.whisper.tokenizer import MAX_TEXT_TOKENS, WhisperTokenizer


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
    rows = np.flatnonzero((seconds > MAX_SECONDS) | (n_tokens > MAX_TEXT_TOKENS))
    findings = []
    if len(rows):
        details = [f"{seconds[row]:.1f} s, {n_tokens[row]} tokens" for row in rows]
        stops = stops_training and not run.skip_infeasible
        findings.append(
            Finding(
                "beyond_whisper",
                Severity.ERROR if stops else Severity.WARNING,
                f"longer than Whisper takes, {MAX_SECONDS} s or {MAX_TEXT_TOKENS} tokens: "
                f"{number_of(len(rows), 'utterance')} of {manifest.split}",
                "cut or remove them, or leave them out with task.skip_infeasible=true",
                len(rows),
                places(manifest, rows, "tsv", details),
            )
        )
    if tokenizer is not None and manifest.split == run.train_subset:
        findings.append(_rates(manifest, seconds, n_tokens))
    return findings


def _rates(manifest: Manifest, seconds: np.ndarray, n_tokens: np.ndarray) -> Finding:
    lengths = np.array([len(text) for text in manifest.labels])
    by_language = []
    for code, language in enumerate(manifest.languages.names):
        of = manifest.languages.codes == code
        total = n_tokens[of].sum()
        by_language.append((total / seconds[of].sum(), total / lengths[of].sum(), language))
    by_language.sort(reverse=True)
    told = [f"{name} {a:.1f} a second, {b:.2f} a character" for a, b, name in by_language]
    return Finding(
        "tokens_by_language", Severity.NOTE,
        f"Whisper's tokens in {manifest.split}: {listed(told, 20)}",
        "languages with many are spelled in bytes: they reach 444 tokens first, and a loss a "
        "token makes them look easy (criterion.group_loss=per_character does not)",
    )  # fmt: skip
