"""The rules of this package. A new one is a file here, or in a user's own user dir."""

from fairseq_dro.dro.rules.chi_square import ChiSquareDro
from fairseq_dro.dro.rules.cvar import CvarDro
from fairseq_dro.dro.rules.exponentiated import CtcDro, Erm, GroupDro
from fairseq_dro.dro.rules.rule import (
    Q_FLOOR,
    RULES,
    Rule,
    ShiftedLosses,
    floored,
    make_rule,
    parameter,
    parameters,
    register_rule,
    require_in_range,
    rule_named,
)

__all__ = [
    "Q_FLOOR",
    "RULES",
    "ChiSquareDro",
    "CtcDro",
    "CvarDro",
    "Erm",
    "GroupDro",
    "Rule",
    "ShiftedLosses",
    "floored",
    "make_rule",
    "parameter",
    "parameters",
    "register_rule",
    "require_in_range",
    "rule_named",
]
