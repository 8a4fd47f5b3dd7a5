#!/usr/bin/env python3
"""Greedy decoding of Whisper, from audio to tokens, against transformers on the same weights.

    FAIRSEQ_DRO_CORPUS=CORPUS .venv/bin/python scripts/benchmark_whisper_decoding.py

OpenAI's base weights (scripts/fetch_whisper_base.py), one batch of utterances of several languages
of the real corpus, language given, threads as many as asked for. At 30 s transformers' `generate`
and ours write the same tokens, which is checked. True length writes as many tokens an utterance as
that, since published weights loop there. CPU seconds of the whole process, medians over rounds of
the steps in turn.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fairseq_dro.convert.whisper import read_whisper
from fairseq_dro.decoding.seq2seq import GreedySearch
from fairseq_dro.models.whisper.dims import WhisperDims
from fairseq_dro.models.whisper.model import WhisperModel
from fairseq_dro.models.whisper.tokenizer import WhisperTokenizer
from tests.real_speech import utterances
from tests.whisper_files import config, real_or_random_folder, transformers_model

LANGUAGES = {
    "eng": "en", "deu": "de", "fra": "fr", "spa": "es", "pol": "pl", "rus": "ru", "ita": "it",
    "nld": "nl",
}  # fmt: skip
MOST_TOKENS = 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--utterances", type=int, default=2, help="of each language (default: 2)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    speech = [one for code in LANGUAGES for one in utterances(code, "test", 4, 4 + args.utterances)]
    steps = Steps([one.audio for one in speech], [LANGUAGES[one.language] for one in speech])
    if steps.theirs() != steps.ours_at_30_s():
        sys.exit("error: transformers and we do not write the same tokens")
    took = measure(
        {
            "features": steps.features, "theirs": steps.theirs,
            "30 s": steps.ours_at_30_s, "true": steps.ours_at_true_length,
        },
        args.rounds,
    )  # fmt: skip
    features, generate = took["features"], took["theirs"] - took["features"]
    seconds = sum(len(one.audio) for one in speech) / 16_000
    sys.stdout.write(
        f"{len(speech)} utterances, {seconds:.0f} s of audio, {steps.n_tokens} tokens, "
        f"{args.threads} thread(s), {args.rounds} rounds\n\n"
        "| | CPU seconds | ratio |\n|---|---:|---:|\n"
        f"| transformers: features | {np.median(features):.2f} | |\n"
        f"| transformers: generate | {np.median(generate):.2f} | 1 |\n"
        f"| ours at 30 s, log-mel included | {np.median(took['30 s']):.2f} | "
        f"{np.median(took['30 s'] / generate):.2f} of generate |\n"
        f"| ours at true length, as many tokens | {np.median(took['true']):.2f} | "
        f"{np.median(took['true'] / took['30 s']):.2f} of 30 s |\n"
    )
    return 0


class Steps:
    """The ways from audio to tokens.

    Args:
        audio: [S] samples of each utterance.
        codes: openai's language codes.
    """

    def __init__(self, audio: list[np.ndarray], codes: list[str]) -> None:
        from transformers import GenerationConfig, WhisperFeatureExtractor

        with tempfile.TemporaryDirectory() as scratch:
            pretrained = read_whisper(str(real_or_random_folder(Path(scratch))[0]))
        self.audio, self.codes = audio, codes
        self.tokenizer = WhisperTokenizer(pretrained.tokenizer)
        self.padded, self.true_length = (
            WhisperModel.of_pretrained(config(pad_to_seconds=seconds), pretrained).eval()
            for seconds in (30, 0)
        )
        self.rules = [*pretrained.suppress], [*pretrained.begin_suppress]
        self.search = GreedySearch(self.tokenizer.end, *self.rules, stop_at_loops=False)
        self.extractor = WhisperFeatureExtractor(feature_size=pretrained.dims["n_mels"])
        self.model = transformers_model(WhisperDims.of(pretrained.dims), pretrained.weights)
        self.model.generation_config = GenerationConfig(
            decoder_start_token_id=self.tokenizer.start, eos_token_id=self.tokenizer.end,
            pad_token_id=self.tokenizer.end, is_multilingual=True,
            lang_to_id={f"<|{code}|>": id for code, id in self.tokenizer.languages.items()},
            task_to_id={"transcribe": self.tokenizer.task_tokens[0]},
            no_timestamps_token_id=self.tokenizer.task_tokens[1],
            suppress_tokens=self.rules[0], begin_suppress_tokens=self.rules[1],
        )  # fmt: skip
        lengths = torch.tensor([len(one) for one in audio])
        self.source = torch.nn.utils.rnn.pad_sequence(
            [torch.from_numpy(one) for one in audio], batch_first=True
        )
        self.padding = torch.arange(self.source.size(1)) >= lengths.unsqueeze(1)
        self.prompts = torch.tensor([self.tokenizer.prompt(code) for code in codes])
        self.limits = torch.full((len(audio),), MOST_TOKENS)

    def features(self) -> torch.Tensor:
        return self.extractor(self.audio, sampling_rate=16_000, return_tensors="pt").input_features

    def theirs(self) -> list[list[int]]:
        found = self.model.generate(
            self.features(), language=self.codes, task="transcribe", max_new_tokens=MOST_TOKENS
        )
        return [[token for token in row if token < self.tokenizer.end] for row in found.tolist()]

    def ours_at_30_s(self) -> list[list[int]]:
        found = self._decode(self.padded, self.search, self.limits)
        self.n_written = torch.tensor([max(len(tokens), 1) for tokens in found])
        return found

    def ours_at_true_length(self) -> list[list[int]]:
        """As many tokens as at 30 s, whatever they are."""
        suppress = [*self.rules[0], self.tokenizer.end]
        search = GreedySearch(self.tokenizer.end, suppress, stop_at_loops=False)
        return self._decode(self.true_length, search, self.n_written + 1)

    @property
    def n_tokens(self) -> int:
        return int(self.n_written.sum())

    @torch.no_grad()
    def _decode(
        self, model: WhisperModel, search: GreedySearch, limits: torch.Tensor
    ) -> list[list[int]]:
        encoder_out = model.encoder(self.source, self.padding)
        found = search.generate(model, encoder_out, self.prompts, limits)
        return [one.tokens for one in found]


def measure(steps: dict[str, Callable[[], Any]], rounds: int) -> dict[str, np.ndarray]:
    """[rounds] CPU seconds of each step."""
    took: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds):
        for name, step in list(steps.items())[:: 1 if number % 2 else -1]:
            begin = time.process_time()
            step()
            took[name].append(time.process_time() - begin)
    return {name: np.array(times) for name, times in took.items()}


if __name__ == "__main__":
    raise SystemExit(main())
