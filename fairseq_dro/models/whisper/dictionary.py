"""Whisper's vocabulary as fairseq knows vocabularies."""

from __future__ import annotations

from fairseq.data import Dictionary

from fairseq_dro.models.whisper.tokenizer import PADDING, WhisperTokenizer


class WhisperDictionary(Dictionary):
    """Token ids are those of the weights; padding and unknown are the empty string.

    fairseq's own class puts four symbols of its own in front. ``SequenceGenerator`` never writes
    the padding, so it must not be the end.

    Args:
        n_vocab: rows of the embedding; the tokenizer of some files stops before the timestamps.
    """

    def __init__(self, tokenizer: WhisperTokenizer, n_vocab: int) -> None:
        self.symbols = [tokenizer.name_of(token) for token in range(n_vocab)]
        self.count = [1] * n_vocab
        self.indices = {symbol: token for token, symbol in enumerate(self.symbols)}
        self.bos_index, self.eos_index = tokenizer.start, tokenizer.end
        self.pad_index = self.unk_index = PADDING
        self.bos_word, self.eos_word = self.symbols[self.bos_index], self.symbols[self.eos_index]
        self.pad_word = self.unk_word = self.symbols[PADDING]
        self.nspecial = 0
