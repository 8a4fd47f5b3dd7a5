"""The output layer of a CTC model: Hugging Face's ``vocab.json`` and fairseq's dictionary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from fairseq_dro.convert.huggingface_folder import read_json
from fairseq_dro.convert.pretrained_wav2vec2 import NEVER, SPECIAL, CtcOutput
from fairseq_dro.convert.wav2vec2_huggingface_names import HEAD
from fairseq_dro.errors import UserError

BLANK = "[PAD]"


def read_output(
    folder: Path, config: Mapping[str, Any], head: Mapping[str, torch.Tensor]
) -> CtcOutput:
    """The output layer with fairseq's four special units in front; ``[PAD]`` becomes ``<s>``."""
    vocabulary = read_json(folder / "vocab.json")
    weight, bias = (head.get(f"{HEAD}{part}") for part in ("weight", "bias"))
    if vocabulary is None or weight is None or bias is None:
        raise UserError(
            f"{folder} has an output layer but no {'vocab.json' if weight is not None else 'bias'}"
            ": copy or download the folder whole."
        )
    names = {**_NAMES, **_named(folder)}
    row_of = {str(unit): row for unit, row in vocabulary.items()}
    if sorted(map(str, row_of.values())) != sorted(map(str, range(len(weight)))):
        raise UserError(
            f"{folder / 'vocab.json'} has {len(row_of)} units and the output layer {len(weight)} "
            "rows: use the vocab.json that was published with the weights."
        )
    blank = row_of.get(names["pad_token"], config.get("pad_token_id"))
    by_row = {row: unit for unit, row in row_of.items()}
    special = [by_row.get(blank)] + [
        names[f"{kind}_token"] if names[f"{kind}_token"] in row_of else None
        for kind in ("bos", "eos", "unk")
    ]
    if special[0] is None:
        raise UserError(
            f"{folder / 'vocab.json'} has no {names['pad_token']}, which is the blank of CTC: use "
            "the vocab.json and tokenizer_config.json that were published with the weights."
        )
    special = [unit if unit not in special[:place] else None for place, unit in enumerate(special)]
    letters = [by_row[row] for row in sorted(by_row) if by_row[row] not in special]
    shown = ["|" if unit == names["word_delimiter_token"] else unit for unit in letters]
    rows = [None if unit is None else row_of[unit] for unit in (*special, *letters)]
    kept = torch.tensor([row if row is not None else 0 for row in rows])
    weight, bias = weight[kept], bias[kept]
    for place, row in enumerate(rows):
        if row is None:
            weight[place], bias[place] = 0.0, NEVER
    return CtcOutput((*SPECIAL, *shown), weight, bias)


_NAMES = {
    "pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
    "word_delimiter_token": "|",
}  # fmt: skip
"""What transformers' ``Wav2Vec2CTCTokenizer`` calls its special tokens by default."""


def _named(folder: Path) -> dict[str, str]:
    """What this tokenizer calls them."""
    found = {}
    for file in ("special_tokens_map.json", "tokenizer_config.json"):
        for name, token in (read_json(folder / file) or {}).items():
            token = token.get("content") if isinstance(token, dict) else token
            if name in _NAMES and isinstance(token, str):
                found[name] = token
    return found


def with_blank_weight(
    bias: torch.Tensor, model: Mapping[str, Any], path: str
) -> torch.Tensor:
    """``model.blank_weight`` is added to the first unit (wav2vec2_asr.py:214)."""
    added = float(model.get("blank_weight") or 0)
    if added and model.get("blank_mode", "add") != "add":
        raise UserError(
            f"{path} was trained with model.blank_mode={model['blank_mode']}, which transformers "
            "does not have: it cannot be exported as a Hugging Face folder."
        )
    bias = bias.clone()
    bias[0] += added
    return bias


def tokenizer_files(
    cfg: Mapping[str, Any], checkpoint: Mapping[str, Any], path: str
) -> dict[str, Any]:
    """``vocab.json`` and what stands beside it, rows in the order of the dictionary."""
    joined_by = (cfg.get("criterion") or {}).get("post_process") or "letter"
    dictionary = (checkpoint.get("task_state") or {}).get("target_dictionary")
    if dictionary is None or joined_by != "letter":
        raise UserError(
            f"{path} writes units that are joined by post_process={joined_by}, and transformers' "
            "tokenizer of CTC models joins letters: only models of letters (dict.ltr.txt) can be "
            "exported."
        )
    units = list(dictionary.symbols)
    blank = dictionary.indices.get("<ctc_blank>", dictionary.bos())
    units[blank] = BLANK
    if blank == dictionary.bos():
        units[dictionary.pad()] = "<s>"  # a unit that is never written, in either library
    if len(set(units)) < len(units):
        raise UserError(f"{path} has {BLANK} among its units, which is the blank of CTC there.")
    special = {
        "pad_token": BLANK, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"
    }  # fmt: skip
    settings = {
        "tokenizer_class": "Wav2Vec2CTCTokenizer", "processor_class": "Wav2Vec2Processor",
        "word_delimiter_token": "|", "replace_word_delimiter_char": " ", "do_lower_case": False,
        "clean_up_tokenization_spaces": False, **special,
    }  # fmt: skip
    return {
        "vocab.json": {unit: row for row, unit in enumerate(units)},
        "tokenizer_config.json": settings, "special_tokens_map.json": special,
    }  # fmt: skip
