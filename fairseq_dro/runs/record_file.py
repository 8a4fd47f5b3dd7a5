"""Read files of records: ``utterances.jsonl`` of a results folder, or any file in its format."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from fairseq_dro.errors import UserError
from fairseq_dro.runs.decodable import RESULTS, run_meant_by
from fairseq_dro.scoring.records import Record, is_json, parse_line
from fairseq_dro.text_lines import decoded

logger = logging.getLogger(__name__)

RECORDS_FILE = "utterances.jsonl"


def find_records(path: str | Path, results: str = RESULTS) -> Path:
    """The record file that a user means by a file, a results folder or a run folder.

    Args:
        results: name of the results folder inside a run folder.

    Raises:
        UserError: there is none; the sentence names the places looked at.
    """
    path = Path(path)
    if path.is_dir():
        places = [path / RECORDS_FILE, path / results / RECORDS_FILE]
        for place in places:
            if place.is_file():
                return place
        found = decoded_folders(path)
        if found:
            raise UserError(
                f"{places[1]} does not exist, but there are records in {', '.join(found)}: name "
                f"one of these, as `--results {found[0]}` or `{path / found[0]}`."
            )
        hint = run_meant_by(path) or (
            f"decode with `fairseq-dro infer ... decoding.results_path={places[1].parent}`, or "
            "name the file."
        )
        raise UserError(
            f"{path} holds no records: neither {places[0]} nor {places[1]} exists; {hint}"
        )
    if not path.exists():
        hint = run_meant_by(path) or "expected a file of records, a results folder or a run folder."
        raise UserError(f"{path} does not exist: {hint}")
    return path


def decoded_folders(folder: str | Path) -> list[str]:
    """Names of the folders below a run's that hold records."""
    return sorted(path.parent.name for path in Path(folder).glob(f"*/{RECORDS_FILE}"))


def said_to_be_in(folder: str | Path) -> str:
    """`` (there are records in decode_valid)``; empty where no folder holds any."""
    names = decoded_folders(folder)
    return f" (there are records in {', '.join(names)})" if names else ""


def iterate_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of each line with something on it.

    A last line that a killed run cut is left out, and a warning names it.

    Raises:
        UserError: the file cannot be read, or a line before the last one is no UTF-8.
    """
    try:
        with open(path, "rb") as stream:
            held: tuple[int, bytes] | None = None  # one behind, to know which line is the last
            for number, line in enumerate(stream, start=1):
                if not line.strip():
                    continue
                if held is not None:
                    yield held[0], decoded(held[1], path, held[0])
                held = (number, line)
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}): name a file of records."
        ) from None
    if held is None:
        return
    number, line = held
    if is_cut(line):
        logger.warning(
            "%s:%d: the last line is cut, as a killed run leaves it; it is left out", path, number
        )
    else:
        yield number, decoded(line, path, number)


def is_cut(last_line: bytes) -> bool:
    """Whether the last line of a file ends before its record does."""
    text = last_line.decode("utf-8", errors="replace")
    return text.lstrip().startswith("{") and not is_json(text)


def iterate_records(path: str | Path, results: str = RESULTS) -> Iterator[Record]:
    """The records of one file, one after the other, without a check for duplicates.

    Args:
        path, results: see ``find_records``.

    Raises:
        UserError: see ``find_records``, ``iterate_lines`` and ``records.parse_line``.
    """
    path = find_records(path, results)
    for number, line in iterate_lines(path):
        yield parse_line(line, f"{path}:{number}")


def read_records(paths: str | Path | Iterable[str | Path], results: str = RESULTS) -> list[Record]:
    """All records of one or several files in their order.

    Args:
        paths: files, results folders or run folders.

    Raises:
        UserError: see ``iterate_records``; or two records have the same id, or there is none.
    """
    several = [paths] if isinstance(paths, (str, Path)) else list(paths)
    records: list[Record] = []
    place_of: dict[str, str] = {}
    for path in several:
        path = find_records(path, results)
        n_before = len(records)
        for number, line in iterate_lines(path):
            record = parse_line(line, f"{path}:{number}")
            if record.id in place_of:
                raise duplicate_error(record.id, place_of[record.id], f"{path}:{number}")
            place_of[record.id] = f"{path}:{number}"
            records.append(record)
        if len(records) == n_before:
            raise empty_error(path)
    return records


def duplicate_error(id: str, first: str, second: str) -> UserError:
    """Two records of one utterance, by their places."""
    return UserError(
        f"{second}: the utterance {id} was at {first} already: an id stands for one utterance; "
        "remove one of the lines, or score the files one by one."
    )


def empty_error(path: Path) -> UserError:
    """A file without any record."""
    return UserError(f"{path} holds no record: decode again with `fairseq-dro infer`.")
