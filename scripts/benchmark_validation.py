#!/usr/bin/env python3
"""What validation adds to the forward pass: decoding, edit distances and sums, per utterance.

    .venv/bin/python scripts/benchmark_validation.py

Stock `ctc` and `group_dro_ctc` take turns on the same log probabilities, made from sentences with
one letter in eight wrong, so nothing of the encoder is in the times. What a criterion adds is its
whole validation step (forward and reduce_metrics), less stock's step without decoding (its
training path). CPU milliseconds of one thread, medians over rounds of the four steps in turn.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq.logging import metrics
from fairseq.tasks.audio_finetuning import AudioFinetuningTask

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.in_process import batch_of, group_dro_ctc, make_task, stock_ctc
from tests.tiny_corpus import write_split

LETTERS = "abcdefghijklmnopqrstuvwxyz'äöüßéèêçñ"
LANGUAGES = ("deu", "ell", "fra", "hin")


class Replayed(torch.nn.Module):
    """A model whose encoder ran before: it gives the log probabilities that it was made with."""

    def __init__(self, log_probs: torch.Tensor, padding_mask: torch.Tensor) -> None:
        super().__init__()
        self.net_output = {"encoder_out": log_probs, "padding_mask": padding_mask}

    def forward(self, **_net_input: Any) -> dict[str, torch.Tensor]:
        return self.net_output

    def get_normalized_probs(
        self, net_output: dict[str, torch.Tensor], log_probs: bool
    ) -> torch.Tensor:
        return net_output["encoder_out"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument(
        "--utterances", type=int, default=16,
        help="of a batch (default: 16, which are the 80 s of the recipes' max_tokens)",
    )
    parser.add_argument("--letters", type=int, default=60, help="of an utterance (default: 60)")
    parser.add_argument("--frames", type=int, default=250, help="of 20 ms (default: 250, 5 s)")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        write_data(Path(folder), args)
        task = make_task(Path(folder))
        for split in ("train", "valid"):
            task.load_dataset(split)
        sample = batch_of(task, "valid", np.arange(args.utterances))
        model = replayed(sample, task.target_dictionary, args.frames)
        ours, stock = group_dro_ctc(task).eval(), stock_ctc(task).eval()

        def grouped_step() -> None:
            _, _, log = ours(model, sample)
            task.reduce_metrics([log], ours)

        def stock_step() -> None:
            _, _, log = stock(model, sample)
            AudioFinetuningTask.reduce_metrics(task, [log], stock)

        ms = measure(model, grouped_step, stock_step, args.rounds)
    base, added_by_stock, added_by_ours = (
        np.median(ms["no decoding"]),
        np.median(ms["stock"] - ms["no decoding"]),
        np.median(ms["ours"] - ms["no decoding"]),
    )
    n = args.utterances
    sys.stdout.write(
        f"{args.rounds} rounds of {n} utterances of {args.letters} letters in {args.frames} "
        "frames\n\n| | ms per utterance | of stock's |\n|---|---:|---:|\n"
        f"| CTC loss and its sums alone | {base / n:.3f} | |\n"
        f"| stock ctc adds | {added_by_stock / n:.3f} | 1 |\n"
        f"| group_dro_ctc adds | {added_by_ours / n:.3f} | {added_by_ours / added_by_stock:.2f} |\n"
    )
    return 0


def measure(model, grouped_step, stock_step, rounds: int) -> dict[str, np.ndarray]:
    """[rounds] CPU milliseconds of each step."""
    steps = (
        ("no decoding", stock_step, True),
        ("stock", stock_step, False),
        ("ours", grouped_step, False),
    )
    ms: dict[str, list[float]] = {name: [] for name, _, _ in steps}
    with torch.no_grad():
        for number in range(-5, rounds):  # some to warm up
            for name, step, training in steps if number % 2 else steps[::-1]:
                model.train(training)
                begin = time.process_time_ns()
                with metrics.aggregate(new_root=True):
                    step()
                if number >= 0:
                    ms[name].append((time.process_time_ns() - begin) / 1e6)
    return {name: np.array(times) for name, times in ms.items()}


def replayed(sample: dict[str, Any], dictionary, n_frames: int) -> Replayed:
    """Each unit for two frames, blanks between, one unit in eight replaced by another."""
    rng = np.random.default_rng(1)
    targets = sample["target"].numpy()
    best = np.zeros((len(targets), n_frames), dtype=int)
    lengths = rng.integers(n_frames * 9 // 10, n_frames + 1, len(targets))
    lengths[0] = n_frames
    for row, target in enumerate(targets):
        units = target[target >= dictionary.nspecial].copy()
        wrong = rng.random(len(units)) < 1 / 8
        units[wrong] = rng.integers(dictionary.nspecial, len(dictionary), wrong.sum())
        at = np.linspace(2, lengths[row] - 3, len(units)).astype(int)
        best[row, at] = best[row, at + 1] = units
    logits = torch.from_numpy(rng.normal(0, 1, (n_frames, len(targets), len(dictionary)))).float()
    logits.scatter_add_(
        2, torch.from_numpy(best.T[:, :, None]), torch.full((n_frames, len(targets), 1), 12.0)
    )
    padding_mask = torch.arange(n_frames) >= torch.from_numpy(lengths)[:, None]
    return Replayed(logits.log_softmax(-1), padding_mask)


def write_data(folder: Path, args: argparse.Namespace) -> None:
    """Splits of one silent second an utterance: only the texts count."""
    import soundfile

    rng = np.random.default_rng(0)
    soundfile.write(folder / "silence.wav", np.zeros(args.frames * 320), 16_000)
    for split in ("train", "valid"):
        rows = []
        for i in range(max(args.utterances, len(LANGUAGES))):
            letters = rng.choice(list(LETTERS), args.letters).tolist()
            letters[6::7] = ["|"] * len(letters[6::7])
            rows.append(
                (Path("silence.wav"), args.frames * 320, " ".join([*letters, "|"]),
                 LANGUAGES[i % len(LANGUAGES)])
            )
        write_split(folder, split, rows)
    (folder / "dict.ltr.txt").write_text("".join(f"{unit} 10\n" for unit in "|" + LETTERS))


if __name__ == "__main__":
    raise SystemExit(main())
