"""A folder as the hub has it: JSON files, and weights in one file or in parts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fairseq_dro.errors import UserError

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""In this order; in parts, ``NAME.index.json`` says which part holds what."""


@dataclass(frozen=True)
class HuggingFaceModel:
    """What a folder is to hold.

    Attributes:
        files: content by name: a text, or values for JSON.
        weights: by transformers' names, float32.
        use: Python code that runs the model, with ``{model}`` for its name.
        limits: what a user has to know, a sentence or two each.
    """

    files: Mapping[str, Any]
    weights: Mapping[str, torch.Tensor]
    use: str = ""
    limits: tuple[str, ...] = ()

    def write(self, folder: Path) -> None:
        """Write everything into an empty folder.

        Raises:
            UserError: the library for the weights is missing.
        """
        for name, content in self.files.items():
            text = content if isinstance(content, str) else _as_json(content)
            (folder / name).write_text(text, encoding="utf-8")
        write_weights(folder / WEIGHTS[0], self.weights)


def _as_json(values: Any) -> str:
    return json.dumps(values, ensure_ascii=False, indent=2) + "\n"


def read_json(file: Path) -> dict[str, Any] | None:
    """The content of a file; None where it is not there.

    Raises:
        UserError: it is not a JSON object.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        raise UserError(f"{file} is not JSON ({error}): copy or download it again.") from None
    if not isinstance(found, dict):
        raise UserError(f"{file} is not a JSON object: copy or download it again.")
    return found


def config_of(place: Path) -> dict[str, Any]:
    """``config.json`` of a folder; empty where there is none."""
    return (read_json(place / CONFIG) or {}) if place.is_dir() else {}


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """All weights by name, in the precision they are stored in.

    Raises:
        UserError: there are none, or a part is missing, cut or holds something else.
    """
    for name in WEIGHTS:
        index = read_json(folder / f"{name}.index.json")
        if index is not None:
            return _read_parts(folder, f"{name}.index.json", index)
        if (folder / name).exists():
            return read_weights_file(folder / name)
    raise UserError(f"{folder} holds no weights: expected {' or '.join(WEIGHTS)} in it.")


def _read_parts(folder: Path, name: str, index: dict[str, Any]) -> dict[str, torch.Tensor]:
    part_of = index.get("weight_map")
    if not isinstance(part_of, dict) or not part_of:
        raise UserError(f"{folder / name} has no weight_map: copy or download it again.")
    weights: dict[str, torch.Tensor] = {}
    parts = sorted({str(part) for part in part_of.values()})
    for part in parts:
        if Path(part).name != part or not (folder / part).is_file():
            raise UserError(
                f"{folder / part} is not there, and {name} names it as one of {len(parts)} parts: "
                "copy or download the missing part."
            )
        weights.update(read_weights_file(folder / part))
    missing = [weight for weight in part_of if weight not in weights]
    if missing:
        raise UserError(
            f"{folder / part_of[missing[0]]} lacks {missing[0]}, which {name} promises: copy or "
            "download the part again."
        )
    return weights


def read_weights_file(file: Path) -> dict[str, torch.Tensor]:
    """The weights of one file; nothing that a pickle contains is run.

    Raises:
        UserError: it is cut or something else, or the library to read it is missing.
    """
    library = safetensors() if file.suffix == ".safetensors" else None
    try:
        if library is not None:
            found = library.load_file(file)
        else:
            found = torch.load(file, map_location="cpu", mmap=True, weights_only=True)
    except Exception as error:  # safetensors and torch raise many kinds
        first = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise UserError(
            f"{file} cannot be read ({first}): it was cut or is another file; copy or download it "
            "again."
        ) from None
    if not isinstance(found, dict) or not all(map(torch.is_tensor, found.values())):
        raise UserError(f"{file} holds no weights by name: copy or download it again.")
    return found


def write_weights(file: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """As transformers writes them.

    Raises:
        UserError: the library is missing.
        OSError: the file cannot be written.
    """
    library = safetensors()
    from safetensors import SafetensorError

    values = {name: weight.detach().contiguous().clone() for name, weight in weights.items()}
    try:
        library.save_file(values, file, metadata={"format": "pt"})
    except SafetensorError as error:  # a full disk too
        raise OSError(str(error)) from error


def safetensors() -> Any:
    """The library.

    Raises:
        UserError: it is not installed, or does not work.
    """
    try:
        import safetensors.torch
    except Exception as error:  # a broken one raises what its parts raise
        raise UserError(
            f"safetensors files need the library safetensors, which cannot be imported ({error}): "
            "type `python -m pip install safetensors`."
        ) from None
    return safetensors.torch
