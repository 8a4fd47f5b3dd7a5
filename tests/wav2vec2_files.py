"""Small random wav2vec 2.0 models of transformers', as folders of the hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

SIZES: dict[str, Any] = dict(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
    conv_dim=(16,) * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4,
    codevector_dim=12, proj_codevector_dim=8, num_codevectors_per_group=4, num_codevector_groups=2,
)  # fmt: skip
UNITS = [*"ab|cdé", "[PAD]", "<s>", "</s>", "<unk>", "[deu]"]
"""In an order that is not fairseq's."""

KINDS = {
    f"{extractor}-{order}": dict(
        feat_extract_norm=extractor, do_stable_layer_norm=order == "pre", conv_bias=order == "pre"
    )
    for extractor in ("layer", "group") for order in ("pre", "post")
}  # fmt: skip
"""Both extractors, both orders of layer norm."""


def make_model(head: str = "ForCTC", seed: int = 0, **options: Any) -> Any:
    """Weights that are far from their initial values, so that every one of them matters."""
    import transformers

    options = {**SIZES, **options}
    if head == "ForCTC":
        options |= {"vocab_size": len(UNITS), "pad_token_id": UNITS.index("[PAD]")}
    model = getattr(transformers, f"Wav2Vec2{head}")(transformers.Wav2Vec2Config(**options))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if weight.dim() > 1:
                weight.copy_(noise * 1.5 * weight[0].numel() ** -0.5)
            else:
                weight.copy_(0.3 * noise + ("norm.weight" in name))
            if name.endswith("original0"):
                weight.abs_()
    if head == "ForCTC":  # every unit is written now and then
        with torch.no_grad():
            logits = model.eval()(speech(20_000)[0]).logits
            model.lm_head.bias -= logits.mean((0, 1))
    return model.eval()


def write_folder(folder: Path, model: Any, kind: str = "safetensors") -> Path:
    """As transformers saves it; ``kind`` is ``safetensors``, ``bin`` or one of them in parts."""
    folder.mkdir(parents=True)
    if kind.startswith("bin"):
        model.config.save_pretrained(folder)
        write_bin(folder, model.state_dict(), parts=3 if kind.endswith("parts") else 1)
    else:
        model.save_pretrained(
            folder, max_shard_size="20KB" if kind.endswith("parts") else "1GB"
        )
    extractor = {"do_normalize": True, "sampling_rate": 16000, "return_attention_mask": True}
    _write_json(folder / "preprocessor_config.json", extractor)
    if hasattr(model, "lm_head"):
        _write_json(folder / "vocab.json", {unit: row for row, unit in enumerate(UNITS)})
        _write_json(
            folder / "tokenizer_config.json",
            {"tokenizer_class": "Wav2Vec2CTCTokenizer", "pad_token": "[PAD]", "bos_token": "<s>",
             "eos_token": "</s>", "unk_token": "<unk>", "word_delimiter_token": "|"},
        )  # fmt: skip
    return folder


def write_bin(folder: Path, weights: dict[str, torch.Tensor], parts: int = 1) -> None:
    if parts == 1:
        torch.save(weights, folder / "pytorch_model.bin")
        return
    names, part_of = list(weights), {}
    for n in range(parts):
        file = f"pytorch_model-{n + 1:05}-of-{parts:05}.bin"
        torch.save({name: weights[name] for name in names[n::parts]}, folder / file)
        part_of |= dict.fromkeys(names[n::parts], file)
    _write_json(folder / "pytorch_model.bin.index.json", {"metadata": {}, "weight_map": part_of})


def speech(*n_samples: int, seed: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """[B, S] noise of unit variance with zeros behind each end, and the padding mask."""
    rng = np.random.default_rng(seed)
    audio = torch.from_numpy(rng.normal(0, 1, (len(n_samples), max(n_samples)))).float()
    padding = torch.arange(max(n_samples)) >= torch.tensor(n_samples).unsqueeze(1)
    return audio.masked_fill(padding, 0.0), padding


def _write_json(file: Path, values: Any) -> None:
    file.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")
