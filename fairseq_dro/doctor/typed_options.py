"""How the options of a mend are typed: with a + where the configuration does not name them.

hydra refuses an option without it there, and with it where the option is named.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Sequence

from fairseq_dro.doctor.finding import Finding

SECTIONS = ("task", "criterion", "model", "optimizer", "lr_scheduler")
"""Sections that have the options that a configuration names; the others have all of theirs."""
NAMED_BY_EVERY_RECIPE = frozenset(
    {f"{section}._name" for section in SECTIONS}
    | {"task.data", "task.normalize", "task.batch_seconds", "criterion.objective",
       "criterion.zero_infinity", "model.w2v_path", "model.feature_grad_mult",
       "model.freeze_finetune_updates"}
)  # fmt: skip
"""Of these sections, what each recipe of examples/xlsr_dro/config names."""
KEY = rf"(?<![\w.+~/])(?P<key>(?:{'|'.join(SECTIONS)})\.\w+(?:\.\w+)*)"
SETTING = re.compile(KEY + r"=[^\s,;)]+")
NAME = re.compile(KEY)


def as_typed(
    finding: Finding, named: Collection[str] | None, overrides: Sequence[str] = ()
) -> Finding:
    """The finding, its mend's options as they are to be typed.

    Args:
        named: options that the configuration names without ``overrides``; None where none was
            given, and then the shipped recipes are taken and the mend says so.
        overrides: what was typed; what is to replace one of them is said to.
    """
    if finding.kind == "bad_configuration" and finding.mend.startswith("leave out the +"):
        return finding
    of_recipe = NAMED_BY_EVERY_RECIPE if named is None else named
    typed = {one.lstrip("+~").partition("=")[0]: one for one in overrides}
    is_unknown = finding.kind == "unknown_option"
    if is_unknown and "(command line)" not in finding.what:
        return finding  # a line of the recipe, which has no sign

    def write(match: re.Match[str]) -> str:
        key = match["key"]
        sign = "" if key in of_recipe else "+"
        replaced = typed.get(key, "")
        instead = f" in place of {replaced}" if replaced[:1] in ("+", "~") else ""
        return f"{sign}{match[0]}{instead}"

    mend = (NAME if is_unknown else SETTING).sub(write, finding.mend)
    if named is None and mend != finding.mend:
        mend += " (with the shipped recipes; --config-name NAME tells how for yours)"
    return dataclasses.replace(finding, mend=mend)
