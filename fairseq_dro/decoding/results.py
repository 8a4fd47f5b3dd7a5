"""The files of a results folder.

=======================  ===========================================================================
``hypo.word ref.word``   text and utterance id in brackets, one utterance a line, manifest order
``hypo.units ref.units``  the same in the units of the model
``wer``                  fairseq's file: word error rate in per cent, counts, decoding options
``utterances.jsonl``     one record a line, ``scoring/records.py``
``scores.json``          per language, mean, worst, all together, intervals, disparity:
                         ``scoring/summary.py``
``scores.md``            the same as a Markdown table
=======================  ===========================================================================
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fairseq_dro.decoding.decoded import Decoded
from fairseq_dro.errors import UserError
from fairseq_dro.scoring.records import format_line
from fairseq_dro.whole_file import whole_file


def require_same_split(folder: Path, split: str) -> None:
    """Refuse to replace records that say they are of another split.

    Raises:
        UserError: they do; the sentence names both.
    """
    try:
        decoded = json.loads((folder / "scores.json").read_text(encoding="utf-8"))["decoded"]
        there = decoded["split"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if (folder / "utterances.jsonl").exists() and there != split:
        raise UserError(
            f"decoding.results_path={folder} holds the records of the split {there}, which "
            f"dataset.gen_subset={split} would replace: name another folder, such as "
            f"{folder.with_name(f'decode_{split}')}, or remove this one."
        )


def write_results(
    folder: Path,
    decoded: Sequence[Decoded],
    scores: dict[str, Any],
    table: str,
    wer: str,
    wer_name: str,
) -> None:
    """Write every file of a results folder, each whole or not at all.

    Args:
        scores: content of ``scores.json``.
        table: content of ``scores.md``.
        wer: content of fairseq's ``wer`` file.
        wer_name: its name, ``wer`` unless ``decoding.unique_wer_file`` was asked for.
    """
    names = [f"({one.scored.id})" for one in decoded]
    scored = [one.scored for one in decoded]
    hypotheses = [_with_token(one.predicted_language, one.hypothesis) for one in scored]
    references = [_with_token(one.target_language, one.reference) for one in scored]
    _write(folder / "hypo.word", _joined(hypotheses, names))
    _write(folder / "ref.word", _joined(references, names))
    _write(folder / "hypo.units", _joined((one.hypothesis_units for one in decoded), names))
    _write(folder / "ref.units", _joined((one.reference_units for one in decoded), names))
    records = (format_line(one.scored) for one in decoded)
    _write(folder / "utterances.jsonl", records)
    _write(folder / "scores.json", [json.dumps(scores, ensure_ascii=False, indent=1)])
    _write(folder / "scores.md", [table.rstrip("\n")])
    _write(folder / wer_name, [wer.rstrip("\n")])


def write_hypotheses(folder: Path, decoded: Sequence[Decoded]) -> None:
    """Write what there is of a split without transcripts: ``hypo.word`` and ``hypo.units``."""
    names = [f"({one.scored.id})" for one in decoded]
    texts = [_with_token(one.scored.predicted_language, one.scored.hypothesis) for one in decoded]
    _write(folder / "hypo.word", _joined(texts, names))
    _write(folder / "hypo.units", _joined((one.hypothesis_units for one in decoded), names))


def _with_token(language: str | None, text: str) -> str:
    return text if language is None else f"[{language}] {text}"


def _joined(texts: Iterable[str], names: Iterable[str]) -> Iterable[str]:
    return (f"{text} {name}" for text, name in zip(texts, names))


def _write(path: Path, lines: Iterable[str]) -> None:
    with whole_file(path) as partial, open(partial, "w", encoding="utf-8") as stream:
        stream.writelines(f"{line}\n" for line in lines)
