"""Findings about what Whisper cannot take, and what its tokens make of each language's text."""

from __future__ import annotations

import numpy as np

from fairseq_dro.checks.finding import Finding, Severity, places
from fairseq_dro.data.manifest import Manifest
from fairseq_dro.models.whisper.log_mel import MAX_SECONDS
from fairseq_dro.models.whisper.tokenizer import MAX_TEXT_TOKENS
from fairseq_dro.wording import counted, listed


def beyond_whisper(
    manifest: Manifest, seconds: np.ndarray, n_tokens: np.ndarray
) -> np.ndarray:
    """Rows of the manifest whose audio or text Whisper cannot take.

    Args:
        n_tokens: [N] of the text, without prompt and end.
    """
    return np.flatnonzero((seconds > MAX_SECONDS) | (n_tokens > MAX_TEXT_TOKENS))


def beyond_whisper_finding(
    manifest: Manifest, rows: np.ndarray, seconds: np.ndarray, n_tokens: np.ndarray, *, stops: bool
) -> list[Finding]:
    """What is wrong with such rows; none without rows.

    Args:
        stops: they stop training; else they are left out.
    """
    if not len(rows):
        return []
    details = [f"{seconds[row]:.1f} s, {n_tokens[row]} tokens" for row in rows]
    return [
        Finding(
            "beyond_whisper",
            Severity.ERROR if stops else Severity.WARNING,
            f"longer than Whisper takes, {MAX_SECONDS} s or {MAX_TEXT_TOKENS} tokens: "
            f"{counted(len(rows), 'utterance')} of {manifest.split}",
            "cut or remove them, or leave them out with task.skip_infeasible=true",
            len(rows),
            places(manifest, rows, "tsv", details),
        )
    ]


def token_rates(manifest: Manifest, seconds: np.ndarray, n_tokens: np.ndarray) -> Finding:
    """Tokens a second and a character, by language."""
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
