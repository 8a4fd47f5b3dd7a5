"""``group_dro_ctc``: the CTC loss of each utterance, weighted by group."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from fairseq.criterions import register_criterion
from fairseq.data.data_utils import post_process

from fairseq_dro.criterions.base import GroupDroCriterion, UtteranceLosses
from fairseq_dro.criterions.greedy_units import frames_of_utterances, greedy_units
from fairseq_dro.criterions.group_dro_options import GroupDroCtcConfig
from fairseq_dro.scoring.utterances import count_text_errors

# Shapes: B utterances, T frames, V units, L target units.


@register_criterion("group_dro_ctc", dataclass=GroupDroCtcConfig)
class GroupDroCtcCriterion(GroupDroCriterion):
    """CTC in nats; at uniform q bitwise stock ``ctc`` (``fairseq/criterions/ctc.py:101``)."""

    further_columns = ("char_errors", "reference_characters", "word_errors", "words")

    def __init__(self, cfg: GroupDroCtcConfig, task: Any) -> None:
        super().__init__(cfg, task)
        self.zero_infinity = bool(cfg.zero_infinity)
        self.post_process = str(cfg.post_process)
        self.blank_index = task.target_dictionary.index(task.blank_symbol)
        task.joins_units_by(self.post_process)

    def utterances(self, model: torch.nn.Module, sample: dict[str, Any]) -> UtteranceLosses:
        net_output = model(**sample["net_input"])
        log_probs = model.get_normalized_probs(net_output, log_probs=True).contiguous()  # [T, B, V]
        input_lengths = frames_of_utterances(net_output, log_probs.size(0))  # [B]
        targets = sample["target"]  # [B, L]
        is_unit = (targets != self.pad_index) & (targets != self.eos_index)
        target_lengths = sample["target_lengths"]
        # cuDNN's CTC is nondeterministic and bounds target lengths; stock ctc avoids it as well
        with torch.backends.cudnn.flags(enabled=False):
            losses = F.ctc_loss(  # [B]
                log_probs,
                targets.masked_select(is_unit),
                input_lengths,
                target_lengths,
                blank=self.blank_index,
                reduction="none",
                zero_infinity=self.zero_infinity,
            )
        with torch.no_grad():
            counted = torch.isfinite(losses) & self._feasible(
                targets, target_lengths, input_lengths
            )
            further = None if self.training else self._errors(log_probs, input_lengths, sample)
        return UtteranceLosses(losses, losses, counted, target_lengths, further)

    def _feasible(
        self, targets: torch.Tensor, target_lengths: torch.Tensor, input_lengths: torch.Tensor
    ) -> torch.Tensor:
        """[B] whether the frames suffice: one a unit and a blank between equal neighbours."""
        repeated = (targets[:, 1:] == targets[:, :-1]) & (targets[:, 1:] != self.pad_index)
        return input_lengths >= target_lengths + repeated.sum(-1)

    def _errors(
        self, log_probs: torch.Tensor, input_lengths: torch.Tensor, sample: dict[str, Any]
    ) -> dict[str, torch.Tensor]:
        """Character and word errors of each utterance of a validation batch, [B] each."""
        hypotheses = greedy_units(log_probs, input_lengths, self.blank_index)
        targets = sample["target"].cpu().numpy()
        languages = [self.task.languages[index] for index in sample["language"].tolist()]
        counts = []
        for hypothesis, target, language in zip(hypotheses, targets, languages):
            reference = target[(target != self.pad_index) & (target != self.eos_index)]
            counts.append(
                count_text_errors(self._text(reference), self._text(hypothesis), language)
            )
        table = torch.tensor(counts, device=log_probs.device).T
        return dict(zip(self.further_columns, table))

    def _text(self, units: np.ndarray) -> str:
        symbols = self.task.target_dictionary.symbols
        words = " ".join([symbols[unit] for unit in units.tolist()])
        return post_process(words, self.post_process)
