"""Run folders for comparisons: each utterance has exactly the errors that a test asks for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import yaml

from fairseq_dro.scoring.records import format_line
from fairseq_dro.scoring.utterances import score_utterance

Texts = Mapping[str, Sequence[tuple[str, str, str]]]  # (id, reference, hypothesis) by language

REFERENCE = "abcdefghij abcdefghij"  # 21 characters, 20 of them letters


def utterances(
    language: str, n: int, n_errors: Sequence[int] | int
) -> list[tuple[str, str, str]]:
    """n utterances with the errors of each, or a number of errors to be spread evenly."""
    if isinstance(n_errors, int):
        n_errors = [n_errors // n + (index < n_errors % n) for index in range(n)]
    letters = [place for place, letter in enumerate(REFERENCE) if letter != " "]
    made = []
    for index, errors in enumerate(n_errors):
        wrong = list(REFERENCE)
        for place in letters[:errors]:
            wrong[place] = "x"
        made.append((f"{language}_{index:03d}", REFERENCE, "".join(wrong)))
    return made


def noisy_texts(rates: Mapping[str, float], n: int, generator: np.random.Generator) -> Texts:
    """n utterances a language, whose letters are wrong with the language's rate."""
    return {
        code: utterances(code, n, generator.binomial(20, rate, size=n).tolist())
        for code, rate in rates.items()
    }


def write_records(folder: Path, texts: Texts, speakers: Mapping[str, str] | None = None) -> Path:
    """``utterances.jsonl``; speakers by id."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        format_line(
            score_utterance(
                reference, hypothesis, id=id, language=language, seconds=1.0,
                speaker=(speakers or {}).get(id),
            )
        )
        for language, made in texts.items()
        for id, reference, hypothesis in made
    ]  # fmt: skip
    path = folder / "utterances.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def plant_run(
    folder: Path, texts: Texts, objective: str = "erm", *, q: Mapping[str, float] | None = None,
    seed: int | None = None, speakers: Mapping[str, str] | None = None,
) -> Path:  # fmt: skip
    """A run of two validations with a decoded test split."""
    write_records(folder / "decode_test", texts, speakers)
    weights = q or {code: 1 / len(texts) for code in texts}
    records = []
    for update in (100, 200):
        rows = {c: {"q": weights[c], "cer": 60 / update, "wer": 1.0} for c in texts}
        records.append({"update": update, "objective": objective, "languages": rows})
    plant_history(folder, records)
    if seed is not None:
        plant_config(folder, {"common": {"seed": seed}, "criterion": {"objective": objective}})
    return folder


def plant_history(folder: Path, records: Sequence[dict]) -> Path:
    """``history.jsonl``; ``subset`` is ``valid`` unless a record says another."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "history.jsonl"
    lines = [json.dumps({"format": 1, "subset": "valid", **record}) for record in records]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def plant_config(folder: Path, config: dict) -> None:
    """``.hydra/config.yaml``."""
    (folder / ".hydra").mkdir(parents=True, exist_ok=True)
    (folder / ".hydra" / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
