"""Count the errors of many utterances on several processors, in flat memory.

Files are read in chunks of lines; a chunk is parsed and compared in a worker process and comes back
as sums. What grows with the number of utterances is 8 bytes for the check that no id occurs twice
and 20 bytes for the bootstrap.
"""

from __future__ import annotations

import dataclasses
import itertools
import multiprocessing
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from fairseq_dro.errors import UserError
from fairseq_dro.group_by import BY_LANGUAGE, GroupBy
from fairseq_dro.report.score.text_files import Reading, read_column, read_pairs
from fairseq_dro.runs.record_file import duplicate_error, empty_error, iterate_lines
from fairseq_dro.scoring.convention import Convention
from fairseq_dro.scoring.rates import Scores
from fairseq_dro.scoring.records import Record, parse_line
from fairseq_dro.scoring.utterances import record_of

CHUNK = 2_000  # utterances
_WAITING = 2  # chunks a process, read ahead


class Source(Protocol):
    """Utterances in chunks that can be sent to a process."""

    def chunks(self) -> Iterator[Any]:
        """Parts of ``CHUNK`` utterances, unparsed."""

    def records(self, chunk: Any) -> Iterator[Record]:
        """The records of one part, in a worker."""

    def places(self) -> Iterator[tuple[str, str]]:
        """Id and ``file:line`` of each utterance, to name duplicates."""


@dataclass(frozen=True)
class RecordFiles:
    """Files of records, one after the other."""

    paths: list[Path]

    def chunks(self) -> Iterator[tuple[Path, list[tuple[int, str]]]]:
        for path in self.paths:
            n_chunks = 0
            for lines in _batched(iterate_lines(path)):
                n_chunks += 1
                yield path, lines
            if not n_chunks:
                raise empty_error(path)

    def records(self, chunk: tuple[Path, list[tuple[int, str]]]) -> Iterator[Record]:
        path, lines = chunk
        for number, line in lines:
            yield parse_line(line, f"{path}:{number}")

    def places(self) -> Iterator[tuple[str, str]]:
        for path in self.paths:
            for number, line in iterate_lines(path):
                yield parse_line(line, "").id, f"{path}:{number}"


class _Texts(NamedTuple):
    id: str
    reference: str
    hypothesis: str
    language: str | None
    speaker: str | None
    corpus: str | None


@dataclass(frozen=True)
class TextFiles:
    """A file of references and one of hypotheses, with columns of names beside them."""

    reference: Path
    hypothesis: Path
    reading: Reading
    columns: Mapping[str, Path]  # language, speaker, corpus

    def chunks(self) -> Iterator[list[_Texts]]:
        n_pairs = 0
        for chunk in _batched(self._texts()):
            n_pairs += len(chunk)
            yield chunk
        if not n_pairs:
            raise UserError(f"{self.reference} holds no text: name a file of references.")

    def records(self, chunk: list[_Texts]) -> Iterator[Record]:
        for id, reference, hypothesis, language, speaker, corpus in chunk:
            record = record_of(
                reference, hypothesis, id=id, language=language, speaker=speaker, corpus=corpus
            )
            yield dataclasses.replace(record, language=language or record.target_language)

    def places(self) -> Iterator[tuple[str, str]]:
        for pair in read_pairs(self.reference, self.hypothesis, self.reading):
            yield pair.id, pair.where

    def _texts(self) -> Iterator[_Texts]:
        columns = [
            _Column(name, self.columns[name], self.reading.format) if name in self.columns else None
            for name in ("language", "speaker", "corpus")
        ]
        for pair in read_pairs(self.reference, self.hypothesis, self.reading):
            values = [column.value(pair.id, pair.where) if column else None for column in columns]
            yield _Texts(pair.id, pair.reference, pair.hypothesis, *values)
        for column in columns:
            if column:
                column.finish(self.reference)


class _Column:
    """One name an utterance, by id or in order."""

    def __init__(self, name: str, path: Path, format: str) -> None:
        self.name, self.path = name, path
        self._rows = read_column(path, format)
        self._by_id: dict[str, str] | None = None
        self._last_line = 0  # of the references
        head = list(itertools.islice(self._rows, 1))
        self._rows = itertools.chain(head, self._rows)
        if head and head[0][0] is not None:
            self._by_id = {id: value for id, value in self._rows if id is not None}

    def value(self, id: str, where: str) -> str:
        if self._by_id is not None:
            if id not in self._by_id:
                raise UserError(f"{where}: the utterance {id} has no {self.name} in {self.path}.")
            return self._by_id[id]
        line = int(where.rpartition(":")[2])
        if line <= self._last_line:
            raise UserError(
                f"{where}: references and hypotheses are in another order, and {self.path} has no "
                f"ids by which to tell whose {self.name} a line is: write `id {self.name}` lines."
            )
        self._last_line = line
        row = next(self._rows, None)
        if row is None:
            raise UserError(
                f"{where}: {self.path} ends before this utterance: it must hold one {self.name} a "
                "line, for as many utterances as there are."
            )
        return row[1]

    def finish(self, reference: Path) -> None:
        if self._by_id is None and next(self._rows, None) is not None:
            raise UserError(f"{self.path} has more lines than {reference} has utterances.")


def count(
    source: Source, convention: Convention, jobs: int = 1, by: GroupBy = BY_LANGUAGE
) -> Scores:
    """Sums over all utterances of a source, compared by a convention.

    Args:
        jobs: processes; a source of one chunk is counted in this one.
        by: what a group is.

    Raises:
        UserError: see the sources; or two utterances have the same id.
    """
    scores, ids = Scores(convention, by), array("Q")
    for part, hashes in _in_order(source, convention, jobs, by):
        scores.merge(part)
        ids.extend(hashes)
    _refuse_duplicates(source, np.asarray(ids, dtype=np.uint64))
    scores.languages = dict(sorted(scores.languages.items()))
    return scores


def _in_order(
    source: Source, convention: Convention, jobs: int, by: GroupBy
) -> Iterator[tuple[Scores, array]]:
    chunks = source.chunks()
    head = list(itertools.islice(chunks, 2))
    if jobs < 2 or len(head) < 2:
        for chunk in itertools.chain(head, chunks):
            yield _count_chunk(source, convention, by, chunk)
        return
    # spawned processes inherit no threads and no half-held locks
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        waiting: deque[Future] = deque()
        try:
            for chunk in itertools.chain(head, chunks):
                waiting.append(pool.submit(_count_chunk, source, convention, by, chunk))
                if len(waiting) >= jobs * _WAITING:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _count_chunk(
    source: Source, convention: Convention, by: GroupBy, chunk: Any
) -> tuple[Scores, array]:
    part, hashes = Scores(convention, by), array("Q")
    for record in source.records(chunk):
        part.add(convention.score(record))
        hashes.append(_hash(record.id))
    return part, hashes


def _hash(id: str) -> int:
    return int.from_bytes(blake2b(id.encode(), digest_size=8).digest(), "little")


def _refuse_duplicates(source: Source, hashes: np.ndarray) -> None:
    """A hash that occurs twice is looked up: the ids may differ all the same."""
    ordered = np.sort(hashes)
    twice = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
    if not twice:
        return
    place_of: dict[str, str] = {}
    for id, where in source.places():
        if _hash(id) in twice:
            if id in place_of:
                raise duplicate_error(id, place_of[id], where)
            place_of[id] = where


def _batched(items: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, CHUNK)):
        yield batch
