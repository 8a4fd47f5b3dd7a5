"""Greedy CTC decoding of a batch on its device, in the place of fairseq's Viterbi decoder."""

from __future__ import annotations

import time
from typing import Any

import torch
from fairseq.data import Dictionary
from fairseq.models import FairseqModel

from fairseq_dro.criterions.greedy_units import frames_of_utterances, greedy_units

# Shapes: B utterances, T frames, V units.


class GreedyDecoder:
    """The same hypotheses as ``decoders/viterbi_decoder.py``, without copying [B, T, V] scores.

    fairseq copies all scores to the CPU and walks over the utterances there; here one [B, T]
    integer tensor is copied.

    Attributes:
        model_seconds, search_seconds: wall time spent in the model, and on its output afterwards.
    """

    def __init__(self, dictionary: Dictionary) -> None:
        # as decoders/base_decoder.py:21
        has_blank = "<ctc_blank>" in dictionary.indices
        self.blank = dictionary.index("<ctc_blank>") if has_blank else dictionary.bos()
        self.model_seconds = 0.0
        self.search_seconds = 0.0

    def generate(
        self, models: list[FairseqModel], sample: dict[str, Any], **_unused: Any
    ) -> list[list[dict[str, Any]]]:
        """One hypothesis for each of the B utterances, by the first model.

        ``score`` is the log probability of its best path, in nats.
        """
        started = time.perf_counter()
        inputs = {key: x for key, x in sample["net_input"].items() if key != "prev_output_tokens"}
        model = models[0]
        net_output = model(**inputs)
        if hasattr(model, "get_logits"):
            scores = model.get_logits(net_output)  # [T, B, V]
        else:
            scores = model.get_normalized_probs(net_output, log_probs=True)
        if scores.is_cuda:  # no extra wait: the search ends by copying to the CPU
            torch.cuda.synchronize(scores.device)
        searching = time.perf_counter()
        lengths = frames_of_utterances(net_output, scores.size(0))
        path_scores = best_path_scores(scores, lengths).tolist()
        hypotheses = [
            [{"tokens": torch.from_numpy(units), "score": score}]
            for units, score in zip(greedy_units(scores, lengths, self.blank), path_scores)
        ]
        self.model_seconds += searching - started
        self.search_seconds += time.perf_counter() - searching
        return hypotheses


def best_path_scores(scores: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """[B] log probabilities of the best paths in nats, in float32.

    Args:
        scores: [T, B, V] logits or log probabilities.
        lengths: [B] frames of each utterance.
    """
    scores = scores.float()
    of_frames = scores.amax(-1) - scores.logsumexp(-1)  # [T, B]
    inside = torch.arange(scores.size(0), device=scores.device).unsqueeze(1) < lengths
    return of_frames.masked_fill(~inside, 0.0).sum(0)
