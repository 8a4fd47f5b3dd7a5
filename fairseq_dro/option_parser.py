"""Command lines whose mistakes are one sentence with a suggestion, not a page of usage."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn


class OptionParser(argparse.ArgumentParser):
    """An ``ArgumentParser`` that names what was probably meant.

    An option that is unknown is told before what is missing, for it is most often the missing one
    misspelt. Parsers of sub-commands are of this class, too.
    """

    _given: Sequence[str] = ()

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)

    def parse_known_args(self, args=None, namespace=None):
        self._given = sys.argv[1:] if args is None else list(args)
        found, others = super().parse_known_args(args, namespace)
        if any(_is_option(one) for one in others) and self._subparsers is None:
            self.error(f"unrecognized arguments: {' '.join(others)}")
        return found, others

    def error(self, message: str) -> NoReturn:
        """Write one sentence and end with status 2."""
        told = [self._about(one) for one in self._given if self._is_unknown(one)]
        told = told or [f"{self.prog}: {message}{self._nearest_command(message)}"]
        self.exit(2, f"error: {'; '.join(told)} (see `{self.prog} --help`)\n")

    def _is_unknown(self, argument: str) -> bool:
        if not _is_option(argument) or self._subparsers is not None:
            return False
        return argument.split("=")[0] not in self._option_string_actions

    def _about(self, argument: str) -> str:
        name = argument.split("=")[0]
        if "." in name:
            return f"{name} is not an option: write {name.lstrip('-')}=VALUE, without dashes"
        near = _did_you_mean(name, self._option_string_actions)
        return f"{self.prog} has no option {name}{near}"

    def _nearest_command(self, message: str) -> str:
        """A suggestion where a sub-command is no choice."""
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                wrong = [one for one in self._given if f"invalid choice: {one!r}" in message]
                return _did_you_mean(wrong[0], action.choices) if wrong else ""
        return ""


def _is_option(argument: str) -> bool:
    return argument.startswith("--") and len(argument) > 2


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f": did you mean {near[0]}?" if near else ""
