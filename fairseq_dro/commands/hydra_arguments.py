"""Hand arguments to hydra while ``sys.argv`` stays what was typed, which is recorded."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def hand_to_hydra(arguments: Sequence[str]) -> None:
    """Whatever parses a command line of hydra's in this process from now on gets these."""
    import hydra  # noqa: F401  # hydra.main, which has its own name for the parser
    from hydra._internal import utils

    parser = utils.get_args_parser()
    parse = parser.parse_args
    parser.parse_args = lambda args=None, namespace=None: parse(
        list(arguments) if args is None else args, namespace
    )
    for module in (utils, sys.modules["hydra.main"]):
        module.get_args_parser = lambda: parser
