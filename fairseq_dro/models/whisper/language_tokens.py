"""Which of Whisper's language tokens each language is given."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from fairseq_dro.errors import UserError
from fairseq_dro.languages import label_of, whisper_code
from fairseq_dro.models.whisper.tokenizer import WhisperTokenizer

NEW = "new"  # choice: a new row of the embedding
OF_ALL = ""  # key of the choice for every language
EMBEDDING = "decoder.token_embedding.weight"


def parse_choice(option: Any) -> dict[str, str]:
    """What languages without a token get, by ISO 639-3 code or for all.

    Args:
        option: ``task.new_language_tokens``: ``new``, or by language ``new`` or a near language
            with a token (ISO 639-3 or openai's code), as in ``gla:cy+chr:new``, or a mapping.

    Raises:
        UserError: it is none of these.
    """
    if not option:
        return {}
    if hasattr(option, "items"):
        return {str(language): str(wanted) for language, wanted in option.items()}
    if option == NEW:
        return {OF_ALL: NEW}
    pairs = [part.partition(":") for part in str(option).split("+")]
    if any(not (language and wanted) for language, _, wanted in pairs):
        raise UserError(
            f"task.new_language_tokens={option} cannot be read: write `new`, or for each language "
            "`new` or a near language, as in task.new_language_tokens=gla:cy+chr:new."
        )
    return {language: wanted for language, _, wanted in pairs}


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
    choice: Mapping[str, str],
    own_table: Path | None = None,
) -> tuple[dict[str, str], list[str]]:
    """The token's code by language, and the languages that get a new token.

    Args:
        languages: ISO 639-3 codes.
        choice: see ``parse_choice``.

    Raises:
        UserError: a language without a token has no choice, or the neighbour has none either.
    """
    chosen: dict[str, str] = {}
    added, without = [], []
    for language in languages:
        code = own_token(language, tokenizer, own_table)
        wanted = choice.get(language, choice.get(OF_ALL))
        if code is not None:
            chosen[language] = code
        elif wanted is None:
            without.append(language)
        elif wanted == NEW:
            chosen[language] = language
            added.append(language)
        else:
            code = wanted if wanted in tokenizer.languages else None
            code = code or own_token(wanted, tokenizer, own_table)
            if code is None:
                raise UserError(
                    f"task.new_language_tokens gives {language} the token of {wanted}, which "
                    "has none: name a language that Whisper knows (cy, cym), or `new`."
                )
            chosen[language] = code
    if without:
        choices = "+".join(f"{language}:new" for language in without)
        raise UserError(
            f"Whisper has no token for {', '.join(label_of(code) for code in without)}: say for "
            "each whether it takes a new one or that of a near language (by its code), as in "
            f"task.new_language_tokens={choices}."
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
