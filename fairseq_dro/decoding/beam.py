"""Beam search for a model with a prompt, through fairseq's ``SequenceGenerator``.

Shapes: B utterances, K beams, P tokens of a prompt, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from fairseq.search import BeamSearch as StockSearch
from fairseq.sequence_generator import SequenceGenerator
from torch import nn

from fairseq_dro.decoding.seq2seq import END, EncoderOut, Hypothesis, TextSearch


class BeamSearch(TextSearch):
    """The best of ``beam`` texts by the mean log probability of their tokens, the end included.

    So openai ranks them (``decoding.py``, ``MaximumLikelihoodRanker``). A beam that loops or is at
    its limit must end, and its end costs what the model gives it; with one beam this is
    `GreedySearch`. fairseq's own scores count the prompt in: texts are ranked without it.

    Args:
        dictionary: fairseq's, of V units, the padding another one than the end.
        beam: K.
    """

    def __init__(self, dictionary: Any, beam: int, *arguments: Any, **options: Any) -> None:
        super().__init__(dictionary.eos(), *arguments, **options)
        self.dictionary, self.beam = dictionary, beam

    @torch.no_grad()
    def generate(
        self, model: Any, encoder_out: EncoderOut, prompts: torch.Tensor, limits: torch.Tensor
    ) -> list[Hypothesis]:
        n_prompt = prompts.size(1)
        limits = limits.clamp(max=model.decoder.max_positions() - n_prompt)
        generator = SequenceGenerator(
            [_Encoded(model, encoder_out)], self.dictionary, beam_size=self.beam,
            max_len_b=n_prompt - 1 + int(limits.max()),
            search_strategy=_EndingSearch(self.dictionary, self, n_prompt, limits.tolist()),
        )  # fmt: skip
        net_input = {"source": prompts, "padding_mask": torch.zeros_like(prompts, dtype=torch.bool)}
        found = generator.generate(
            [], {"net_input": net_input, "id": torch.arange(len(prompts), device=prompts.device)},
            prefix_tokens=prompts[:, 1:], bos_token=int(prompts[0, 0]),
        )  # fmt: skip
        return [
            max(
                (self._hypothesis(one, n_prompt, limit) for one in beams),
                key=lambda one: one.score / (len(one.tokens) + 1),
            )
            for beams, limit in zip(found, limits.tolist())
        ]

    def _hypothesis(self, found: dict[str, Any], n_prompt: int, limit: int) -> Hypothesis:
        tokens = found["tokens"][n_prompt - 1 : -1].tolist()  # fairseq leaves the first one out
        score = float(found["positional_scores"][n_prompt - 1 :].sum())
        return Hypothesis(tokens, score, self.stopped(tokens, limit) or END)


class _EndingSearch(StockSearch):
    """fairseq's choice among beams, with tokens that may not be written and texts that must end."""

    def __init__(
        self, dictionary: Any, rules: TextSearch, n_prompt: int, limits: list[int]
    ) -> None:
        super().__init__(dictionary)
        self.rules, self.n_prompt, self.limits = rules, n_prompt, limits

    def step(
        self,
        step: int,
        lprobs: torch.Tensor,
        scores: torch.Tensor | None,
        prev_output_tokens: torch.Tensor | None = None,
        original_batch_idxs: torch.Tensor | None = None,
    ) -> Any:
        """As ``search.py:105``, with ``lprobs`` [B, K, V] changed before."""
        written = step - (self.n_prompt - 1)
        if written >= 0:
            lprobs[..., self.rules.suppress] = -torch.inf
            if written == 0:
                lprobs[..., self.rules.begin_suppress] = -torch.inf
            texts = prev_output_tokens[:, self.n_prompt :].tolist()
            n_beams = lprobs.size(1)
            must_end = [
                (row, k)
                for row, utterance in enumerate(original_batch_idxs.tolist())
                for k in range(n_beams)
                if self.rules.stopped(texts[row * n_beams + k], self.limits[utterance])
            ]
            for row, k in must_end:
                end = lprobs[row, k, self.eos].clone()
                lprobs[row, k] = -torch.inf
                lprobs[row, k, self.eos] = end
        return super().step(step, lprobs, scores, prev_output_tokens, original_batch_idxs)


class _Encoded(nn.Module):
    """A model whose encoder has been run, as ``SequenceGenerator`` asks for one."""

    def __init__(self, model: Any, encoder_out: EncoderOut) -> None:
        super().__init__()
        self.decoder = model.decoder
        self.encoder = _Given(encoder_out, model.encoder.reorder_encoder_out)

    def max_decoder_positions(self) -> int:
        return self.decoder.max_positions()

    def get_normalized_probs(
        self, net_output: Any, log_probs: bool, sample: Any = None
    ) -> torch.Tensor:
        logits = net_output[0].float()
        return logits.log_softmax(-1) if log_probs else logits.softmax(-1)


class _Given(nn.Module):
    def __init__(self, encoder_out: EncoderOut, reorder: Any) -> None:
        super().__init__()
        self.encoder_out, self.reorder = encoder_out, reorder

    def forward_torchscript(self, net_input: Any) -> EncoderOut:
        return self.encoder_out

    def reorder_encoder_out(self, encoder_out: EncoderOut, new_order: torch.Tensor) -> EncoderOut:
        return self.reorder(encoder_out, new_order)
