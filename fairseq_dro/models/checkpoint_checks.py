"""What a checkpoint must be before this version of fairseq can use it: checks and sentences.

Nothing here reads weights or runs anything a file contains.
"""

from __future__ import annotations

import pickletools
import re
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch

from fairseq_dro.errors import UserError

#: Modules that pre-training needs and fine-tuning removes (wav2vec2.py:807).
PRETRAINING_MODULES = ("quantizer", "project_q", "target_glu", "final_proj")

_ADAPTER_LAYER_TYPE = "trf_adp"
_ADAPTER_WEIGHT = ".adapter_layer."


def require_layout(state: Any, path: str) -> None:
    """Refuse what `torch.load` reads but fairseq did not write.

    Raises:
        UserError: naming the file and what a checkpoint of fairseq holds.
    """
    is_ours = isinstance(state, Mapping) and isinstance(state.get("model"), Mapping)
    if is_ours:
        cfg, args = state.get("cfg"), state.get("args")
        is_old = "optimizer_history" not in state and not {"best_loss", "optimizer"} <= set(state)
        has_options = (isinstance(cfg, Mapping) and len(cfg)) or hasattr(args, "__dict__")
        is_ours = bool(state["model"]) and bool(has_options) and not is_old
    if not is_ours:
        raise UserError(
            f"{path} can be read but is not a fairseq checkpoint, which holds 'model' and 'cfg' or "
            "'args': use the publisher's fairseq file, or make one of another toolkit's by "
            "`fairseq-dro convert` (a Hugging Face folder works as it is)."
        )


def archive_inside(path: str) -> str | None:
    """What a file is that is packed around others, as the middle of a sentence, or None."""
    if tarfile.is_tarfile(path):  # first, for it may hold a ZIP archive at its end
        with tarfile.open(path) as archive:
            packed, names = "a tar archive", archive.getnames()
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            packed, names = "a ZIP archive", archive.namelist()
        if any(name.endswith("/constants.pkl") for name in names):
            return "is a TorchScript program, not weights by name: use the publisher's fairseq file"
        if any(name.endswith("data.pkl") for name in names):
            return None
    else:
        return None
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"is {packed} that holds {shown}: unpack it and name the file inside"


def require_no_adapters(state: Mapping[str, Any], path: str) -> None:
    """Refuse a model with adapter layers, which exist on fairseq's main branch only.

    Raises:
        UserError: naming the file and what to use instead.
    """
    sections = _model_sections(state.get("cfg"))
    if (
        any(_value(section, "layer_type") == _ADAPTER_LAYER_TYPE for section in sections)
        or any(_ADAPTER_WEIGHT in name for name in state["model"])
        or "adapter" in state
    ):
        raise UserError(
            f"{path} has adapter layers (as mms1b_all.pt and MMS's other fine-tuned files do), "
            "which fairseq 0.12.2 cannot build; use a model without adapters instead: MMS's "
            "pre-trained base_300m.pt or base_1b.pt, or xlsr2_300m.pt."
        )


def require_pretrained(state: Mapping[str, Any], path: str) -> None:
    """Refuse a fine-tuned checkpoint where a pre-trained one is expected.

    Raises:
        UserError: naming the file and the two options that take a fine-tuned checkpoint.
    """
    model = _value(state.get("cfg"), "model") or state.get("args")
    if _value(model, "w2v_args") is not None or _value(model, "w2v_path") is not None:
        raise UserError(
            f"{path} is a fine-tuned checkpoint; expected a pre-trained one such "
            "as xlsr2_300m.pt: to resume from a fine-tuned model keep the old model.w2v_path and "
            f"set checkpoint.finetune_from_model={path}."
        )


def require_same_normalization(state: Mapping[str, Any], path: str, normalize: bool) -> None:
    """Refuse audio that is scaled otherwise than it was in pre-training (wav2vec2_asr.py:393).

    Raises:
        UserError: naming the file and the value that ``task.normalize`` must have.
    """
    expected = was_normalized(state)
    if state.get("cfg") is not None and expected != bool(normalize):
        raise UserError(
            f"{path} was pre-trained with normalize={str(expected).lower()}, but this run "
            f"has task.normalize={str(bool(normalize)).lower()}; set "
            f"task.normalize={str(expected).lower()}."
        )


def was_normalized(state: Mapping[str, Any]) -> bool:
    """Whether audio was scaled to mean 0 and variance 1 in pre-training."""
    cfg = state.get("cfg")
    expected = _value(_value(cfg, "task"), "normalize")
    if expected is None:
        expected = _value(_value(cfg, "model") or state.get("args"), "normalize")
    return bool(expected)


def pretrained_option(state: Mapping[str, Any], name: str) -> Any:
    """An option of the pre-trained model, which older files keep as ``args``; None without it."""
    return _value(_value(state.get("cfg"), "model") or state.get("args"), name)


def require_same_weights(
    in_file: Mapping[str, torch.Tensor], in_model: Mapping[str, torch.Tensor], path: str
) -> None:
    """Refuse a file whose weights are not exactly those of the model, by their names.

    Raises:
        UserError: naming missing and unexpected weights and those of another shape.
    """
    found = {k: v for k, v in in_file.items() if k.split(".")[0] not in PRETRAINING_MODULES}
    complaints = [
        _list_of("misses", (k for k in in_model if k not in found)),
        _list_of("has the unexpected", (k for k in found if k not in in_model)),
        _list_of(
            "has another shape for",
            (
                f"{k} ({tuple(found[k].shape)} instead of {tuple(v.shape)})"
                for k, v in in_model.items()
                if k in found and found[k].shape != v.shape
            ),
        ),
    ]
    if any(complaints):
        raise UserError(
            f"the weights in {path} are not those of the model its configuration describes: it "
            f"{' and '.join(filter(None, complaints))}; use the file as it was published."
        )


def require_finite_weights(weights: Mapping[str, torch.Tensor], path: str) -> None:
    """Refuse weights that are NaN or infinite, before they spoil a training.

    Raises:
        UserError: naming the file and the first such weights.
    """
    broken = (k for k, v in weights.items() if v.is_floating_point() and not _is_finite(v))
    named = _list_of("NaN or infinite values in", broken)
    if named:
        raise UserError(
            f"{path} has {named}: the file is damaged, or a training that wrote it had diverged; "
            "use another one."
        )


def _is_finite(weight: torch.Tensor) -> bool:
    """The sum shows NaN and infinity without a mask as large as the weights."""
    return bool(torch.isfinite(weight.sum(dtype=torch.float32)))


def first_unsafe_global(path: str, message: str) -> str | None:
    """The function or class that torch's safe loader would not let *path* use, if that was it.

    *message* is torch's, which names it in most cases; where it does not, the pickle's
    instructions are listed (``pickletools``: read, never run).
    """
    named = re.search(r"GLOBAL ([\w.]+\.[\w.]+)", message)
    if named:
        return named.group(1)
    allowed = {f"{g.__module__}.{g.__qualname__}" for g in torch.serialization.get_safe_globals()}
    for name in _globals_of_pickle(path):
        if name not in allowed and name.split(".")[0] not in ("torch", "collections"):
            return name
    return None


def _globals_of_pickle(path: str) -> Iterator[str]:
    """Dotted names that a file's pickle imports, in order, until it stops making sense."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith("data.pkl")]
            content = archive.read(names[0]) if names else b""
    else:
        with open(path, "rb") as file:
            content = file.read(1 << 20)
    strings: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name == "GLOBAL":
                yield argument.replace(" ", ".")
            elif opcode.name == "STACK_GLOBAL" and len(strings) >= 2:
                yield ".".join(strings[-2:])
            elif isinstance(argument, str):
                strings.append(argument)
    except ValueError:
        return


def _model_sections(cfg: Any) -> Iterator[Any]:
    """Model section of a configuration, and that of the pre-trained model inside it."""
    while cfg is not None:
        model = _value(cfg, "model")
        if model is not None:
            yield model
        cfg = _value(model, "w2v_args")


def _value(section: Any, key: str) -> Any:
    """A value of a dictionary, an omegaconf section or a namespace; None where there is none."""
    if section is None or isinstance(section, str):
        return None
    if hasattr(section, "keys"):
        return section[key] if key in section else None
    return getattr(section, key, None)


def _list_of(verb: str, names: Iterable[str], shown: int = 3) -> str:
    """``misses a, b, c and 4 more``, or nothing where there is no name."""
    names = list(names)
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{verb} {', '.join(names[:shown])}{more}" if names else ""
