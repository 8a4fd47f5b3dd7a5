"""What text needs beside the weights: tokenizer, language tokens, what decoding may write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from fairseq_dro.convert.pretrained_whisper import PretrainedWhisper
from fairseq_dro.models.whisper.dictionary import WhisperDictionary
from fairseq_dro.models.whisper.tokenizer import WhisperTokenizer

LEAST_TOKENS = 30
"""That every utterance may have, however short."""

UNSEEN_TOKENS_PER_SECOND = 32.0
"""Of a language without training text. 1.5 times that is what the fastest utterance of Pa'O has, a
language that Whisper spells in bytes."""

_MARGIN = 1.5  # over what training has seen


@dataclass
class WhisperVocabulary:
    """Kept in every checkpoint, as plain values.

    Attributes:
        n_vocab: rows of the embedding.
        suppress, begin_suppress: tokens that decoding never writes, and never writes first.
        language_codes: by ISO 639-3 code, the code whose token the language has.
        tokens_per_second: by language, the most that a training utterance has, its end included.
    """

    tokenizer: WhisperTokenizer
    n_vocab: int
    suppress: tuple[int, ...]
    begin_suppress: tuple[int, ...]
    language_codes: dict[str, str] = field(default_factory=dict)
    tokens_per_second: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of_pretrained(cls, pretrained: PretrainedWhisper) -> WhisperVocabulary:
        """That of published weights; openai's own lists where the files hold none.

        Raises:
            UserError: the tokenizer does not fit the weights.
        """
        tokenizer = WhisperTokenizer(pretrained.tokenizer)
        n_vocab = pretrained.dims["n_vocab"]
        tokenizer.require_fit(n_vocab, pretrained.path)
        suppress, begin_suppress = pretrained.suppress, pretrained.begin_suppress
        return cls(
            tokenizer,
            n_vocab,
            tokenizer.suppressed() if suppress is None else suppress,
            tokenizer.suppressed_first() if begin_suppress is None else begin_suppress,
        )

    def as_state(self) -> dict[str, Any]:
        """Plain values, which torch's safe loader reads."""
        return {
            "tokenizer": self.tokenizer.json,
            "n_vocab": self.n_vocab,
            "suppress": list(self.suppress),
            "begin_suppress": list(self.begin_suppress),
            "language_codes": dict(self.language_codes),
            "tokens_per_second": dict(self.tokens_per_second),
        }

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> WhisperVocabulary:
        """From ``as_state``."""
        return cls(**{**state, "tokenizer": WhisperTokenizer(state["tokenizer"])})

    def with_all_tokens(self) -> WhisperVocabulary:
        """The same with every token named; the tokenizer of some files stops before the times."""
        return replace(self, tokenizer=self.tokenizer.with_languages([], self.n_vocab))

    @cached_property
    def dictionary(self) -> WhisperDictionary:
        return WhisperDictionary(self.tokenizer, self.n_vocab)

    def token_of(self, language: str) -> int | None:
        """The language token of an ISO 639-3 code; None where it was given none."""
        code = self.language_codes.get(language)
        return None if code is None else self.tokenizer.languages[code]

    def prompts(self, languages: list[str]) -> np.ndarray:
        """[K, P] what stands before the text of each language; the first token's where none has."""
        first = next(iter(self.tokenizer.languages.values()))
        tokens = [self.token_of(language) for language in languages]
        return np.array(
            [
                [self.tokenizer.start, first if token is None else token]
                + self.tokenizer.task_tokens
                for token in tokens
            ],
            dtype=np.int64,
        )

    def observe_rates(self, language: str, tokens: np.ndarray, seconds: np.ndarray) -> None:
        """Take in the training utterances of a language: [N] tokens with the end, [N] seconds."""
        self.tokens_per_second[language] = round(float((tokens / seconds).max()), 3)

    def token_limit(self, language: str | None, seconds: float) -> int:
        """Most tokens that decoding writes: 1.5 times the highest rate of training, at least 30.

        A language that training did not have may have 48 tokens a second, or 1.5 times the highest
        rate of all languages where that is more.
        """
        rates = self.tokens_per_second
        rate = rates.get(language or "") or max(UNSEEN_TOKENS_PER_SECOND, *rates.values(), 0.0)
        return int(max(LEAST_TOKENS, _MARGIN * rate * seconds))
