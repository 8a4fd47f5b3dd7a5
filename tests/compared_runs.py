"""Run folders for comparisons: each utterance has exactly the errors that a test asks for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import yaml

from fairseq_dro.cli import main
from fairseq_dro.report.arms import read_arms
from fairseq_dro.report.blocks import Section, Table
from fairseq_dro.report.comparison import Comparison, compare_arms
from fairseq_dro.report.markdown import render_markdown
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


def plant_two_runs(folder: Path) -> list[Path]:
    """210 characters a language: 20 utterances would be 420. CER deu 10/210, 15/210; kat 84, 63."""
    return [
        plant_run(
            folder / "erm",
            {"deu": utterances("deu", 10, 10), "kat": utterances("kat", 10, 84)},
        ),
        plant_run(
            folder / "ctc_dro",
            {"deu": utterances("deu", 10, 15), "kat": utterances("kat", 10, 63)},
            "ctc_dro", q={"deu": 0.25, "kat": 0.75},
        ),
    ]  # fmt: skip


def compared(*runs: Path, **options) -> Comparison:
    return compare_arms(read_arms([*map(str, runs)], "decode_test"), n_replicates=200, **options)


def rows_of(table: str | Table) -> dict[str, list[str]]:
    """Cells of each line of Markdown by its first."""
    if isinstance(table, Table):
        table = render_markdown("", "", [Section("", "", [table])])
    lines = [line.strip("|").split("|") for line in table.splitlines()]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}


def error_of(arguments: list[str], capsys) -> str:
    """The one sentence with which ``compare`` refuses."""
    assert main(["compare", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    return said
