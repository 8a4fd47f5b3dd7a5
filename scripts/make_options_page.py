"""Make ``docs/options.md`` from the dataclasses: every option of this package with its help.

    python scripts/make_options_page.py

What an option says stands once, in the ``help`` of its field. ``tests/test_options_page.py`` holds
the committed page to it.
"""

from __future__ import annotations

import argparse
import dataclasses
import enum
import sys
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import fairseq_dro
from fairseq_dro.commands import infer, transcribe
from fairseq_dro.dro.rules import RULES, Rule, parameters
from fairseq_dro.tasks.grouped_audio_options import IGNORED

PAGE = Path(__file__).resolve().parent.parent / "docs" / "options.md"

HEAD = """\
# Options

<!-- Made from the help of the dataclasses by `python scripts/make_options_page.py`. -->

An option is typed as `section.option=value`, whether the recipe names it or not. Another part of
fairseq is chosen by its name: `lr_scheduler._name=fixed`. A misspelt option is refused by name.
`fairseq-dro train RECIPE --cfg job` shows all options of a command, those of fairseq, too. This
page has those of this package. Formulas and sources: [objectives.md](objectives.md).
"""

CHECKPOINT = """\
## `checkpoint.best_checkpoint_metric`

What `checkpoint_best.pt` is best in, on the first validation split, unweighted by q:

| value | what |
|---|---|
| `loss` | fairseq's loss, in bits (our tables have nats); the default, and in `paper` and `demo` |
| `mean_cer` | the mean CER over languages, in per cent; in the other recipes |
| `worst_cer` | the CER of the worst language, in per cent |
| `cvar_cer` | the mean CER of the worst tenth of the languages, in per cent |
| `cer`, `wer` | the rate of all utterances together, in per cent |
"""


def page() -> str:
    """The whole page."""
    fairseq_dro.register()
    from fairseq.criterions import CRITERION_DATACLASS_REGISTRY as criterions
    from fairseq.models import MODEL_DATACLASS_REGISTRY as models
    from fairseq.tasks import TASK_DATACLASS_REGISTRY as tasks

    from fairseq_dro.criterions.group_dro_options import OF_RULES, GroupDroConfig, RuleOptions

    return "\n".join(
        [
            HEAD,
            *_sections("task", tasks),
            _section("`criterion`: all criterions", "criterion", _own(GroupDroConfig, RuleOptions)),
            _of_rules(OF_RULES.values()),
            *_sections("criterion", criterions, GroupDroConfig),
            *_sections("model", models),
            _decoding(),
            CHECKPOINT,
            _ignored(),
        ]
    )


def _sections(kind: str, registry: dict[str, type], of_all: type | None = None) -> Iterator[str]:
    """One for each dataclass of this package; what it has from another one stands there alone.

    Args:
        of_all: a base class whose options have a section of their own.
    """
    ours = {cls: name for name, cls in registry.items() if cls and _is_ours(cls)}
    for cls in sorted(ours, key=lambda one: (len(one.__mro__), ours[one])):
        base = next((one for one in cls.__mro__[1:] if one in ours), None)
        note = f"The options of `{ours[base]}`, and:" if base else ""
        yield _section(f"`{kind}`: `{ours[cls]}`", kind, _own(cls, base or of_all), note)


def _is_ours(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == fairseq_dro.__name__


def _own(cls: type, but: type | None = None) -> list[dataclasses.Field]:
    """Fields with a help that a class of this package declares, and ``but`` does not."""
    declared: set[str] = set()
    for base in cls.__mro__:
        if _is_ours(base) and not (but and issubclass(but, base)):
            declared |= vars(base).get("__annotations__", {}).keys()
    return [
        field for field in dataclasses.fields(cls)
        if field.name in declared and "help" in field.metadata
    ]  # fmt: skip


def _section(title: str, kind: str, fields: Iterable[dataclasses.Field], note: str = "") -> str:
    rows = [
        f"| `{kind}.{field.name}` | {_type(field.type)} | {_default(field.default)} | "
        f"{_cell(field.metadata['help'])} |"
        for field in fields
    ]
    head = [f"## {title}", "", *([note, ""] if note else [])]
    return "\n".join([*head, "| option | type | default | help |", "|---|---|---|---|", *rows, ""])


def _of_rules(options: Iterable[dataclasses.Field]) -> str:
    rules = {name: rule for name, rule in RULES.items() if _is_ours(rule)}
    rows = []
    for option in options:
        having = (f"`{n}`" for n, rule in rules.items() if option.name in _names(rule))
        rows.append(
            f"| `criterion.{option.name}` | {', '.join(having)} | `{option.default}` | "
            f"{option.metadata['expected']} | {_cell(option.metadata['help'])} |"
        )
    return "\n".join(
        ["## `criterion`: parameters of the rules", "",
         "| option | of `criterion.objective` | default | range | help |", "|---|---|---|---|---|",
         *rows, ""]
    )  # fmt: skip


def _names(rule: type[Rule]) -> set[str]:
    return {field.name for field in parameters(rule)}


def _decoding() -> str:
    parser = argparse.ArgumentParser(add_help=False)
    transcribe.add_arguments(parser)
    rows = [
        f"| `{' '.join(filter(None, (*one.option_strings, one.metavar)))}` | {_cell(one.help)} |"
        for one in parser._actions
    ]
    options = infer.EPILOG.partition("example:")[0].strip()
    return "\n".join(
        ["## Decoding", "", "`fairseq-dro infer RUN` takes:", "", *_as_code(options), "",
         "`fairseq-dro transcribe` takes:", "", "| argument | help |", "|---|---|", *rows, ""]
    )  # fmt: skip


def _as_code(text: str) -> list[str]:
    return [f"    {line}".rstrip() for line in text.splitlines()]


def _ignored() -> str:
    rows = [f"| `{option}` | {_cell(instead)} |" for option, _, instead in IGNORED]
    return "\n".join(
        ["## Options of fairseq that have no effect here", "",
         "Training warns where one of them is set.", "",
         "| option | what to do |", "|---|---|", *rows, ""]
    )  # fmt: skip


def _type(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return ", ".join(f"`{member.value}`" for member in kind)
    names = {float: "float", int: "int", bool: "bool", str: "text", Any: "text"}
    if typing.get_origin(kind) is typing.Union:
        kind = next(one for one in typing.get_args(kind) if one is not type(None))
    return names[kind]


def _default(value: Any) -> str:
    if value is None or value is dataclasses.MISSING:
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
