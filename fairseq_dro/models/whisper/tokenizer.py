"""Whisper's own tokenizer, read from the JSON that Hugging Face and faster-whisper publish.

The library ``tokenizers`` is imported when it is used: only Whisper needs it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from fairseq_dro.errors import UserError

START, END = "<|startoftranscript|>", "<|endoftext|>"
TRANSCRIBE, TRANSLATE, NO_TIMESTAMPS = "<|transcribe|>", "<|translate|>", "<|notimestamps|>"
PADDING = 50256
"""The empty string among the tokens of text: no word needs it, so targets are padded with it."""

MAX_TEXT_TOKENS = 448 - 4
"""Of a text: the decoder has 448 positions, and the prompt takes four."""

_LANGUAGE = re.compile(r"<\|([a-z]{2,3}(?:_[a-z0-9]+)*)\|>")

# what openai never writes unless asked to (tokenizer.py, non_speech_tokens)
_SYMBOLS = [
    *'"#()*+/:;<=>@[\\]^_`{|}~「」『』',
    *"<< >> <<< >>> -- --- -( -[ (' (\" (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪".split(),
]
_NOTES = set("♩♪♫♬♭♮♯")


class WhisperTokenizer:
    """Text to tokens and back, and the ids of the tokens that are no text.

    Args:
        content: of ``tokenizer.json``.

    Raises:
        UserError: the library is missing, or this is no tokenizer.
    """

    def __init__(self, content: str) -> None:
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise UserError(
                "Whisper needs the library tokenizers, which is not installed: type "
                "`python -m pip install tokenizers`."
            ) from None
        self.json = content
        try:
            self._tokenizer = Tokenizer.from_str(content)
        except Exception as error:  # the library raises plain Exception
            raise UserError(
                f"this is not a tokenizer.json ({str(error)[:100]}): use the file that was "
                "published with the weights."
            ) from None
        # "<|en|>" in a transcript is text, not the token
        self._tokenizer.encode_special_tokens = True

    def encode(self, text: str) -> list[int]:
        """Tokens of a transcript, with the space in front that Whisper writes."""
        return self._tokenizer.encode(f" {text.strip()}", add_special_tokens=False).ids

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """The same for many texts, on all cores."""
        texts = [f" {text.strip()}" for text in texts]
        return [e.ids for e in self._tokenizer.encode_batch(texts, add_special_tokens=False)]

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens, without those that are no text and without the space in front."""
        return self._tokenizer.decode([t for t in tokens if t < self.end]).strip()

    def id_of(self, token: str) -> int:
        """Raises:
        UserError: there is no such token.
        """
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise UserError(
                f"the tokenizer has no token {token}, so it is not that of a multilingual Whisper: "
                "use the tokenizer.json that was published with the weights."
            )
        return found

    def name_of(self, token: int) -> str:
        return self._tokenizer.id_to_token(token) or f"<|token {token}|>"

    @cached_property
    def start(self) -> int:
        return self.id_of(START)

    @cached_property
    def end(self) -> int:
        return self.id_of(END)

    @cached_property
    def languages(self) -> dict[str, int]:
        """Token id by openai's code (``en``, ``jw``, ...), in the order of the ids."""
        between = range(self.start + 1, self.id_of(TRANSLATE))
        found = {}
        for token in (*between, *range(self._first_added, self.size)):
            match = _LANGUAGE.fullmatch(self.name_of(token))
            if match:
                found[match[1]] = token
        return found

    @property
    def size(self) -> int:
        """One more than the largest id."""
        return max(self._tokenizer.get_vocab().values()) + 1

    @property
    def _first_added(self) -> int:
        """The id behind everything that was published, timestamps included."""
        return self.id_of(NO_TIMESTAMPS) + 1 + 1501

    def prompt(self, language: str) -> list[int]:
        """What stands before the text: start, language, transcribe, no timestamps."""
        return [self.start, self.languages[language], *self.task_tokens]

    @cached_property
    def task_tokens(self) -> list[int]:
        """``transcribe`` and ``no timestamps``, which follow the language in a prompt."""
        return [self.id_of(TRANSCRIBE), self.id_of(NO_TIMESTAMPS)]

    def with_languages(self, codes: Sequence[str], n_vocab: int) -> WhisperTokenizer:
        """A tokenizer with one more token for each code, with ids from ``n_vocab`` on.

        Timestamps are filled in where the file leaves them out, as faster-whisper's does: the
        library gives added tokens the ids behind those that are there.
        """
        content: dict[str, Any] = json.loads(self.json)
        size, first_time = self.size, self.id_of(NO_TIMESTAMPS) + 1
        times = [f"<|{0.02 * (t - first_time):.2f}|>" for t in range(size, n_vocab)]
        for token, name in enumerate([*times, *(f"<|{code}|>" for code in codes)], size):
            content["added_tokens"].append(
                {"id": token, "content": name, "special": True}
                | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
            )
        return WhisperTokenizer(json.dumps(content, ensure_ascii=False))

    def require_fit(self, n_vocab: int, path: str) -> None:
        """Refuse a tokenizer of other weights.

        Raises:
            UserError: its tokens and the rows of the embedding do not correspond.
        """
        published = self._first_added
        is_v3 = self.id_of(NO_TIMESTAMPS) == 50364
        expected = 51866 if is_v3 else 51865
        if self.end != 50257 or published != expected or n_vocab < max(expected, self.size):
            raise UserError(
                f"{path}: the tokenizer does not fit the weights: {END} is token {self.end}, "
                f"{NO_TIMESTAMPS} token {self.id_of(NO_TIMESTAMPS)} and the last token "
                f"{self.size - 1}, while the weights have {n_vocab} rows: use the tokenizer.json "
                "that was published with them (large-v3 and turbo have one of their own)."
            )

    def suppressed(self) -> tuple[int, ...]:
        """openai's list of tokens that decoding never writes: brackets, notes, prompts."""

        def ids(text: str) -> list[int]:
            return self._tokenizer.encode(text, add_special_tokens=False).ids

        # the two marks may stand inside words
        found = {ids(" -")[0], ids(" '")[0]}
        for symbol in (*_SYMBOLS, *sorted(_NOTES)):
            for text in (symbol, f" {symbol}"):
                tokens = ids(text)
                if len(tokens) == 1 or symbol in _NOTES:
                    found.add(tokens[0])
        # translate, transcribe, startoflm, startofprev, nospeech: the ids before "no timestamps"
        found.update(range(self.id_of(TRANSLATE), self.id_of(NO_TIMESTAMPS)))
        return tuple(sorted({*found, self.start}))

    def suppressed_first(self) -> tuple[int, ...]:
        """openai's list for the first token: a space, and the end."""
        return (*self._tokenizer.encode(" ", add_special_tokens=False).ids, self.end)
