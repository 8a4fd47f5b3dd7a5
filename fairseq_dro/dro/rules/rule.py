"""What a rule is: how q answers to group losses. And how a rule is declared and found by name.

A rule is one frozen dataclass with a decorator. Its fields are its parameters: `parameter` gives
each its default, help and range. Those of the rules of this package are options of the criterion
(``criterion.step_size=...``); those of a rule in a user's own user dir are set by
``criterion.rule_options`` (docs/extend.md).

Symbols: G groups; q [G] weights that sum to 1; L [G] loss of each group, in the unit of
``criterion.group_loss``; p [G] share of each group in what is trained on: of
the utterances, or of the audio where each batch counts the same.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar, TypeVar

import numpy as np

from fairseq_dro.dro.group_loss import GroupLoss
from fairseq_dro.errors import UserError
from fairseq_dro.option_ranges import out_of_range

Q_FLOOR = 1e-10
"""Smallest weight before normalising. A group at zero could never come back, since updates only
multiply. The value is the epsilon of the code released with the CTC-DRO paper."""


@dataclass(frozen=True)
class Rule:
    """One step of q; the base class of all rules.

    A field named ``shares`` is no parameter: it is given p [G].
    """

    group_loss: ClassVar[GroupLoss] = GroupLoss.PER_UTTERANCE
    """In what unit the paper measures L; ``criterion.group_loss`` may say another."""

    q_holds_shares: ClassVar[bool] = False
    """q contains each group's share of the data already, so that its loss must be divided by the
    probability with which the group is drawn."""

    moves: ClassVar[bool] = True
    """False: q stays where it started."""

    def start(self, n_groups: int) -> np.ndarray:
        """q [G] before the first step."""
        return np.full(n_groups, 1 / n_groups)

    def step(self, q: np.ndarray, losses: np.ndarray) -> np.ndarray:
        """New q [G] from q [G] and group losses [G]; both stay unchanged."""
        raise NotImplementedError

    def with_shares(self, amounts: np.ndarray) -> Rule:
        """The same rule with p in proportion to [G] ``amounts``; itself where it needs none."""
        if not _takes_shares(type(self)):
            return self
        return dataclasses.replace(self, shares=amounts / amounts.sum())


@dataclass(frozen=True)
class RuleOfShares(Rule):
    """A rule whose q moves around the groups' shares of the training data, where it starts.

    So at q = p it is ERM, whether q weights losses or is drawn by.
    """

    q_holds_shares: ClassVar[bool] = True

    shares: np.ndarray

    def start(self, n_groups: int) -> np.ndarray:
        return self.shares / self.shares.sum()


RULES: dict[str, type[Rule]] = {}
"""Criterion option ``objective`` -> rule."""

_Rule = TypeVar("_Rule", bound=type[Rule])


def register_rule(name: str) -> Callable[[_Rule], _Rule]:
    """Decorator: ``criterion.objective=name`` is this rule from now on."""

    def register(rule: _Rule) -> _Rule:
        RULES[name] = rule
        return rule

    return register


def parameter(
    default: float,
    help: str,
    *,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Any:
    """A field of a rule, with what its option says and the values it may have."""
    bounds = (("above", above), ("at least", at_least), ("at most", at_most))
    expected = " and ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)

    def is_right(value: Any) -> bool:
        return (
            isinstance(value, Real)
            and (above is None or value > above)
            and (at_least is None or value >= at_least)
            and (at_most is None or value <= at_most)
        )

    return dataclasses.field(
        default=default,
        metadata={"help": help, "is_right": is_right, "expected": expected or "a number"},
    )


def parameters(rule: type[Rule]) -> Iterator[dataclasses.Field]:
    """The fields of a rule that a user sets."""
    return (field for field in dataclasses.fields(rule) if field.name != "shares")


def _takes_shares(rule: type[Rule]) -> bool:
    return any(field.name == "shares" for field in dataclasses.fields(rule))


def require_in_range(field: dataclasses.Field, value: Any, option: str) -> None:
    """Refuse a parameter that means nothing; a field without a range takes every value.

    Raises:
        UserError: naming ``option``.
    """
    if value is dataclasses.MISSING:
        raise UserError(f"{option} has no default: type it.")
    if "is_right" in field.metadata and not field.metadata["is_right"](value):
        raise out_of_range(option, value, field.metadata["expected"])


def rule_named(objective: str) -> type[Rule]:
    """The rule of ``criterion.objective``.

    Raises:
        UserError: no rule has this name.
    """
    if objective in RULES:
        return RULES[objective]
    near = difflib.get_close_matches(objective, RULES, n=1)
    raise UserError(
        f"criterion.objective={objective} is not a rule: expected one of {', '.join(RULES)}"
        + (f"; did you mean {near[0]}?" if near else ".")
    )


def make_rule(
    objective: str,
    options: Mapping[str, Any],
    *,
    group_sizes: np.ndarray,
    group_adjustment: float = 0.0,
    baseline: np.ndarray | None = None,
) -> Rule:
    """The rule of ``objective`` with its parameters, and with shifted losses where asked for.

    Args:
        options: option -> value; each rule takes what it needs, and its defaults for the rest.
        group_sizes: n [G], training utterances of each group; p is in proportion to them until
            ``with_shares`` says otherwise.
        group_adjustment: C, see `ShiftedLosses`; 0 is none.
        baseline: b [G], see `ShiftedLosses`.

    Raises:
        UserError: no rule has this name, or a value is out of its range.
    """
    kind = rule_named(objective)
    values = {}
    for field in parameters(kind):
        values[field.name] = options.get(field.name, field.default)
        require_in_range(field, values[field.name], f"criterion.{field.name}")
    if _takes_shares(kind):
        values["shares"] = group_sizes / group_sizes.sum()
    rule = kind(**values)
    if group_adjustment == 0 and baseline is None:
        return rule
    shift = group_adjustment / np.sqrt(group_sizes)
    return ShiftedLosses(rule, shift if baseline is None else shift - baseline)


@dataclass(frozen=True)
class ShiftedLosses(Rule):
    """Another rule, fed ``L_g + shift_g``.

    Two options shift losses. Group adjustment, ``C / sqrt(n_g)`` for a group of n_g training
    utterances: small groups overfit, and are lifted for it (Sagawa et al. 2020, equation 5).
    A baseline b, ``-b_g``: the rule sees the excess over a loss that the group has anyway
    (``criterion.baseline``).
    """

    rule: Rule
    shift: np.ndarray

    @property
    def group_loss(self) -> GroupLoss:
        return self.rule.group_loss

    @property
    def q_holds_shares(self) -> bool:
        return self.rule.q_holds_shares

    @property
    def moves(self) -> bool:
        return self.rule.moves

    def start(self, n_groups: int) -> np.ndarray:
        return self.rule.start(n_groups)

    def step(self, q: np.ndarray, losses: np.ndarray) -> np.ndarray:
        return self.rule.step(q, losses + self.shift)

    def with_shares(self, amounts: np.ndarray) -> Rule:
        return dataclasses.replace(self, rule=self.rule.with_shares(amounts))


def floored(weights: np.ndarray) -> np.ndarray:
    """Weights of sum 1, none below ``Q_FLOOR`` (but for the last normalisation)."""
    weights = np.maximum(weights / weights.sum(), Q_FLOOR)
    return weights / weights.sum()
