"""The options that the criterions of this package share, as ``criterion.NAME=value``.

Those of the rules (``step_size``, ``smoothing``, ...) are declared by the rules themselves
(``dro.rules``), and stand here by their names.
"""

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, make_dataclass
from typing import Any, Optional

from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from omegaconf import II

from fairseq_dro.dro.group_loss import GroupLoss
from fairseq_dro.dro.rules import RULES, Rule, parameters, require_in_range, rule_named
from fairseq_dro.dro.state import UpdateWhen
from fairseq_dro.errors import UserError
from fairseq_dro.option_ranges import require_in_ranges

OF_RULES = {option.name: option for rule in RULES.values() for option in parameters(rule)}
"""Parameters of this package's rules, by name; rules that share a name share the option."""


def _help_of(option: Field) -> str:
    return f"{option.metadata['help']}; {option.metadata['expected']}"


RuleOptions = make_dataclass(
    "RuleOptions",
    [
        (name, float, field(default=option.default, metadata={"help": _help_of(option)}))
        for name, option in OF_RULES.items()
    ],
    bases=(FairseqDataclass,),
)
RuleOptions.__module__ = __name__  # make_dataclass says "types", where pickle would not find it


@dataclass
class GroupDroConfig(RuleOptions):
    objective: str = field(
        default="ctc_dro",
        metadata={
            "help": "the rule by which q moves: erm: q stays uniform; group_dro: Sagawa et al. "
            "2020; ctc_dro: Bartelds et al. 2025 (arXiv 2502.01777); cvar_dro: greedy CVaR over "
            "groups, of Sagawa's code; chi_square_dro: Zhou et al. 2021; or one of your user dir"
        },
    )
    group_loss: ChoiceEnum(["auto", *(unit.value for unit in GroupLoss)]) = field(
        default="auto",
        metadata={
            "help": "what a group's loss is, the sum of its nats divided by its batches, "
            "utterances, seconds, characters or units (the last three times those of a full batch: "
            "batch_seconds, and 12 x batch_seconds); auto: as in the rule's paper (per_batch for "
            "ctc_dro, per_unit for chi_square_dro, per_utterance for the others), unless the "
            "criterion has reasons of its own"
        },
    )
    rule_options: Any = field(
        default=None,
        metadata={
            "help": "parameters of a rule of your own user dir, as a mapping: "
            "'criterion.rule_options={scale: 2.0}'"
        },
    )
    baseline: Optional[str] = field(
        default=None,
        metadata={
            "help": "a loss of each group that is subtracted before q moves, so that q sees the "
            "excess: a run folder (group losses of its last validations), or a table of two "
            "columns, group and loss, headed by `group` and the unit of the losses"
        },
    )
    group_adjustment: float = field(
        default=0.0,
        metadata={
            "help": "C: a group of n training utterances enters the update of q with its loss + "
            "C / sqrt(n), in the unit of group_loss (Sagawa et al. 2020); 0: off, as in the paper "
            "of ctc_dro"
        },
    )
    update_when: ChoiceEnum([when.value for when in UpdateWhen]) = field(
        default="all_groups_seen",
        metadata={
            "help": "all_groups_seen: q moves once every group has a loss pending (paper); "
            "every_update: at each update, by a decayed mean of each group's losses; every_epoch: "
            "by the same means at an epoch's last update"
        },
    )
    newest_share: float = field(
        default=0.1,
        metadata={
            "help": "of update_when=every_update and every_epoch: share of the newest loss in a "
            "group's decayed mean, above 0 and at most 1 (gamma; 0.1 in Sagawa's code); 1: the "
            "last loss alone"
        },
    )
    dro_start_update: int = field(
        default=0,
        metadata={
            "help": "q stays uniform, and sees no loss, up to this update; at least 0; give it the "
            "value of model.freeze_finetune_updates, so that q does not adapt while only the "
            "output layer is trained"
        },
    )
    divide_by_sampling_probability: bool = field(
        default=False,
        metadata={
            "help": "weight a group's loss by q / (its share of what an epoch draws), so that the "
            "sum of q_g L_g is minimised however unevenly groups are drawn; false: q x (number of "
            "groups), as in the paper, where each group's share multiplies its q; cvar_dro and "
            "chi_square_dro always divide; not with task.group_sampling=q"
        },
    )
    loss_reduction: ChoiceEnum(["utterance_mean", "batch_mean", "batch_sum"]) = field(
        default="utterance_mean",
        metadata={
            "help": "what the gradient averages: utterance_mean: all utterances of the update, as "
            "stock criterions (all units with sentence_avg=false); batch_mean: the batches' means, "
            "each batch alike (the paper's code); batch_sum: the batches' sums"
        },
    )
    sentence_avg: bool = II("optimization.sentence_avg")


@dataclass
class GroupDroCtcConfig(GroupDroConfig):
    zero_infinity: bool = field(
        default=False,
        metadata={"help": "a target longer than its frames gives loss 0 instead of infinity"},
    )
    post_process: str = field(
        default="letter",
        metadata={
            "help": "how units become text for CER and WER: letter, sentencepiece, ... "
            "(fairseq.data.data_utils.post_process)"
        },
    )


@dataclass
class GroupDroCrossEntropyConfig(GroupDroConfig):
    label_smoothing: float = field(
        default=0.0,
        metadata={
            "help": "epsilon, at least 0 and below 1; only the gradient is smoothed: q and the log "
            "see the loss without it"
        },
    )


def require_ranges(cfg: GroupDroConfig) -> None:
    """Refuse option values that mean nothing, by name, whether the objective uses them or not.

    Raises:
        UserError: the first such.
    """
    rule_named(str(cfg.objective))
    for name, option in OF_RULES.items():
        require_in_range(option, getattr(cfg, name), f"criterion.{name}")
    require_in_ranges(
        "criterion", cfg,
        (
            ("group_adjustment", cfg.group_adjustment >= 0, "at least 0"),
            ("newest_share", 0 < cfg.newest_share <= 1, "above 0 and at most 1"),
            ("dro_start_update", cfg.dro_start_update >= 0, "at least 0"),
        ),
    )  # fmt: skip


def rule_options(cfg: GroupDroConfig, rule: type[Rule]) -> dict[str, Any]:
    """The parameters of a rule: options of the criterion, and what ``rule_options`` adds.

    A field of a user's rule that only has the name of an option is not that option, whose default
    is another; one that it inherits is.

    Raises:
        UserError: ``rule_options`` is not a mapping, or names what is no parameter of the rule, or
            gives a value out of range.
    """
    fields = {field.name: field for field in parameters(rule)}
    own = cfg.rule_options or {}
    if not isinstance(own, Mapping) and not hasattr(own, "keys"):
        raise UserError(
            f"criterion.rule_options={own} is not a mapping: type "
            "'criterion.rule_options={NAME: VALUE}'."
        )
    unknown = sorted(set(own.keys()) - fields.keys())
    if unknown:
        raise UserError(
            f"criterion.rule_options: criterion.objective={cfg.objective} has no parameter "
            f"{unknown[0]}: it has {', '.join(sorted(fields)) or 'none'}."
        )
    values = {
        name: getattr(cfg, name)
        for name, option in OF_RULES.items()
        if fields.get(name) is option
    }
    for name, field_of_rule in fields.items():
        if name in own or name not in values:
            values[name] = own.get(name, field_of_rule.default)
            require_in_range(field_of_rule, values[name], f"criterion.rule_options: {name}")
    return values
