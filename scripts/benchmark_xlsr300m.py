#!/usr/bin/env python3
"""One fine-tuning update of a model in the full shape of XLS-R-300M, on the CPU.

    .venv/bin/python scripts/benchmark_xlsr300m.py
    .venv/bin/python scripts/benchmark_xlsr300m.py --layers 2   # the same widths, 2 of 24 layers

Writes a checkpoint of random weights (1.3 GB at 24 layers; the whole needs 5 GB in --folder, and
is removed afterwards) and a few seconds of noise, runs `fairseq-hydra-train` for one update with
the recipe's own settings, and prints one JSON line: seconds and peak memory of that command, and
which weights it left as they were. Fails unless the convolutional extractor is bitwise unchanged
and every other weight has moved.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch

from fairseq_dro.demo.random_checkpoint import write_random_checkpoint

RECIPES = Path(__file__).resolve().parent.parent / "examples" / "xlsr_dro" / "config"
UTTERANCES = 4
LANGUAGES = ("deu", "fra")
# What a CPU needs, and what makes "every weight has moved" a fair demand: no layer left out, no
# encoder frozen at first, masks on as in the recipe.
OVERRIDES = (
    "common.cpu=true",
    "common.fp16=false",
    "common.tensorboard_logdir=null",
    "checkpoint.no_save_optimizer_state=true",
    "dataset.num_workers=0",
    "dataset.disable_validation=true",
    "optimization.max_update=1",
    f"optimization.update_freq=[{len(LANGUAGES)}]",
    "lr_scheduler.phase_ratio=null",  # one update has no room for phases: the peak rate at once
    "lr_scheduler.hold_steps=1",
    "lr_scheduler.decay_steps=1",
    "model.freeze_finetune_updates=0",
    "model.layerdrop=0.0",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=24, help="transformer layers (default: 24)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of an utterance")
    parser.add_argument("--recipe", default="finetune")
    parser.add_argument("--folder", help="where to put the temporary files (default: system's)")
    parser.add_argument("overrides", nargs="*", help="further settings, as task.batch_seconds=20")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        result = measure(Path(folder), args)
    sys.stdout.write(json.dumps(result) + "\n")
    wrong = result["extractor_weights_moved"] + result["other_weights_unmoved"]
    if wrong:
        sys.stderr.write(f"error: these weights should not be so: {', '.join(wrong)}\n")
    return 1 if wrong else 0


def measure(folder: Path, args: argparse.Namespace) -> dict[str, object]:
    """Run the command in *folder* and compare the weights before and after it."""
    pretrained = folder / "xlsr2_random.pt"
    n_parameters = write_random_checkpoint(
        pretrained, shape="xlsr_300m", encoder_layers=args.layers
    )
    write_noise(folder / "data", args.seconds)
    command = [
        str(Path(sys.executable).parent / "fairseq-hydra-train"),
        *("--config-dir", str(RECIPES), "--config-name", args.recipe),
        *(f"hydra.run.dir={folder / 'run'}", f"task.data={folder / 'data'}"),
        *(f"model.w2v_path={pretrained}", *OVERRIDES, *args.overrides),
    ]
    start = time.monotonic()
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    seconds = time.monotonic() - start
    if done.returncode != 0:
        sys.stderr.write(done.stdout)
        raise SystemExit(done.returncode)
    before = torch.load(pretrained, mmap=True)["model"]
    after = torch.load(folder / "run" / "checkpoints" / "checkpoint_last.pt", mmap=True)["model"]
    moved = {
        name: not torch.equal(before[name.removeprefix("w2v_encoder.w2v_model.")], weight)
        for name, weight in after.items()
        if name.startswith("w2v_encoder.w2v_model.")
    }
    extractor = {name for name in moved if ".feature_extractor." in name}
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)  # the command is the only child
    return {
        "layers": args.layers,
        "pretrained_parameters": n_parameters,
        "audio_seconds": args.seconds * UTTERANCES * len(LANGUAGES),
        "command_seconds": round(seconds, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_gigabytes": round(usage.ru_maxrss * 1024 / 1e9, 2),
        "threads": int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())),
        "extractor_weights": len(extractor),
        "extractor_weights_moved": sorted(name for name in extractor if moved[name]),
        "other_weights": len(moved) - len(extractor),
        "other_weights_unmoved": sorted(
            name for name in moved if not moved[name] and name not in extractor
        ),
    }


def write_noise(folder: Path, seconds: float) -> None:
    """A data folder of random audio and letters: there is nothing to learn in a single step."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    rows, labels, languages = [str(folder)], [], []
    for language in LANGUAGES:
        for i in range(UTTERANCES):
            audio = 0.1 * rng.standard_normal(int(16_000 * seconds))
            soundfile.write(folder / f"{language}{i}.wav", audio, 16_000)
            rows.append(f"{language}{i}.wav\t{len(audio)}")
            labels.append(" ".join(rng.choice(list("abcde"), 12)) + " |")
            languages.append(language)
    for split in ("train", "valid"):
        for suffix, lines in (("tsv", rows), ("ltr", labels), ("lang", languages)):
            (folder / f"{split}.{suffix}").write_text("".join(f"{line}\n" for line in lines))
    (folder / "dict.ltr.txt").write_text("".join(f"{symbol} 10\n" for symbol in "|abcde"))


if __name__ == "__main__":
    raise SystemExit(main())
