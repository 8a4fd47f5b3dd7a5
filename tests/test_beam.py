"""Beam search: through fairseq's ``SequenceGenerator``, by the rules of greedy search."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from fairseq_dro.decoding.beam import BeamSearch
from fairseq_dro.decoding.seq2seq import GreedySearch, TextSearch
from tests.test_whisper_model import SMALL, batch, model_of

PAD, END = SMALL.n_vocab - 2, SMALL.n_vocab - 1


class Vocabulary:
    """What ``SequenceGenerator`` asks of a dictionary."""

    def __init__(self, n: int, pad: int, end: int) -> None:
        self.n, self.pad_index, self.end = n, pad, end

    def __len__(self) -> int:
        return self.n

    def pad(self) -> int:
        return self.pad_index

    unk = pad

    def eos(self) -> int:
        return self.end


def found_by(search: TextSearch, limits: list[int], scale: float = 1.0) -> list:
    """Three utterances; ``scale`` makes the random model surer, so that texts end or loop."""
    model, inputs = model_of(), batch(n_tokens=3)
    prompts = inputs.pop("prev_output_tokens")
    prompts[:, 0] = prompts[0, 0]  # the start is the same for all
    with torch.no_grad():
        model.decoder.ln.weight.mul_(scale)
        encoder_out = model.encoder(**inputs)
    return search.generate(model, encoder_out, prompts, torch.tensor(limits))


@pytest.mark.parametrize("limits", [[3, 12, 7], [60, 60, 60], [444, 50, 500]])
def test_one_beam_writes_what_greedy_search_writes(limits):
    """To their limits, and into loops."""
    rules = [PAD, 7], [END, 11]
    greedy = found_by(GreedySearch(END, *rules), limits)
    beam = found_by(BeamSearch(Vocabulary(SMALL.n_vocab, PAD, END), 1, *rules), limits)
    assert [one.tokens for one in beam] == [one.tokens for one in greedy]
    assert [one.stopped for one in beam] == [one.stopped for one in greedy]
    for ours, theirs in zip(beam, greedy):
        if ours.stopped == "end":
            assert ours.score == pytest.approx(theirs.score, abs=1e-4)
        else:
            assert ours.score < theirs.score, "a beam that must end pays for its end"


class Forked:
    """After the prompt 2 the likelier way leads to unlikely texts."""

    AFTER = {  # probabilities of the end, the padding, and the tokens 2 to 5
        2: torch.tensor([0.0, 0.0, 0.1, 0.5, 0.4, 0.0]),
        3: torch.tensor([0.3, 0.0, 0.0, 0.25, 0.2, 0.25]),
        4: torch.tensor([0.1, 0.0, 0.0, 0.0, 0.0, 0.9]),
        5: torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
    }

    def __init__(self) -> None:
        self.encoder = self.decoder = self

    def max_positions(self) -> int:
        return 40

    def reorder_encoder_out(self, encoder_out: Any, order: torch.Tensor) -> Any:
        return {"encoder_out": encoder_out["encoder_out"][order]}

    def reorder_incremental_state(self, *_: Any) -> None:
        """Nothing is kept."""

    def __call__(self, tokens: torch.Tensor, encoder_out: Any, **_: Any) -> Any:
        last = tokens[:, -1].tolist()
        rows = torch.stack([self.AFTER.get(token, self.AFTER[5]) for token in last])
        return rows.log().clamp(min=-1e9).unsqueeze(1), None

    forward = __call__


@pytest.mark.parametrize(
    ("search", "tokens", "probability"),
    [
        (GreedySearch(0), [3], 0.5 * 0.3),
        (BeamSearch(Vocabulary(6, 1, 0), 2), [4, 5], 0.4 * 0.9),
    ],
)
def test_a_beam_finds_the_likelier_text_behind_the_less_likely_word(search, tokens, probability):
    encoded = {"encoder_out": torch.zeros(2, 1, 1)}
    prompts = torch.tensor([[2, 2], [2, 2]])
    for one in search.generate(Forked(), encoded, prompts, torch.tensor([30, 30])):
        assert (one.tokens, one.stopped) == (tokens, "end")
        assert one.score == pytest.approx(math.log(probability), abs=1e-5), "without the prompt's"


def test_utterances_of_a_beam_are_found_alike_alone_and_together():
    search = BeamSearch(Vocabulary(SMALL.n_vocab, PAD, END), 3, [PAD])
    together = found_by(search, [3, 30, 7], scale=3.0)
    assert [len(one.tokens) <= limit for one, limit in zip(together, [3, 30, 7])] == [True] * 3
    assert {one.stopped for one in together} <= {"end", "limit", "loop"}
    again = found_by(search, [3, 30, 9], scale=3.0)
    assert [one.tokens for one in again[:2]] == [one.tokens for one in together[:2]]
    assert again[1].stopped == together[1].stopped, "another row's limit changes nothing"
