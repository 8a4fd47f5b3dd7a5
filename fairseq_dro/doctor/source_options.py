"""Names of options, read from the source of fairseq and of this package.

Importing both takes three seconds, which is long for the answer that a name is misspelt. What
cannot be found in the source is None here, and left to hydra.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

PARTS = {
    "task": ("register_task", "tasks"),
    "model": ("register_model", "models"),
    "criterion": ("register_criterion", "criterions"),
    "optimizer": ("register_optimizer", "optim"),
    "lr_scheduler": ("register_lr_scheduler", "optim/lr_scheduler"),
}
"""Sections for which a part is chosen: what registers one, and in which folder of a package."""
ROOT_CLASS = "FairseqDataclass"
MAKER = "make_dataclass"
"""By which criterions/group_dro_options.py makes a class of the parameters of all rules."""


def sections() -> frozenset[str] | None:
    """Sections of a configuration."""
    fields = _fields_of_config()
    return frozenset(fields) if fields else None


def options_of(section: str, part: str | None) -> frozenset[str] | None:
    """Names of the options of a section.

    Args:
        part: what ``section._name`` says, in a section for which a part is chosen.
    """
    if section in PARTS:
        for path in _registering(section, part) if part else ():
            dataclass = _dataclass_of(path, *PARTS[section][:1], part)
            if dataclass:
                return _with_name(_fields(path, dataclass))
        return None
    annotation = (_fields_of_config() or {}).get(section)
    config = _config_file()
    if config is None or not isinstance(annotation, ast.Name):
        return None
    return _with_name(_fields(config, annotation.id))


def parts_of(section: str) -> frozenset[str]:
    """What ``section._name`` may say; empty for a section without parts."""
    if section not in PARTS:
        return frozenset()
    register, _ = PARTS[section]
    if section == "model":  # an architecture counts as one
        register += "(?:_architecture)?"
    word = "[\"']([^\"']+)[\"']"
    registered = re.compile(
        rf"^@{register}\(\s*(?:model_name=)?{word}(?:,\s*(?:arch_name=)?{word})?", re.MULTILINE
    )
    return frozenset(
        name
        for root in filter(None, map(_package, ("fairseq_dro", "fairseq")))
        for path in root.rglob("*.py")
        if "examples" not in path.parts
        for names in registered.findall(path.read_text(encoding="utf-8"))
        for name in names if name
    )  # fmt: skip


def _with_name(fields: dict[str, ast.expr] | None) -> frozenset[str] | None:
    return None if fields is None else frozenset(["_name", *fields])


@functools.cache
def _package(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _config_file() -> Path | None:
    package = _package("fairseq")
    return package / "dataclass" / "configs.py" if package else None


@functools.cache
def _fields_of_config() -> dict[str, ast.expr] | None:
    path = _config_file()
    return _fields(path, "FairseqConfig") if path and path.is_file() else None


def _registering(section: str, part: str) -> Iterator[Path]:
    """Files that may register a part, this package's first."""
    register, folder = PARTS[section]
    for package in ("fairseq_dro", "fairseq"):
        root = _package(package)
        for path in sorted((root / folder).rglob("*.py")) if root else ():
            text = path.read_text(encoding="utf-8")
            if f"{register}(" in text and part in text:
                yield path


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _dataclass_of(path: Path, register: str, part: str) -> str | None:
    """The class that ``@register(part, dataclass=...)`` names in a file."""
    for node in _tree(path).body:
        for call in getattr(node, "decorator_list", ()):
            if not isinstance(call, ast.Call) or getattr(call.func, "id", "") != register:
                continue
            given = [word.value for word in call.keywords if word.arg == "dataclass"]
            given += call.args[1:2]
            if _text(path, call.args[0]) == part and given and isinstance(given[0], ast.Name):
                return given[0].id
    return None


def _text(path: Path, node: ast.expr) -> str | None:
    """The value of a text, or of a name to which the file assigns one."""
    if isinstance(node, ast.Name):
        for line in _tree(path).body:
            if isinstance(line, ast.Assign) and getattr(line.targets[0], "id", "") == node.id:
                return _text(path, line.value)
    return node.value if isinstance(node, ast.Constant) else None


def _fields(path: Path, name: str) -> dict[str, ast.expr] | None:
    """Annotated fields of a class and of those it inherits from; None where one is not found."""
    found: dict[str, ast.expr] = {}
    for node in _tree(path).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            for base in node.bases:
                if getattr(base, "id", "") in (ROOT_CLASS, "object"):
                    continue
                inherited = _fields(path, base.id) if isinstance(base, ast.Name) else None
                if inherited is None:
                    return None
                found |= inherited
            for line in node.body:
                if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                    found[line.target.id] = line.annotation
            return found
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            call = node.value
            is_made = isinstance(call, ast.Call) and getattr(call.func, "id", "") == MAKER
            return _rule_parameters() if is_made else None
        if isinstance(node, ast.ImportFrom):
            for one in node.names:
                if (one.asname or one.name) == name:
                    source = _module(path, node.module or "", node.level)
                    return _fields(source, one.name) if source else None
    return None


def _rule_parameters() -> dict[str, ast.expr]:
    """What the rules declare as ``NAME: float = parameter(...)``."""
    return {
        line.target.id: line.annotation
        for path in sorted((_package("fairseq_dro") / "dro" / "rules").glob("*.py"))
        for node in _tree(path).body if isinstance(node, ast.ClassDef)
        for line in node.body
        if isinstance(line, ast.AnnAssign) and isinstance(line.value, ast.Call)
        and getattr(line.value.func, "id", "") == "parameter"
    }  # fmt: skip


def _module(path: Path, name: str, level: int) -> Path | None:
    """The file of a module that another one imports from."""
    if level:
        base = path.parents[level - 1]
    else:
        package, _, name = name.partition(".")
        base = _package(package) if package in ("fairseq", "fairseq_dro") else None
        if base is None:
            return None
    there = base.joinpath(*name.split(".")) if name else base
    for file in (there.with_suffix(".py"), there / "__init__.py"):
        if file.is_file():
            return file
    return None
