"""Small frozen encoders of every kind, and models on top of them, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from fairseq_dro.demo.random_checkpoint import write_random_checkpoint
from fairseq_dro.models.layer_weighted.ctc import LayerWeightedCtc
from fairseq_dro.models.layer_weighted.options import LayerWeightedCtcConfig
from tests.conftest import TINY_SIZES
from tests.stock_commands import BIN, REPOSITORY
from tests.whisper_files import random_weights, write_openai
from tests.whisper_runs import MINI

N_UNITS = 9
KINDS = ("layer norm", "group norm", "whisper")
HEADS: dict[str, dict[str, Any]] = {
    "linear": {},
    "transformer": {
        "pre_encoder": 8, "transformer_layers": 2, "transformer_width": 16, "transformer_heads": 2,
    },
    "no subsampling": {
        "transformer_layers": 1, "transformer_width": 16, "transformer_heads": 2, "subsampling": 1,
    },
}  # fmt: skip

SMALL_RUN = {
    "common.cpu": "true",
    "common.fp16": "false",
    "common.no_progress_bar": "true",
    "common.log_interval": "1",
    "task.batch_seconds": "10",
    "dataset.num_workers": "0",
    "checkpoint.save_interval_updates": "2",
    "optimization.max_update": "6",
    "model.pre_encoder": "8",
    "model.transformer_layers": "1",
    "model.transformer_width": "16",
    "model.transformer_heads": "2",
    "hydra.run.dir": ".",
    "hydra.output_subdir": "null",
}
"""Of the recipe ``frozen_transformer``."""


def write_encoder(folder: Path, kind: str) -> dict[str, Any]:
    """The file of one of `KINDS`, as options of the model; it was pre-trained with dropout."""
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "whisper":
        path = write_openai(folder / "mini.pt", *random_weights(MINI))
        return {"whisper_path": str(path), "normalize": False}
    mode = "layer_norm" if kind == "layer norm" else "default"
    path = folder / f"{mode}.pt"
    write_random_checkpoint(
        path, **TINY_SIZES, extractor_mode=mode, layer_norm_first=mode == "layer_norm",
        dropout=0.1, encoder_layerdrop=0.5,
    )  # fmt: skip
    return {"w2v_path": str(path), "normalize": True}


def make_model(**options: Any) -> LayerWeightedCtc:
    torch.manual_seed(3)
    cfg = LayerWeightedCtcConfig(data="", **options)
    return LayerWeightedCtc.build_model(cfg, SimpleNamespace(target_dictionary=range(N_UNITS)))


def batch_of(*n_samples: int) -> dict[str, torch.Tensor]:
    """Noise of these lengths, padded."""
    generator = torch.Generator().manual_seed(1)
    audio = [torch.randn(n, generator=generator) * 0.1 for n in n_samples]
    source = torch.nn.utils.rnn.pad_sequence(audio, batch_first=True)
    return {
        "source": source,
        "padding_mask": torch.arange(source.size(1)) >= torch.tensor(n_samples).unsqueeze(1),
    }


def alone(batch: dict[str, torch.Tensor]) -> Iterator[dict[str, torch.Tensor]]:
    """Each utterance of a batch by itself."""
    for row, outside in zip(batch["source"], batch["padding_mask"]):
        source = row[~outside].unsqueeze(0)
        yield {"source": source, "padding_mask": torch.zeros_like(source, dtype=torch.bool)}


def frozen_command(data: Path, encoder: dict[str, Any], **overrides: Any) -> list[str]:
    """The recipe with a small head; overrides name options with ``__`` for ``.``."""
    options = {
        **SMALL_RUN, "task.data": str(data),
        "task.normalize": str(encoder["normalize"]).lower(),
        **{f"model.{name}": value for name, value in encoder.items() if name != "normalize"},
        **{name.replace("__", "."): str(value) for name, value in overrides.items()},
    }  # fmt: skip
    recipe = ["--config-dir", str(REPOSITORY / "examples" / "xlsr_dro" / "config")]
    words = [f"{key}={value}" for key, value in options.items()]
    program = str(BIN / "fairseq-hydra-train")
    return [program, *recipe, "--config-name", "frozen_transformer", *words]
