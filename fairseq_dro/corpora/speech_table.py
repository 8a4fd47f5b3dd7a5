"""Recordings listed in a table of tab-separated values, used where they lie.

Columns, named in the first line: ``split`` (train, dev or valid, test), ``language``
(ISO 639-3), ``file`` (relative to the table's folder) and ``normalised_text``, or ``text``, which
is normalised here. Other columns are ignored, and nothing is quoted.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fairseq_dro.corpora.spelling import as_letters, as_target_text
from fairseq_dro.data.manifest_writer import SAMPLE_RATE, Utterance
from fairseq_dro.errors import UserError

_SPLITS = {"train": "train", "dev": "valid", "valid": "valid", "test": "test"}


def read_speech_table(
    table: str | Path, audio_root: str | Path | None = None
) -> Iterator[Utterance]:
    """Yield the utterances of a table in its order.

    Args:
        audio_root: folder that ``file`` is relative to; the table's own folder when None.

    Raises:
        UserError: the table is missing or lacks a column; or, with file and line, a row has an
            unknown split, no text, or audio that is missing, empty or not 16 kHz mono.
    """
    table = Path(table)
    root = Path(audio_root) if audio_root is not None else table.parent
    try:
        lines = table.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise UserError(
            f"{table} does not exist: expected a table with the columns split, language, file and "
            "normalised_text."
        ) from None
    header = lines[0].split("\t") if lines else []
    text_column = "normalised_text" if "normalised_text" in header else "text"
    for column in ("split", "language", "file", text_column):
        if column not in header:
            raise UserError(
                f"{table}:1 has no column {column!r}: expected tab-separated names, among them "
                "split, language, file and normalised_text (or text)."
            )
    for number, line in enumerate(lines[1:], start=2):
        row = dict(zip(header, line.split("\t")))
        where = f"{table}:{number}"
        if len(row) != len(header):
            raise UserError(f"{where} has {len(row)} fields: expected {len(header)}, as in line 1.")
        split = _SPLITS.get(row["split"])
        if split is None:
            raise UserError(
                f"{where}: {row['split']!r} is not a split: expected {', '.join(_SPLITS)}."
            )
        text = row[text_column]
        label = as_letters(as_target_text(text) if text_column == "text" else text)
        if not label:
            raise UserError(f"{where}: the text is empty: remove the row or write its text.")
        path = root / row["file"]
        yield Utterance(
            path=path,
            n_samples=_count_samples(path, where),
            language=row["language"],
            label=label,
            utterance_id=Path(row["file"]).stem,
            split=split,
        )


def _count_samples(path: Path, where: str) -> int:
    import soundfile

    try:
        header = soundfile.info(str(path))
    except (soundfile.LibsndfileError, OSError) as error:
        reason = "does not exist" if not path.exists() else f"cannot be read ({error})"
        raise UserError(f"{where}: {path} {reason}: restore the file or remove the row.") from None
    if header.samplerate != SAMPLE_RATE or header.channels != 1:
        raise UserError(
            f"{where}: {path} has {header.samplerate} Hz and {header.channels} channels: expected "
            f"{SAMPLE_RATE} Hz mono, so convert it, for example with "
            f"`sox IN -r {SAMPLE_RATE} -c 1 OUT`."
        )
    if header.frames == 0:
        raise UserError(f"{where}: {path} holds no audio: remove the row.")
    return header.frames
