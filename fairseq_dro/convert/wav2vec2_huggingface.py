"""wav2vec 2.0, XLS-R and MMS in Hugging Face's layout, encoders and CTC models, read and written.

The two libraries compute the same function of the same samples. What differs is around it:
transformers adds 1e-7 to the variance of the audio where fairseq adds 1e-5, and with a group-norm
extractor it leaves out the padding mask by default (``return_attention_mask``); fairseq gives it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairseq_dro.convert.huggingface_folder import HuggingFaceModel, read_json, read_weights
from fairseq_dro.convert.pretrained_wav2vec2 import ENCODER, OUTPUT, PretrainedWav2Vec2, draw_mask
from fairseq_dro.convert.source import Source
from fairseq_dro.convert.wav2vec2_huggingface_config import (
    of_feature_extractor,
    of_fine_tuning,
    to_config,
    to_options,
)
from fairseq_dro.convert.wav2vec2_huggingface_names import (
    HEAD,
    PREFIX,
    encoder_to_ours,
    encoder_to_theirs,
    settle_projection,
)
from fairseq_dro.convert.wav2vec2_huggingface_vocabulary import (
    BLANK,
    read_output,
    tokenizer_files,
    with_blank_weight,
)
from fairseq_dro.errors import UserError

CTC_USE = """\
from transformers import pipeline

recogniser = pipeline("automatic-speech-recognition", model="{model}")
print(recogniser("speech.wav")["text"])  # longer than a minute: add chunk_length_s=30
"""
CTC_LIMITS = (
    "Greedy decoding without a language model; the text is as it was in training, most often "
    "without punctuation and in lower case.",
    "fairseq adds 1e-5 to the variance of a recording before it is scaled, transformers 1e-7: very "
    "quiet recordings can come out differently there.",
)
TOKENS_LIMIT = (
    "A text begins with the token of its language, such as [deu], as in training: take it off."
)


def recognises(source: Source) -> bool:
    """Whether it is a folder of a wav2vec 2.0."""
    return source.config.get("model_type") == "wav2vec2"


def read(source: Source) -> PretrainedWav2Vec2:
    """An encoder, or a CTC model where there are an output layer and ``vocab.json``.

    Raises:
        UserError: a file is missing or cut, or the model has what fairseq's has not.
    """
    config, folder = source.config, source.place
    options = to_options(config, str(folder))
    weights = {
        name.removeprefix(PREFIX): weight.float() for name, weight in read_weights(folder).items()
    }
    head = {name: weights[name] for name in weights if name.startswith(HEAD)}
    has_adapters = any(".adapter_layer." in name for name in weights)
    output, notes = None, []
    if head and not has_adapters:
        weights = {name: weight for name, weight in weights.items() if name not in head}
        output = read_output(folder, config, head)
    found, left_out = encoder_to_ours(weights, options["extractor_mode"], str(folder))
    notes += left_out
    more = sorted(folder.glob("adapter.*"))
    if more:
        notes.append(f"{len(more)} files of adapters ({more[0].name} ...) left out")
    options["quantize_targets"] = "quantizer.vars" in found
    settle_projection(found, options, str(folder))
    notes += draw_mask(found, options["encoder_embed_dim"])
    extractor = read_json(folder / "preprocessor_config.json")
    if extractor is None:
        normalize = options["extractor_mode"] == "layer_norm"
        notes.append(f"normalize={str(normalize).lower()} by the kind of extractor, for there is "
                     "no preprocessor_config.json")  # fmt: skip
    else:
        normalize = bool(extractor.get("do_normalize", True))
        rate = extractor.get("sampling_rate", 16_000)
        if rate != 16_000:
            raise UserError(f"{folder} is of a model for audio at {rate} Hz: expected 16000.")
    return PretrainedWav2Vec2(str(folder), options, found, normalize, output, tuple(notes))


def write(checkpoint: Mapping[str, Any], path: str) -> HuggingFaceModel:
    """A ``Wav2Vec2ForCTC`` with tokenizer and feature extractor, or the pre-trained encoder.

    Args:
        checkpoint: of ``wav2vec_ctc`` or ``wav2vec2``, its ``cfg`` in plain values.

    Raises:
        UserError: it has what transformers has not.
    """
    cfg = checkpoint["cfg"]
    is_ctc = cfg["model"]["_name"] == "wav2vec_ctc"
    pretraining = cfg["model"]["w2v_args"] if is_ctc else cfg
    options = pretraining["model"]
    config = to_config(options, path)
    weights = {name: weight.float() for name, weight in checkpoint["model"].items()}
    weights.pop("_ema", None)
    head = {}
    if is_ctc:
        head = {f"{HEAD}{part}": weights.pop(f"{OUTPUT}{part}") for part in ("weight", "bias")}
        weights = {name.removeprefix(ENCODER): weight for name, weight in weights.items()}
    found = encoder_to_theirs(weights, options["extractor_mode"], config["hidden_size"], path)
    extractor = of_feature_extractor(cfg, is_ctc=is_ctc)
    files = {"config.json": config, "preprocessor_config.json": extractor}
    if not is_ctc:
        has_quantizer = "quantizer.codevectors" in found
        config["architectures"] = ["Wav2Vec2ForPreTraining" if has_quantizer else "Wav2Vec2Model"]
        return HuggingFaceModel(files, found)
    files |= tokenizer_files(cfg, checkpoint, path)
    config |= of_fine_tuning(cfg["model"], len(head[f"{HEAD}bias"]))
    config["pad_token_id"] = files["vocab.json"][BLANK]
    head[f"{HEAD}bias"] = with_blank_weight(head[f"{HEAD}bias"], cfg["model"], path)
    writes_tokens = (cfg.get("task") or {}).get("language_token")
    limits = (TOKENS_LIMIT, *CTC_LIMITS) if writes_tokens else CTC_LIMITS
    return HuggingFaceModel(files, found | head, CTC_USE, limits)
