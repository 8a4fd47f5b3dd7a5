"""Texts that do not end: loops, and the limit of tokens."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fairseq_dro.decoding.repetition import ends_in_loop
from fairseq_dro.decoding.seq2seq import GreedySearch
from fairseq_dro.models.whisper.vocabulary import WhisperVocabulary

END = 9


@pytest.mark.parametrize(
    ("period", "copies"), [(1, 12), (2, 6), (3, 4), (4, 4), (5, 4), (11, 4), (40, 4)]
)
def test_a_sequence_is_a_loop_at_four_copies_and_twelve_tokens(period: int, copies: int) -> None:
    sequence = list(range(period))
    begin = [77, 78, 79]
    assert ends_in_loop(begin + copies * sequence)
    assert ends_in_loop(copies * sequence)
    assert not ends_in_loop(begin + (copies - 1) * sequence)
    assert not ends_in_loop(begin + (copies * sequence)[1:])
    assert not ends_in_loop([*begin, *(copies * sequence), 99]), "it has gone on"


class Reciter:
    """A model whose row n writes text n, whatever it hears."""

    def __init__(self, *texts: list[int]) -> None:
        self.texts = texts
        self.encoder = self.decoder = self

    def max_positions(self) -> int:
        return 448

    def reorder_encoder_out(self, encoder_out: dict[str, Any], order: torch.Tensor) -> Any:
        return {"rows": encoder_out["rows"][order]}

    def reorder_incremental_state(self, state: dict[str, Any], order: torch.Tensor) -> None:
        """Nothing is kept."""

    def __call__(self, tokens: torch.Tensor, encoder_out: Any, incremental_state: Any) -> Any:
        place = tokens.size(1) - 1
        scores = torch.zeros(len(tokens), 1, END + 1)
        for row, text in zip(scores, encoder_out["rows"].tolist()):
            row[0, self.texts[text][place]] = 5.0
        return scores, None


def test_a_text_stops_at_its_end_a_loop_or_its_limit_and_says_which() -> None:
    looping = [1, 2, 3] + 20 * [4, 5]
    model = Reciter([1, 2, END], looping, looping, [*range(8), *range(8)])
    prompts = torch.zeros(4, 1, dtype=torch.int64)
    limits = torch.tensor([30, 30, 14, 10])

    def search(**options: bool) -> list[tuple[list[int], str]]:
        found = GreedySearch(END, **options).generate(
            model, {"rows": torch.arange(4)}, prompts, limits
        )
        return [(one.tokens, one.stopped) for one in found]

    assert search() == [
        ([1, 2], "end"), (looping[:15], "loop"), (looping[:14], "limit"),
        ([*range(8), 0, 1], "limit"),
    ]  # fmt: skip
    assert search(stop_at_loops=False)[1] == (looping[:30], "limit")


@pytest.mark.parametrize(
    ("language", "seconds", "expected"),
    [
        ("ben", 4.0, 150),  # 1.5 x 25 a second
        ("cmn", 1.0, 30),  # 1.5 x 6 a second are fewer than 30
        ("cmn", 10.0, 90),
        ("lao", 4.0, 300),  # not trained on: 1.5 x the highest rate there is
        (None, 4.0, 300),
    ],
)
def test_the_limit_follows_the_rate_of_the_language_in_training(language, seconds, expected):
    rates = {"ben": 25.0, "cmn": 6.0, "blk": 50.0}
    trained = WhisperVocabulary(SimpleNamespace(), 10, (), (), tokens_per_second=rates)
    assert trained.token_limit(language, seconds) == expected


def test_without_training_the_limit_is_48_tokens_a_second():
    published = WhisperVocabulary(SimpleNamespace(), 10, (), ())
    assert published.token_limit("ben", 4.0) == 192
    assert published.token_limit("ben", 0.2) == 30
