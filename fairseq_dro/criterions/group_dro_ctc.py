"""CTC whose per-utterance losses are weighted by group: ERM, group DRO and CTC-DRO.

The criterion weighs; it does not move q. It runs on micro-batches, in validation, on dummy
batches and on updates that are later thrown away, whereas q moves once per successful update, in
``task.reduce_metrics`` (fairseq calls that from ``trainer.py:951``, after the optimizer step).
"""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from fairseq import utils
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.data.data_utils import post_process
from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.logging import metrics
from omegaconf import II

from fairseq_dro.criterions.greedy_decoder import frames_of_utterances, greedy_units
from fairseq_dro.criterions.group_sums import GROUP_SUMS, sum_by_group
from fairseq_dro.data.groups import language_of
from fairseq_dro.dro.rules import RULES, RuleOptions, make_rule
from fairseq_dro.dro.state import GroupDroState, UpdateWhen
from fairseq_dro.errors import UserError
from fairseq_dro.scoring.edits import count_text_errors

# Shapes: B utterances, T frames, V units, L target units, G groups.


@dataclass
class GroupDroCtcConfig(FairseqDataclass):
    objective: ChoiceEnum(list(RULES)) = field(
        default="ctc_dro",
        metadata={
            "help": "erm: q stays uniform; group_dro: Sagawa et al. 2020; ctc_dro: Bartelds et al. "
            "2025 (arXiv 2502.01777); cvar_dro: greedy CVaR over groups, of Sagawa's code"
        },
    )
    step_size: float = field(
        default=1e-3,
        metadata={
            "help": "eta, step of q, > 0; the paper uses 1e-3 or 1e-4 for ctc_dro "
            "and 1e-5 to 1e-2 for group_dro"
        },
    )
    smoothing: float = field(
        default=0.5,
        metadata={
            "help": "alpha of ctc_dro, > 0; the paper uses 0.1, 0.5 or 1; larger makes each step "
            "milder, but at rest leaves easy languages less"
        },
    )
    cvar_fraction: float = field(
        default=0.2,
        metadata={
            "help": "of cvar_dro: the share of the training utterances, in the groups of highest "
            "loss, that is trained on, above 0 and at most 1"
        },
    )
    group_adjustment: float = field(
        default=0.0,
        metadata={
            "help": "C: a group of n training utterances enters the update of q with its loss + "
            "C / sqrt(n), in nats (Sagawa et al. 2020); 0: off, as in the paper of ctc_dro"
        },
    )
    update_when: ChoiceEnum([when.value for when in UpdateWhen]) = field(
        default="all_groups_seen",
        metadata={
            "help": "all_groups_seen: q moves once every group has a loss pending (paper); "
            "every_update: at each update, by a decayed mean of each group's losses"
        },
    )
    newest_share: float = field(
        default=0.1,
        metadata={
            "help": "of every_update: share of the newest loss in a group's decayed mean, above 0 "
            "and at most 1 (gamma; 0.1 in Sagawa's code); 1: the last loss alone"
        },
    )
    dro_start_update: int = field(
        default=0,
        metadata={
            "help": "q stays uniform, and sees no loss, up to this update; >= 0; give it the value "
            "of model.freeze_finetune_updates, lest q adapt to losses of the head alone"
        },
    )
    divide_by_sampling_probability: bool = field(
        default=False,
        metadata={
            "help": "weight a group's loss by q / (its share of what an epoch draws) instead of "
            "q x (number of groups): then the sum of q_g L_g is what is minimised however unevenly "
            "groups are drawn; the same where all are drawn alike"
        },
    )
    count_partial_batches: bool = field(
        default=False,
        metadata={
            "help": "for ctc_dro, count a batch as its share of task.batch_seconds instead of as "
            "1, lest small batches of a language with little audio pass for low losses"
        },
    )
    loss_reduction: ChoiceEnum(["utterance_mean", "batch_mean", "batch_sum"]) = field(
        default="utterance_mean",
        metadata={
            "help": "what the gradient averages: utterance_mean: all utterances of the update, as "
            "stock ctc (all units with sentence_avg=false); batch_mean: the batches' means, each "
            "batch alike (the paper's code); batch_sum: the batches' sums"
        },
    )
    zero_infinity: bool = field(
        default=False,
        metadata={"help": "a target longer than its frames gives loss 0 instead of infinity"},
    )
    sentence_avg: bool = II("optimization.sentence_avg")
    post_process: str = field(
        default="letter",
        metadata={
            "help": "how units become text for CER and WER: letter, sentencepiece, ... "
            "(fairseq.data.data_utils.post_process)"
        },
    )


@register_criterion("group_dro_ctc", dataclass=GroupDroCtcConfig)
class GroupDroCtcCriterion(FairseqCriterion):
    """``q_g |G|`` times the CTC loss in nats of each utterance, g its group.

    At uniform q every factor is exactly 1.0, so loss and gradient are bitwise those of stock
    ``ctc`` (``loss_reduction=utterance_mean``) without a branch that asks whether q is uniform.
    In validation nothing is weighted.

    Raises:
        UserError: the task adds no groups, or an option is out of its range.
    """

    def __init__(self, cfg: GroupDroCtcConfig, task):
        super().__init__(task)
        if not getattr(task, "groups", None):
            raise UserError(
                f"criterion=group_dro_ctc needs the language of each utterance, which the task "
                f"{task.__class__.__name__} does not give: use "
                "task=language_grouped_audio_finetuning."
            )
        if task.cfg.allow_unseen:
            raise UserError(
                "task.allow_unseen=true is for decoding: leave it out in training, where each "
                "language must have a group."
            )
        _require_ranges(cfg)
        self.cfg = cfg
        self.blank_index = task.target_dictionary.index(task.blank_symbol)
        self.pad_index = task.target_dictionary.pad()
        self.eos_index = task.target_dictionary.eos()
        self.languages = [language_of(group) for group in task.groups]
        options = RuleOptions(
            step_size=cfg.step_size,
            smoothing=cfg.smoothing,
            cvar_fraction=cfg.cvar_fraction,
            group_adjustment=cfg.group_adjustment,
            group_sizes=task.group_sizes,
        )
        self.state = GroupDroState(
            task.groups,
            make_rule(str(cfg.objective), options),
            str(cfg.update_when),
            newest_share=cfg.newest_share,
        )
        self._weights_of = None
        task.attach_group_state(self.state, cfg)

    def forward(
        self, model, sample: dict[str, Any], reduce: bool = True
    ) -> tuple[torch.Tensor, int, dict[str, Any]]:
        """Loss of one batch; ``sample["group"]`` is [B] int64, the group of each utterance.

        Returns:
            The weighted loss (summed as ``loss_reduction`` says), the number by whose sum over
            the update fairseq divides the gradient, and sums for the log.
        """
        net_output = model(**sample["net_input"])
        log_probs = model.get_normalized_probs(net_output, log_probs=True).contiguous()  # [T, B, V]
        input_lengths = frames_of_utterances(net_output, log_probs.size(0))  # [B]
        targets = sample["target"]  # [B, L]
        is_unit = (targets != self.pad_index) & (targets != self.eos_index)
        target_lengths = sample["target_lengths"]
        # cuDNN's CTC is nondeterministic and bounds target lengths; stock ctc avoids it as well
        with torch.backends.cudnn.flags(enabled=False):
            losses = F.ctc_loss(  # [B], nats
                log_probs,
                targets.masked_select(is_unit),
                input_lengths,
                target_lengths,
                blank=self.blank_index,
                reduction="none",
                zero_infinity=self.cfg.zero_infinity,
            )
        n_utterances = targets.size(0)
        normaliser = n_utterances if self.cfg.sentence_avg else sample["ntokens"]
        loss, sample_size = losses.sum(), normaliser
        if self.training:
            weights = self._loss_weights(losses)[sample["group"]]
            loss = (losses * weights).sum()
            if self.cfg.loss_reduction != "utterance_mean":
                sample_size = 1  # each batch weighs the same, whatever it holds
            if self.cfg.loss_reduction == "batch_mean":
                loss = loss / n_utterances
        with torch.no_grad():
            feasible = self._feasible(targets, target_lengths, input_lengths)
            counted = torch.isfinite(losses) & feasible
            values = {
                "loss_nats": torch.where(counted, losses.double(), 0.0),
                "n_utterances": counted,
                "n_not_finite": ~counted,
                "audio_samples": torch.where(counted, sample["n_samples"], 0),
            }
            if not self.training:
                values.update(self._errors(log_probs, input_lengths, sample))
            logging_output = {
                "loss": losses.detach().sum(),
                "ntokens": sample["ntokens"],
                "nsentences": n_utterances,
                "sample_size": normaliser,
                GROUP_SUMS: sum_by_group(sample["group"], len(self.state.groups), values),
            }
        return loss, sample_size, logging_output

    def _loss_weights(self, losses: torch.Tensor) -> torch.Tensor:
        """[G] in the losses' dtype, copied to their device again only after they have changed."""
        made_of = (self.state.q, self.state.sampling_share)  # replaced, never changed in place
        if self._weights_of is None or any(a is not b for a, b in zip(made_of, self._weights_of)):
            weights = torch.from_numpy(self.state.loss_weights).to(losses.dtype)
            self._weights = weights.to(losses.device, non_blocking=True)
            self._weights_of = made_of
        return self._weights

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
        groups = sample["group"].tolist()
        counts = []
        for hypothesis, target, group in zip(hypotheses, targets, groups):
            reference = target[(target != self.pad_index) & (target != self.eos_index)]
            counts.append(
                count_text_errors(
                    self._text(reference), self._text(hypothesis), self.languages[group]
                )
            )
        table = torch.tensor(counts, device=log_probs.device).T
        return dict(zip(("char_errors", "characters", "word_errors", "words"), table))

    def _text(self, units) -> str:
        symbols = self.task.target_dictionary.symbols
        return post_process(" ".join([symbols[unit] for unit in units]), self.cfg.post_process)

    @staticmethod
    def reduce_metrics(logging_outputs: list[dict[str, Any]]) -> None:
        """Log what concerns all groups together; the task logs what concerns each."""
        total = {
            key: utils.item(sum(log[key] for log in logging_outputs))
            for key in ("loss", "ntokens", "nsentences", "sample_size")
        }
        # in bits per sentence (or unit), unweighted, so that it compares with stock ctc's
        loss_bits = total["loss"] / math.log(2)
        metrics.log_scalar("loss", loss_bits / total["sample_size"], total["sample_size"], round=3)
        metrics.log_scalar("ntokens", total["ntokens"])
        metrics.log_scalar("nsentences", total["nsentences"])
        if total["sample_size"] != total["ntokens"]:
            metrics.log_scalar("nll_loss", loss_bits / total["ntokens"], total["ntokens"], round=3)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        """True: every value is a number or a tensor of sums."""
        return True


def _require_ranges(cfg: GroupDroCtcConfig) -> None:
    for name, is_right, expected in (
        ("step_size", cfg.step_size > 0, "above 0"),
        ("smoothing", cfg.smoothing > 0, "above 0"),
        ("cvar_fraction", 0 < cfg.cvar_fraction <= 1, "above 0 and at most 1"),
        ("group_adjustment", cfg.group_adjustment >= 0, "at least 0"),
        ("newest_share", 0 < cfg.newest_share <= 1, "above 0 and at most 1"),
        ("dro_start_update", cfg.dro_start_update >= 0, "at least 0"),
    ):
        if not is_right:
            raise UserError(
                f"criterion.{name}={getattr(cfg, name)} is out of range: it must be {expected}."
            )
