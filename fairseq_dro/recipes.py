"""The recipes that come with the package, and what a name that is none of them may have meant.

They are files of ``examples/xlsr_dro/config``; a wheel carries them beside this module (setup.py).
Nothing heavy is imported here: a misspelt name must be told at once.
"""

from __future__ import annotations

import difflib
from pathlib import Path

from fairseq_dro.errors import UserError

IN_WHEEL = Path(__file__).resolve().parent / "recipe_files"
IN_CHECKOUT = Path(__file__).resolve().parent.parent / "examples" / "xlsr_dro" / "config"

FORMER = {
    "finetune_ctc": ("finetune", "erm"),
    "finetune_group_dro": ("finetune", "group_dro"),
    "finetune_ctc_dro": ("finetune", "ctc_dro"),
    "mms_ctc": ("mms", "erm"),
    "mms_group_dro": ("mms", "group_dro"),
    "mms_ctc_dro": ("mms", "ctc_dro"),
    "paper_ctc_dro": ("paper", "ctc_dro"),
}
"""Recipes of earlier versions: which one has taken its place, with which objective."""


def shipped_folder() -> Path:
    """Where the recipes lie: in an installed wheel, else in the checkout."""
    return IN_WHEEL if IN_WHEEL.is_dir() else IN_CHECKOUT


def recipes_in(folder: Path) -> list[str]:
    """Names of the recipes of a folder, in alphabetical order."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def find_recipe(name: str, folder: Path | None = None) -> Path:
    """The file of a recipe.

    Args:
        name: of a shipped recipe, with or without ``.yaml``, or the path of a file.
        folder: look for a name here, in place of the shipped recipes.

    Raises:
        UserError: there is none; the sentence says what is near.
    """
    bare = name.removesuffix(".yaml")
    where = folder or shipped_folder()
    in_folder = where / f"{bare}.yaml"
    is_path = "/" in name or name.endswith(".yaml")
    if folder is None and is_path and Path(name).is_file():
        return Path(name).resolve()
    if in_folder.is_file() and "/" not in name:
        return in_folder.resolve()
    now = of_former_version(bare)
    if now:
        raise UserError(now)
    if is_path and folder is None:
        raise UserError(
            f"{name} does not exist: name a file of yours, or one of the recipes "
            f"{', '.join(recipes_in(where))}."
        )
    names = recipes_in(where)
    near = difflib.get_close_matches(bare, names, 1, 0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    known = f"the recipes are {', '.join(names)}" if names else f"{where} holds no recipe"
    raise UserError(f"there is no recipe {bare}: {hint}{known}; or name a file, as in mine.yaml.")


def require_file(path: Path) -> None:
    """Refuse a recipe of a folder that is named apart from it.

    Raises:
        UserError: the folder holds no such file; the sentence says which it holds.
    """
    if path.is_file():
        return
    now = of_former_version(path.stem)
    if now:
        raise UserError(now)
    beside = recipes_in(path.parent)
    near = difflib.get_close_matches(path.stem, beside, 1, 0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UserError(
        f"{path} does not exist: {hint}{path.parent.resolve()} "
        f"{'holds ' + ', '.join(beside) if beside else 'holds no configuration'}; name another "
        "folder with --config-dir."
    )


def of_former_version(name: str) -> str | None:
    """What to type for a recipe of an earlier version; None for any other name."""
    if name not in FORMER:
        return None
    recipe, objective = FORMER[name]
    return (
        f"the recipe {name} is now {recipe}: type `fairseq-dro train {recipe} "
        f"criterion.objective={objective} ...`, which writes to runs/{recipe}/{objective}; to "
        f"resume an earlier run, add hydra.run.dir=runs/{name}."
    )
