"""Greedy search with an encoder-decoder model: keys and values kept, finished rows dropped.

fairseq's ``SequenceGenerator`` counts a forced prompt as part of what it found, in scores and in
lengths, and keeps finished rows until the last one ends.

Shapes: B utterances, P tokens of a prompt, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

EncoderOut = dict[str, "torch.Tensor | None"]


class Hypothesis(NamedTuple):
    """What was found for one utterance."""

    tokens: list[int]  # behind the prompt, without the end
    score: float  # log probability in nats, the end included
    ended: bool  # False where the limit cut it


class GreedySearch:
    """The likeliest next token, until the end or a limit.

    Args:
        end: the token that ends an utterance.
        suppress: tokens that are never written.
        begin_suppress: tokens that are never written first.
    """

    def __init__(
        self, end: int, suppress: Sequence[int] = (), begin_suppress: Sequence[int] = ()
    ) -> None:
        self.end = end
        self.suppress = list(suppress)
        self.begin_suppress = list(begin_suppress)

    @torch.no_grad()
    def generate(
        self, model: Any, encoder_out: EncoderOut, prompts: torch.Tensor, limits: torch.Tensor
    ) -> list[Hypothesis]:
        """One hypothesis for each row.

        Args:
            model: has ``encoder`` and ``decoder`` as ``models.whisper`` does.
            encoder_out: of ``model.encoder`` for B utterances.
            prompts: [B, P] the tokens before the text.
            limits: [B] most tokens to write, the end included; the model's own bound holds, too.
        """
        decoder = model.decoder
        n_rows, n_prompt = prompts.shape
        limits = limits.clamp(max=decoder.max_positions() - n_prompt).tolist()
        found = [Hypothesis([], 0.0, False) for _ in range(n_rows)]
        rows = [row for row in range(n_rows) if limits[row] > 0]
        state: dict[str, Any] = {}
        tokens = prompts
        while rows:
            logits = decoder(tokens, encoder_out, incremental_state=state)[0][:, -1].float()
            log_sums = logits.logsumexp(-1)
            logits[:, self.suppress] = -torch.inf
            if tokens.size(1) == n_prompt:
                logits[:, self.begin_suppress] = -torch.inf
            best, chosen = logits.max(-1)
            kept = []
            for place, (row, token, score) in enumerate(
                zip(rows, chosen.tolist(), (best - log_sums).tolist())
            ):
                so_far = found[row]
                ended = token == self.end
                if not ended:
                    so_far.tokens.append(token)
                found[row] = so_far._replace(score=so_far.score + score, ended=ended)
                if not ended and len(so_far.tokens) < limits[row]:
                    kept.append(place)
            tokens = torch.cat([tokens, chosen.unsqueeze(1)], dim=1)
            if len(kept) < len(rows):
                rows = [rows[place] for place in kept]
                order = torch.tensor(kept, dtype=torch.int64, device=tokens.device)
                tokens = tokens[order]
                encoder_out = model.encoder.reorder_encoder_out(encoder_out, order)
                decoder.reorder_incremental_state(state, order)
        return found


@torch.no_grad()
def detect_language(
    model: Any, encoder_out: EncoderOut, start: int, languages: Sequence[int]
) -> torch.Tensor:
    """[B, number of languages] log probabilities of each language's token behind the start."""
    n_rows = len(encoder_out["encoder_out"])
    first = torch.full((n_rows, 1), start, device=encoder_out["encoder_out"].device)
    logits = model.decoder(first, encoder_out)[0][:, 0].float()
    return logits[:, list(languages)].log_softmax(-1)
