"""The record of one scored utterance: what every score, table and picture is made from.

In a file it is one JSON object a line. Its keys are those of ``Record.as_record``; ``OPTIONAL``
ones may be absent, so that files of older versions and of other programs can be read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fairseq_dro.errors import UserError
from fairseq_dro.scoring.edits import EditCounts

CHARACTER_COUNTS = ("substitutions", "deletions", "insertions", "reference_characters")
WORD_COUNTS = ("word_substitutions", "word_deletions", "word_insertions", "reference_words")
REQUIRED = ("id", "language", "seconds", "reference", "hypothesis", "predicted_language")
REQUIRED += CHARACTER_COUNTS + WORD_COUNTS
AS_WRITTEN = ("reference_as_written", "hypothesis_as_written")
OPTIONAL = ("target_language", "score", "speaker", "corpus", "columns", *AS_WRITTEN, "stopped")
_COLUMNS = ("language", "speaker", "corpus")
_TEXTS = ("id", "reference", "hypothesis")
_NAMES = ("language", "target_language", "predicted_language", "speaker", "corpus", "stopped")


@dataclass(frozen=True)
class Record:
    """One utterance with what was said, what was recognised and the errors between them."""

    id: str
    language: str | None  # ISO 639-3 code from {split}.lang; None where there is no such file
    seconds: float | None  # of audio; None where only texts are known
    reference: str  # without language token
    hypothesis: str  # without language token
    target_language: str | None  # code of the reference's [iso]; None where it has none
    predicted_language: str | None  # code of the hypothesis's [iso]; None where it has none
    characters: EditCounts
    words: EditCounts
    score: float | None = None  # log probability of the best path, in nats; None if unknown
    speaker: str | None = None
    corpus: str | None = None
    # further columns of the data folder, such as accent; an unknown value is left out
    columns: Mapping[str, str] = field(default_factory=dict, hash=False)
    # both texts with case and punctuation, of a model that writes such; reference and hypothesis
    # are then their lower form, which is scored
    as_written: tuple[str, str] | None = None
    # of a decoder that writes until it ends: "end", or what stopped it, "limit" or "loop"
    stopped: str | None = None

    def value(self, column: str) -> str | None:
        """Of a column of the data folder (``language``, ``corpus`` ...); None if unknown."""
        return getattr(self, column) if column in _COLUMNS else self.columns.get(column)

    def as_record(self) -> dict[str, Any]:
        """JSON-ready; S, D, I and reference_characters are those of CER.

        ``speaker``, ``corpus`` and ``columns`` are there only where they are known.
        """
        record: dict[str, Any] = {
            "id": self.id,
            "language": self.language,
            "seconds": self.seconds,
            "reference": self.reference,
            "hypothesis": self.hypothesis,
            "target_language": self.target_language,
            "predicted_language": self.predicted_language,
            "score": self.score,
            **dict(zip(CHARACTER_COUNTS, self.characters)),
            **dict(zip(WORD_COUNTS, self.words)),
        }
        for name in ("speaker", "corpus"):
            value = getattr(self, name)
            if value is not None:
                record[name] = value
        if self.columns:
            record["columns"] = dict(self.columns)
        if self.as_written is not None:
            record.update(zip(AS_WRITTEN, self.as_written))
        if self.stopped is not None:
            record["stopped"] = self.stopped
        return record


def format_line(record: Record) -> str:
    """One line of a record file, without its line break."""
    return json.dumps(record.as_record(), ensure_ascii=False)


def parse_line(line: str, where: str) -> Record:
    """The record of one line; keys that are not ours are left alone.

    A score of NaN or infinity, which older versions wrote of a diverged model, is not known.

    Args:
        where: ``file:line``, for errors.

    Raises:
        UserError: the line is no JSON object, lacks a field, or a field has another type. Cut lines
            are recognised by ``is_json``, before they come here.
    """
    try:
        fields = json.loads(line)
    except ValueError:
        raise UserError(
            f"{where} is not JSON: expected one record of fairseq-dro-infer a line; decode again, "
            "or remove the line."
        ) from None
    if not isinstance(fields, dict):
        raise UserError(f"{where}: expected a JSON object with {', '.join(REQUIRED)}.")
    _check(fields, where)
    seconds, score = fields["seconds"], fields.get("score")
    return Record(
        id=fields["id"],
        language=fields["language"],
        seconds=None if seconds is None else float(seconds),
        reference=fields["reference"],
        hypothesis=fields["hypothesis"],
        target_language=fields.get("target_language"),
        predicted_language=fields["predicted_language"],
        characters=EditCounts(*[fields[name] for name in CHARACTER_COUNTS]),
        words=EditCounts(*[fields[name] for name in WORD_COUNTS]),
        score=float(score) if score is not None and math.isfinite(score) else None,
        speaker=fields.get("speaker"),
        corpus=fields.get("corpus"),
        columns=fields.get("columns", {}),
        as_written=(
            tuple(fields[name] for name in AS_WRITTEN)
            if all(name in fields for name in AS_WRITTEN)
            else None
        ),
        stopped=fields.get("stopped"),
    )


def is_json(line: str) -> bool:
    """Whether a line is whole: a line that a killed program cut is not."""
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _check(fields: dict[str, Any], where: str) -> None:
    missing = [name for name in REQUIRED if name not in fields]
    if missing:
        name = f" (utterance {fields['id']})" if "id" in fields else ""
        raise UserError(
            f"{where}{name} lacks {', '.join(missing)}: a record has {', '.join(REQUIRED)}; decode "
            "again with the fairseq-dro-infer of this version, or score the texts with "
            "`fairseq-dro score --ref FILE --hyp FILE`."
        )
    for names, is_right, expected in (
        (_TEXTS, _is_text, "a text"),
        (_NAMES, _is_name, "a text or null"),
        (("seconds",), _is_finite, "a finite number or null"),
        (("score",), _is_number, "a number or null"),
        (CHARACTER_COUNTS + WORD_COUNTS, _is_count, "a whole number, 0 or more"),
        (AS_WRITTEN, _is_text, "a text"),
        (("columns",), _is_columns, "an object of texts, such as {\"accent\": \"scottish\"}"),
    ):
        for name in names:
            if name in fields and not is_right(fields[name]):
                raise UserError(
                    f"{where} (utterance {fields['id']}): {name} is "
                    f"{json.dumps(fields[name])[:40]}, expected {expected}."
                )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_name(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_columns(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())


def _is_number(value: Any) -> bool:
    return value is None or type(value) in (int, float)


def _is_finite(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and math.isfinite(value))


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0
