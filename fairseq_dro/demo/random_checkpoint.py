"""Write a pre-trained checkpoint of random weights, laid out as ``xlsr2_300m.pt`` is.

Tests, the demo and the memory benchmark need a file that fairseq treats as it treats the
published XLS-R files, without the download. The weights come from fairseq's own
``Wav2Vec2Model``, so their names and shapes are those the loader expects; the configuration
carries the task keys that fairseq 0.12.2 does not know, so loading fails on it in the same way.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from typing import Any

import torch

from fairseq_dro.errors import UserError

#: The model section of ``xlsr2_300m.pt``: 24 layers of width 1024, 317 million parameters.
XLSR_300M: Mapping[str, Any] = {
    "_name": "wav2vec2",
    "extractor_mode": "layer_norm",
    "encoder_layers": 24,
    "encoder_embed_dim": 1024,
    "encoder_ffn_embed_dim": 4096,
    "encoder_attention_heads": 16,
    "activation_fn": "gelu",
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "encoder_layerdrop": 0.0,
    "dropout_input": 0.0,
    "dropout_features": 0.0,
    "final_dim": 768,
    "layer_norm_first": True,
    "conv_feature_layers": "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512,2,2)] + [(512,2,2)]",
    "conv_bias": True,
    "logit_temp": 0.1,
    "quantize_targets": True,
    "quantize_input": False,
    "same_quantizer": False,
    "target_glu": False,
    "feature_grad_mult": 1.0,
    "latent_vars": 320,
    "latent_groups": 2,
    "latent_dim": 0,
    "mask_length": 10,
    "mask_prob": 0.65,
    "mask_selection": "static",
    "mask_other": 0.0,
    "no_mask_overlap": False,
    "mask_min_space": 1,
    "mask_channel_length": 10,
    "mask_channel_prob": 0.0,
    "mask_channel_selection": "static",
    "mask_channel_other": 0.0,
    "no_mask_channel_overlap": False,
    "mask_channel_min_space": 1,
    "num_negatives": 100,
    "negatives_from_everywhere": False,
    "cross_sample_negatives": 0,
    "codebook_negatives": 0,
    "conv_pos": 128,
    "conv_pos_groups": 16,
    "latent_temp": [2.0, 0.1, 0.999995],
}

#: About 0.9 million parameters. A narrow extractor and 31 frames a second instead of 50: an update
#: costs a third, and short sentences are learnt on a laptop in minutes.
DEMO: Mapping[str, Any] = {
    **XLSR_300M,
    "encoder_layers": 4,
    "encoder_embed_dim": 128,
    "encoder_ffn_embed_dim": 512,
    "encoder_attention_heads": 4,
    "final_dim": 64,
    "conv_feature_layers": "[(48, 16, 8)] + [(48, 3, 2)] * 4 + [(48,2,2)] + [(48,2,2)]",
    "latent_vars": 8,
    "conv_pos": 64,
}

#: A few ten thousand parameters: for tests, where only the layout matters.
TINY: Mapping[str, Any] = {
    **XLSR_300M,
    "encoder_layers": 2,
    "encoder_embed_dim": 32,
    "encoder_ffn_embed_dim": 64,
    "encoder_attention_heads": 4,
    "final_dim": 16,
    "conv_feature_layers": "[(32, 10, 5)] + [(32, 3, 2)] * 4 + [(32,2,2)] + [(32,2,2)]",
    "latent_vars": 4,
    "conv_pos": 16,
    "conv_pos_groups": 4,
}

SHAPES: Mapping[str, Mapping[str, Any]] = {"xlsr_300m": XLSR_300M, "demo": DEMO, "tiny": TINY}

# Task keys that fairseq 0.12.2's ``audio_pretraining`` does not know, by the file they occur in.
# Names are those of the published files; values are plausible stand-ins, loading never reads them.
_WER_KEYS: Mapping[str, Any] = {
    "eval_wer": False,
    "eval_wer_config": {"_name": None, "beam": 5, "lenpen": 1.0},
    "eval_wer_tokenizer": None,
    "eval_wer_post_process": "letter",
    "autoregressive": False,
}
_MASK_KEYS = (
    "mask_length",
    "mask_prob",
    "mask_selection",
    "mask_other",
    "no_mask_overlap",
    "mask_min_space",
    "mask_channel_length",
    "mask_channel_prob",
    "mask_channel_selection",
    "mask_channel_other",
    "no_mask_channel_overlap",
    "mask_channel_min_space",
    "conv_feature_layers",
    "encoder_embed_dim",
)
ORIGINS = ("xlsr2_300m", "xlsr_53", "main_branch", "fairseq_0.12.2")


def foreign_task_keys(origin: str, model: Mapping[str, Any]) -> dict[str, Any]:
    """Task keys of a file of this *origin* that fairseq 0.12.2 does not know.

    *origin* is ``xlsr2_300m`` (23 keys), ``xlsr_53`` (5), ``main_branch`` (7: what fairseq's
    main branch writes, MMS among them) or ``fairseq_0.12.2`` (none). *model* is the model
    section, from which XLS-R's task section repeats 14 values.

    Raises:
        UserError: the origin is none of these.
    """
    if origin == "xlsr2_300m":
        return {
            "multiple_train_files": False,
            **_WER_KEYS,
            "shuffle_by_bucket": True,
            "shuffle_by_bucket_size": 1,
            **{key: model[key] for key in _MASK_KEYS},
            "train_subset": "train",
        }
    if origin == "xlsr_53":
        return dict(_WER_KEYS)
    if origin == "main_branch":
        return {
            "multi_corpus_keys": None,
            "multi_corpus_sampling_weights": None,
            "rebuild_batches": True,
            "precompute_mask_config": None,
            "post_save_script": None,
            "subsample": 1.0,
            "seed": 1,
        }
    if origin == "fairseq_0.12.2":
        return {}
    raise UserError(
        f"a random checkpoint cannot imitate {origin!r}; expected one of {', '.join(ORIGINS)}."
    )


def write_random_checkpoint(
    path: str | os.PathLike[str],
    *,
    shape: str = "tiny",
    origin: str = "xlsr2_300m",
    seed: int = 0,
    normalize: bool = True,
    **model_options: Any,
) -> int:
    """Write a wav2vec 2.0 checkpoint with random weights and return its number of parameters.

    *shape* names a model section (``tiny``, ``demo``, ``xlsr_300m``); *model_options* replace
    single values of it, as in ``encoder_layers=4, encoder_embed_dim=128``. *origin* chooses the
    foreign task keys (see :func:`foreign_task_keys`). The weights are a function of the model
    section and *seed*; the process's own random generator is left as it was. The full shape
    writes 1.3 GB.

    Raises:
        UserError: an unknown shape, origin or model option.
    """
    from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model

    if shape not in SHAPES:
        raise UserError(f"no checkpoint shape {shape!r}; expected one of {', '.join(SHAPES)}.")
    unknown = sorted(set(model_options) - set(Wav2Vec2Config.__dataclass_fields__))
    if unknown:
        raise UserError(f"wav2vec 2.0 has no model option {', '.join(unknown)}.")
    model = {**SHAPES[shape], **model_options}

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Wav2Vec2Model(_with_defaults(Wav2Vec2Config, model))
    state = {
        "args": None,
        "cfg": _configuration(model, origin, seed, normalize),
        "model": network.state_dict(),
        "optimizer_history": [
            {
                "criterion_name": "Wav2vecCriterion",
                "optimizer_name": "FairseqAdam",
                "lr_scheduler_state": {"best": 0.0},
                "num_updates": 0,
            }
        ],
        "extra_state": {
            "metrics": [],
            "previous_training_time": 0.0,
            "train_iterator": {
                "version": 2,
                "epoch": 1,
                "iterations_in_epoch": 0,
                "shuffle": True,
            },
            "val_loss": 0.0,
            "best": 0.0,
        },
    }
    torch.save(state, os.fspath(path))
    return sum(weight.numel() for weight in network.parameters())


def is_random_checkpoint(path: str | os.PathLike[str], *, shape: str, seed: int) -> bool:
    """Whether the file was written with this shape and seed; False for whatever else it is."""
    try:
        cfg = torch.load(os.fspath(path), map_location="cpu", mmap=True, weights_only=True)["cfg"]
        return (cfg["model"], cfg["common"]["seed"]) == (dict(SHAPES[shape]), seed)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, pickle.UnpicklingError):
        return False


def _with_defaults(dataclass_type: type, values: Mapping[str, Any]) -> Any:
    """*values* on top of the dataclass's defaults, as the model builder receives them."""
    from omegaconf import OmegaConf

    return OmegaConf.merge(OmegaConf.structured(dataclass_type), dict(values))


def _configuration(
    model: Mapping[str, Any], origin: str, seed: int, normalize: bool
) -> dict[str, Any]:
    """The ``cfg`` of a pre-training run: plain dictionaries, every section fairseq writes."""
    from fairseq.dataclass.configs import FairseqConfig
    from omegaconf import OmegaConf

    cfg = OmegaConf.to_container(
        OmegaConf.create(FairseqConfig()), resolve=True, enum_to_str=True
    )
    for section in ("model", "task", "criterion", "optimizer", "lr_scheduler", "bpe", "tokenizer"):
        cfg[section] = None
    cfg["common"]["seed"] = seed
    cfg["model"] = dict(model)
    cfg["task"] = {
        "_name": "audio_pretraining",
        "data": "pretraining_data",
        "labels": None,
        "sample_rate": 16000,
        "normalize": normalize,
        "enable_padding": False,
        "max_sample_size": 320000,
        "min_sample_size": 32000,
        "num_batch_buckets": 0,
        "precompute_mask_indices": False,
        "inferred_w2v_config": None,
        "tpu": False,
        **foreign_task_keys(origin, model),
    }
    cfg["criterion"] = {
        "_name": "wav2vec",
        "infonce": True,
        "loss_weights": [0.1, 0.0],
        "log_keys": ["prob_perplexity", "code_perplexity", "temp"],
    }
    cfg["optimizer"] = {"_name": "adam", "adam_betas": "(0.9,0.98)", "weight_decay": 0.01}
    cfg["lr_scheduler"] = {"_name": "polynomial_decay", "warmup_updates": 32000}
    return cfg
