"""Imports point one way: down the layers, and never in a circle. Lazy imports count.

What is named by a string (``cli.py``, ``patches.py``) is no import.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import fairseq_dro

PACKAGE = Path(fairseq_dro.__file__).parent
LAYERS = (
    "text compat survival dro batching language_sets",
    "scoring",
    "data",
    "runs demo",
    "convert",
    "models",
    "checks criterions",
    "training decoding",
    "tasks prepare report watch",
    "doctor",
    "refusals",
    "commands",
)
"""Folders from the ground up: one imports from lines above its own alone."""


def imports() -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """(importing module, imported name), each as its parts below the package."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        module = path.relative_to(PACKAGE).with_suffix("").parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}:{node.lineno} is a relative import"
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            parts = [name.split(".") for name in names]
            found += [(module, tuple(one[1:])) for one in parts if one[0] == "fairseq_dro"]
    return found


def test_a_folder_imports_from_lower_layers_alone():
    floor = {folder: number for number, line in enumerate(LAYERS) for folder in line.split()}
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders <= set(floor), "each folder has its place in LAYERS"
    upwards = [
        f"{'/'.join(module)}.py imports {'.'.join(name)}"
        for module, name in imports()
        if name[:1] != module[:1] and name[:1] and {module[0], name[0]} <= folders
        and floor[name[0]] >= floor[module[0]]
    ]  # fmt: skip
    assert upwards == []


def test_no_import_leads_back():
    """At every depth: files and sub-folders of a folder are its rooms."""
    graphs: dict[tuple[str, ...], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for module, name in imports():
        same = 0
        while same < min(len(module), len(name)) and module[same] == name[same]:
            same += 1
        if same < min(len(module), len(name)) and module[same] != "__init__":
            graphs[module[:same]][module[same]].add(name[same])
    for folder, graph in graphs.items():
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            raise AssertionError(f"{'/'.join(folder)}: {' <- '.join(error.args[1])}") from None
