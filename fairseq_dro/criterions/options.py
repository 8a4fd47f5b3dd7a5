"""The options of the criterion, as ``criterion.NAME=value`` or in a recipe."""

from dataclasses import dataclass, field

from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from omegaconf import II

from fairseq_dro.dro.rules import RULES
from fairseq_dro.dro.state import UpdateWhen
from fairseq_dro.errors import UserError


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
            "groups are drawn; the same where all are drawn alike; always so with cvar_dro"
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


def require_ranges(cfg: GroupDroCtcConfig) -> None:
    """Refuse option values that mean nothing, by name.

    Raises:
        UserError: the first such.
    """
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
