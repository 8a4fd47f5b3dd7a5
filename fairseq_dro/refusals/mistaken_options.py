"""What was wrong with the options of a ``fairseq-hydra-train`` command, in the doctor's words.

hydra and omegaconf name a key and a class of fairseq, the latter under a traceback of 45 lines.
``fairseq-dro doctor`` compares all options with those that there are; here it is asked once a
command has failed for one.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from fairseq_dro import own_runs
from fairseq_dro.compat import error_traceback
from fairseq_dro.errors import UserError
from fairseq_dro.hydra_words import unreadable_override

KINDS = ("unknown_option", "bad_configuration")
"""Of the doctor's findings, those that are about options alone."""


def apply() -> None:
    """Let the patch that shows hydra's errors ask here."""
    error_traceback.EXPLANATIONS.append(sentences_for)


def sentences_for(error: Exception) -> list[str]:
    """A sentence for each mistaken option; none where the error is not about one.

    Args:
        error: raised by hydra, by omegaconf, or with the text of such an error by the parent of
            fairseq's worker processes.
    """
    from hydra._internal.utils import get_args
    from hydra.errors import HydraException, OverrideParseException
    from omegaconf.errors import OmegaConfBaseException

    about_options = isinstance(error, (HydraException, OmegaConfBaseException))
    if not about_options and "\nomegaconf.errors." not in str(error):
        return []
    args = get_args()
    if isinstance(error, OverrideParseException):
        is_own = own_runs.current() or own_runs.mentions_own_part(_texts(args))
        return [unreadable_override(error.override)] if is_own else []
    is_training = "fairseq_cli.hydra_train" in sys.modules
    if not is_training or not args.config_dir or not args.config_name or args.multirun:
        return []
    if not own_runs.mentions_own_part(_texts(args)):
        return []
    config = Path(args.config_dir), args.config_name.removesuffix(".yaml")
    data = ("task.data=", "+task.data=")  # what lies there is not asked for
    overrides = [one for one in args.overrides if not one.startswith(data)]
    try:
        from fairseq_dro.doctor.configuration import examine_configuration

        _, findings = examine_configuration(Path(), *config, overrides)
    except UserError as mistake:
        return [str(mistake)]
    except Exception:  # the error that is there says more than one of its explanation
        return []
    found = [": ".join(filter(None, (f.what, f.fix))) for f in findings if f.kind in KINDS]
    return [one if one.endswith(("?", ".")) else f"{one}." for one in found]


def _texts(args: Any) -> list[str]:
    """The options of a command line, and the text of its recipe where hydra is about to read it."""
    path = Path(args.config_dir or ".") / f"{str(args.config_name).removesuffix('.yaml')}.yaml"
    recipe = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return [*args.overrides, recipe]
