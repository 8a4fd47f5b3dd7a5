"""Search for a text with an encoder-decoder model, behind a prompt.

`GreedySearch` is here; ``decoding.beam`` has another one.

Shapes: B utterances, P tokens of a prompt, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from fairseq_dro.decoding.repetition import ends_in_loop

EncoderOut = dict[str, "torch.Tensor | None"]

END, LIMIT, LOOP = "end", "limit", "loop"
"""What a text stopped at: its own end, the most tokens it may have, or a loop."""


class Hypothesis(NamedTuple):
    """What was found for one utterance."""

    tokens: list[int]  # behind the prompt, without the end
    score: float  # log probability in nats, the end included
    stopped: str  # END, LIMIT or LOOP


class TextSearch:
    """What any search keeps to: tokens that are never written, and when a text stops.

    That is at its end, at a limit or at a loop (``repetition.ends_in_loop``): where a text loops,
    how long it gets is up to the limit and says nothing of the model.

    Args:
        end: the token that ends an utterance.
        suppress: tokens that are never written.
        begin_suppress: tokens that are never written first.
        stop_at_loops: whether a loop stops a text; nothing that was written is taken back.
    """

    def __init__(
        self,
        end: int,
        suppress: Sequence[int] = (),
        begin_suppress: Sequence[int] = (),
        *,
        stop_at_loops: bool = True,
    ) -> None:
        self.end = end
        self.stop_at_loops = stop_at_loops
        self.suppress = list(suppress)
        self.begin_suppress = list(begin_suppress)

    def generate(
        self, model: Any, encoder_out: EncoderOut, prompts: torch.Tensor, limits: torch.Tensor
    ) -> list[Hypothesis]:
        """One hypothesis for each row.

        Args:
            model: has ``encoder`` and ``decoder`` as ``models.whisper`` does.
            encoder_out: of ``model.encoder`` for B utterances.
            prompts: [B, P] the tokens before the text.
            limits: [B] most tokens to write, at least 1; the model's own bound holds, too.
        """
        raise NotImplementedError

    def stopped(self, written: list[int], limit: int) -> str | None:
        """What stops a text that has not ended, LOOP or LIMIT; None: it continues."""
        if self.stop_at_loops and ends_in_loop(written):
            return LOOP
        return LIMIT if len(written) >= limit else None


class GreedySearch(TextSearch):
    """The likeliest next token; keys and values are kept, finished rows dropped."""

    @torch.no_grad()
    def generate(
        self, model: Any, encoder_out: EncoderOut, prompts: torch.Tensor, limits: torch.Tensor
    ) -> list[Hypothesis]:
        decoder = model.decoder
        n_rows, n_prompt = prompts.shape
        limits = limits.clamp(max=decoder.max_positions() - n_prompt).tolist()
        found = [Hypothesis([], 0.0, LIMIT) for _ in range(n_rows)]
        rows = list(range(n_rows))
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
                stopped: str | None = END
                if token != self.end:
                    so_far.tokens.append(token)
                    stopped = self.stopped(so_far.tokens, limits[row])
                found[row] = Hypothesis(so_far.tokens, so_far.score + score, stopped or LIMIT)
                if stopped is None:
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
