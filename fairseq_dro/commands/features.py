"""``fairseq-dro features``: compute the hidden layers of a frozen encoder once, for many trainings.

For each split of DATA it writes them as float16 to a folder, which training takes with
task.features=FOLDER in the place of audio. The size is said first. Killed, the same command goes
on where it was.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fairseq_dro.data.feature_file import free_bytes
from fairseq_dro.data.manifest import read_manifest
from fairseq_dro.errors import UserError
from fairseq_dro.input_paths import nearest_hint, require_data_folder
from fairseq_dro.runs.durations import in_one_unit

EPILOG = """\
examples:
  fairseq-dro features data/mine --model xlsr2_300m.pt
  fairseq-dro features data/mine --model whisper-base --layers 3-6 --splits train,valid
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("data", metavar="DATA", type=Path, help="data folder")
    parser.add_argument(
        "--model", required=True, metavar="PATH",
        help="the encoder: what model.w2v_path or model.whisper_path may be",
    )  # fmt: skip
    parser.add_argument(
        "--layers", default="all", metavar="LIST",
        help="hidden layers, as model.layers (default: all): 0,4-6; 0 is what the first block sees",
    )  # fmt: skip
    parser.add_argument(
        "--splits", metavar="LIST", help="such as train,valid (default: all of the folder)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="default: DATA/features/NAME_OF_THE_MODEL"
    )
    parser.add_argument(
        "--pad-to-seconds", type=int, default=0, choices=(0, 30),
        help="of Whisper, as model.pad_to_seconds (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=int, default=0, metavar="N", help="processes that read audio (default: 0)"
    )
    parser.add_argument("--cpu", action="store_true", help="also where there is a GPU")


def run(args: argparse.Namespace) -> int:
    """Say the size, then write split after split.

    Raises:
        UserError: an input is missing, the folder holds features of something else, or the disk
            has no room.
    """
    if not Path(args.model).exists():
        hint = nearest_hint(Path(args.model)) or "name the encoder's file or folder."
        raise UserError(f"--model {args.model} does not exist: {hint}")
    splits = args.splits.split(",") if args.splits else _splits_of(args.data)
    # a split without transcripts has features, too: what is read as its labels is not used
    manifests = [read_manifest(args.data, split, "lang") for split in splits]
    out = args.out or args.data / "features" / Path(args.model).name.removesuffix(".pt")
    model = _model(args)
    from fairseq_dro.survival import folder_lock
    from fairseq_dro.training.feature_writing import SplitFeatures

    made = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    lock = folder_lock.take(
        out, named=str(out), instead="name another folder with --out",
        say=lambda text: sys.stderr.write(f"{text}\n"),
    )  # fmt: skip
    try:
        parts = [SplitFeatures(out, one, model, workers=args.workers) for one in manifests]
        _say_size(parts, out)
        for part in parts:
            part.write()
    finally:
        lock.release()
        if made:
            with contextlib.suppress(OSError):
                out.rmdir()  # where nothing was written
    sys.stdout.write(f"{out}: train with task.features={out}\n")
    return 0


def _say_size(parts: list[Any], out: Path) -> None:
    """One line before anything is written.

    Raises:
        UserError: the disk has no room for what is missing.
    """
    spec = parts[0].spec
    seconds = sum(float(one.manifest.n_samples.sum()) / one.sample_rate for one in parts)
    total = sum(one.n_bytes for one in parts)
    missing = sum(one.n_bytes_missing for one in parts)
    free = free_bytes(out)
    done = sum(one.n_written for one in parts)
    n = sum(len(one.manifest) for one in parts)
    splits = ", ".join(one.manifest.split for one in parts)
    there = f"; {done:,} utterances are there" if done else ""
    sys.stderr.write(
        f"{splits}: {n:,} utterances, {in_one_unit(seconds)}; {len(spec.layers)} layers of "
        f"{spec.width} in float16: {in_gigabytes(total)} in {out} ({in_gigabytes(free)} free)"
        f"{there}\n"
    )
    if missing > free:
        raise UserError(
            f"{out} has {in_gigabytes(free)} free, and {in_gigabytes(missing)} are to be written: "
            "name a folder on another disk with --out, or fewer layers with --layers."
        )


def in_gigabytes(n_bytes: int) -> str:
    """``3.4 GB``, ``12.0 MB``: powers of 1000."""
    unit, size = ("GB", 1e9) if n_bytes >= 1e9 else ("MB", 1e6)
    return f"{n_bytes / size:.1f} {unit}"


def _splits_of(data: Path) -> list[str]:
    require_data_folder(data, str(data))
    found = sorted(path.stem for path in data.glob("*.tsv") if path.with_suffix(".lang").exists())
    if not found:
        raise UserError(f"{data} holds no split (no .tsv with a .lang beside it): name a data "
                        "folder.")  # fmt: skip
    return found


def _model(args: argparse.Namespace) -> Any:
    """A model of the encoder, with an output layer that is not used."""
    import torch

    import fairseq_dro

    fairseq_dro.register()
    from fairseq_dro.models.layer_weighted.ctc import LayerWeightedCtc
    from fairseq_dro.models.layer_weighted.options import LayerWeightedCtcConfig

    logging.getLogger("fairseq").setLevel(logging.WARNING)
    is_whisper = _is_whisper(args.model)
    cfg = LayerWeightedCtcConfig(
        w2v_path=None if is_whisper else args.model,
        whisper_path=args.model if is_whisper else None,
        pad_to_seconds=args.pad_to_seconds, layers=args.layers, data=str(args.data),
        normalize=False if is_whisper else _was_normalized(args.model),
    )  # fmt: skip
    task = SimpleNamespace(target_dictionary=range(1))
    model = LayerWeightedCtc.build_model(cfg, task).eval()
    return model.to("cuda" if torch.cuda.is_available() and not args.cpu else "cpu")


def _is_whisper(path: str) -> bool:
    """What is no Whisper is read as a wav2vec 2.0, and refused there."""
    from fairseq_dro.convert import whisper_ctranslate2, whisper_huggingface, whisper_openai
    from fairseq_dro.convert.source import Source

    source = Source(path)
    readers = (whisper_ctranslate2, whisper_huggingface, whisper_openai)
    of_checkpoint = (source.state.get("cfg") or {}).get("model") or {}
    return any(one.recognises(source) for one in readers) or bool(of_checkpoint.get("dims"))


def _was_normalized(path: str) -> bool:
    """``task.normalize`` of its pre-training, which the audio must have, too."""
    from fairseq import checkpoint_utils

    from fairseq_dro.models import checkpoint_checks

    return checkpoint_checks.was_normalized(checkpoint_utils.load_checkpoint_to_cpu(path))
