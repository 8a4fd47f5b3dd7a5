"""Options as they are typed in a shell, for hydra 1.0's grammar of overrides.

Outside quotes hydra takes the letters a to z, digits and a few signs
(hydra/grammar/OverrideLexer.g4), so a run folder named ``lr=3e-5`` or ``größe`` must stand in
quotes of its own inside the shell's.
"""

from __future__ import annotations

import re
import shlex

_PLAIN = re.compile(r"[A-Za-z0-9_/.+%*@:-]+")
_NO_STRING = re.compile(
    r"null|true|false|[+-]?(inf|nan|[\d_]*\.?[\d_]*(e[+-]?[\d_]+)?)", re.IGNORECASE
)
"""What hydra takes for a number or another value that is no string."""


def hydra_value(text: str) -> str:
    """A string as the value of an override, in double quotes where it needs them."""
    if _PLAIN.fullmatch(text) and not _NO_STRING.fullmatch(text):
        return text
    quote = "'" if '"' in text and "'" not in text else '"'
    return quote + text.replace(quote, f"\\{quote}") + quote


def readable(word: str, *, sweeps: bool = False) -> str:
    """An option as it was typed, with its value in quotes where hydra cannot read it without.

    Args:
        sweeps: ``valid,test`` stands for two runs (``--multirun``), not for a value with a comma.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    name, is_option, value = word.partition("=")
    if not is_option or value[:1] in ("", "[", "{", "(", "'", '"'):
        return word
    try:
        is_sweep = OverridesParser.create().parse_override(word).is_sweep_override()
        is_read = sweeps or not is_sweep
    except HydraException:
        is_read = False
    return word if is_read else f"{name}={hydra_value(value)}"


def unreadable_override(override: str) -> str:
    """The sentence about an option that hydra could not read, and how to type it."""
    name, is_option, value = override.partition("=")
    if not is_option:
        return (
            f"{override!r} is not an option: expected NAME=VALUE, such as task.data=data, each as "
            "one word."
        )
    odd = next((sign for sign in value if not _PLAIN.fullmatch(sign)), None)
    cannot = f"hydra does not read {odd!r} outside quotes" if odd else "hydra cannot read the value"
    typed = shlex.quote(f"{name}={hydra_value(value)}")
    return f"{override}: {cannot}: type {typed}, with both kinds of quotes."
