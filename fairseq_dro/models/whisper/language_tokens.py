"""Which of Whisper's language tokens each language is given."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from fairseq_dro.errors import UserError
from fairseq_dro.languages import label_of, whisper_code
from fairseq_dro.models.whisper.tokenizer import WhisperTokenizer

NEW = "new"  # choice: a new row of the embedding
EMBEDDING = "decoder.token_embedding.weight"


def own_token(
    language: str, tokenizer: WhisperTokenizer, own_table: Path | None = None
) -> str | None:
    """The code whose token the language has: openai's, or its own after training added one."""
    for code in (whisper_code(language, own_table), language):
        if code in tokenizer.languages:
            return code
    return None


def choose_tokens(
    languages: Sequence[str],
    tokenizer: WhisperTokenizer,
    choice: Mapping[str, str] | str | None,
    own_table: Path | None = None,
) -> tuple[dict[str, str], list[str]]:
    """The token's code by language, and the languages that get a new token.

    Args:
        languages: ISO 639-3 codes.
        choice: ``task.new_language_tokens``: ``new``, or by language ``new`` or a neighbour with a
            token (ISO 639-3 or openai's code).

    Raises:
        UserError: a language without a token has no choice, or the neighbour has none either.
    """
    chosen: dict[str, str] = {}
    added, without = [], []
    for language in languages:
        code = own_token(language, tokenizer, own_table)
        wanted = choice if isinstance(choice, str) else (choice or {}).get(language)
        if code is not None:
            chosen[language] = code
        elif wanted is None:
            without.append(language)
        elif str(wanted) == NEW:
            chosen[language] = language
            added.append(language)
        else:
            neighbour = str(wanted)
            code = neighbour if neighbour in tokenizer.languages else None
            code = code or own_token(neighbour, tokenizer, own_table)
            if code is None:
                raise UserError(
                    f"task.new_language_tokens gives {language} the token of {neighbour}, which "
                    "has none: name a language that Whisper knows (cy, cym), or `new`."
                )
            chosen[language] = code
    if without:
        choices = ", ".join(f"{language}: new" for language in without)
        raise UserError(
            f"Whisper has no token for {', '.join(label_of(code) for code in without)}: say for "
            "each whether it takes a new one or that of a near language (by its code), as in "
            f"'task.new_language_tokens={{{choices}}}'."
        )
    return chosen, added


def with_new_rows(
    weights: Mapping[str, torch.Tensor],
    tokenizer: WhisperTokenizer,
    added: Sequence[str],
    seed: int,
) -> dict[str, torch.Tensor]:
    """The weights with a row of the embedding for each added language, behind all others.

    Drawn around the mean of the rows of Whisper's languages with their spread, channel by channel
    (as ESPnet does), as a function of the seed and the language.
    """
    rows = weights[EMBEDDING]
    known = rows[list(tokenizer.languages.values())]
    mean, spread = known.mean(0), known.std(0)
    drawn = []
    for language in added:
        generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {language}".encode()))
        drawn.append(mean + spread * torch.randn(mean.shape, generator=generator))
    return {**weights, EMBEDDING: torch.cat([rows, *(row.unsqueeze(0) for row in drawn)])}
