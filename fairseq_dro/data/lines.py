"""The lines of a text file as one block of bytes, which reads like a list of strings.

A Python list of a million strings takes 100 MB more than its text and is copied page by page into
every loader process, because reading an element changes its reference count. A block of bytes with
an array of offsets does neither.

Shapes: N lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np

NEWLINE, TAB = 10, 9
CHUNK_BYTES = 1 << 22
"""How much text is looked at in one go: the arrays made of it are several times larger."""
_ZIP_SLICE = re.compile(r"(?P<path>.+):(?P<offset>\d+):(?P<length>\d+)\Z", re.DOTALL)
STRIPPED = frozenset(b" \t\v\f\x1c\x1d\x1e\x1f")


class SequenceOfStrings(Sequence[str]):
    """What the sequences here share: equal to any sequence of the same strings."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other))

    __hash__ = None  # as a list

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, (self[i] for i in range(min(3, len(self))))))
        return f"{type(self).__name__}({len(self)}: {shown}{', ...' if len(self) > 3 else ''})"


class TextLines(SequenceOfStrings):
    """Lines of UTF-8 text without the white space around them.

    Args:
        data: the whole text.
        starts, ends: [N] the bytes of each line, its end not included.
    """

    def __init__(self, data: bytes, starts: np.ndarray, ends: np.ndarray) -> None:
        compact = np.uint32 if len(data) < 1 << 32 else np.int64
        self.data = data
        self.starts = starts.astype(compact)
        self.ends = ends.astype(compact)

    @classmethod
    def of_text(cls, data: bytes) -> TextLines:
        r"""The lines of a file as Python reads them: ended by ``\n``, ``\r\n`` or ``\r``."""
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        ends = positions(data, NEWLINE)
        if data and not data.endswith(b"\n"):
            ends = np.append(ends, len(data))
        starts = np.empty_like(ends)
        starts[:1] = 0
        starts[1:] = ends[:-1] + 1
        _strip(np.frombuffer(data, np.uint8), starts, ends)
        return cls(data, starts, ends)

    @classmethod
    def of_strings(cls, lines: Sequence[str]) -> TextLines:
        """The same of strings that hold no newline."""
        return cls.of_text("".join(f"{line}\n" for line in lines).encode())

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self.bytes_of(index).decode().strip()

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), 1 << 16):
            for line in self.bytes_of_slice(slice(first, first + (1 << 16))):
                yield line.decode().strip()

    def bytes_of(self, index: int) -> bytes:
        """One line as it stands in the file."""
        return self.data[self.starts[index] : self.ends[index]]

    def bytes_of_slice(self, part: slice) -> list[bytes]:
        """Lines as they stand in the file."""
        pairs = zip(self.starts[part].tolist(), self.ends[part].tolist())
        return [self.data[start:end] for start, end in pairs]

    def chunks(self, at_most_bytes: int = CHUNK_BYTES) -> Iterator[tuple[int, int]]:
        """(first line, last line + 1) of stretches of about so many bytes; at least one line."""
        first = 0
        while first < len(self):
            limit = min(int(self.starts[first]) + at_most_bytes, len(self.data))
            last = max(first + 1, int(np.searchsorted(self.ends, limit, side="right")))
            yield first, last
            first = last


class Categories(SequenceOfStrings):
    """Strings of which many are equal: each different one once, and a number for every line.

    Attributes:
        names: the different strings, in the order in which they first occur.
        codes: [N] int32, ``names[codes[i]]`` is string i.
    """

    def __init__(self, names: list[str], codes: np.ndarray) -> None:
        self.names = names
        self.codes = codes.astype(np.int32)

    @classmethod
    def of(cls, lines: Sequence[str]) -> Categories:
        """Of any strings; of `TextLines` without keeping a string of each line."""
        number: dict[Any, int] = {}
        codes = np.empty(len(lines), dtype=np.int32)
        is_text = isinstance(lines, TextLines)
        for first in range(0, len(lines), 1 << 16):
            part = slice(first, first + (1 << 16))
            keys = lines.bytes_of_slice(part) if is_text else lines[part]
            for key in dict.fromkeys(keys):
                number.setdefault(key, len(number))
            codes[part] = np.fromiter(map(number.__getitem__, keys), np.int32, len(keys))
        if not is_text:
            return cls(list(number), codes)
        names = [key.decode().strip() for key in number]
        if len(set(names)) < len(names):  # they differed in white space beyond ASCII
            merged = cls.of(names)
            return cls(merged.names, merged.codes[codes])
        return cls(names, codes)

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self.names[code] for code in self.codes[index].tolist()]
        return self.names[self.codes[index]]

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), 1 << 16):
            yield from map(self.names.__getitem__, self.codes[first : first + (1 << 16)].tolist())

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def index(self, name: Any, *bounds: int) -> int:
        """The first line that is ``name``; raises ValueError where none is, as a list does."""
        if bounds:
            return super().index(name, *bounds)
        return int(np.argmax(self.codes == self.names.index(name)))

    def select(self, rows: np.ndarray) -> Categories:
        """The strings of some lines, with the same names."""
        return Categories(self.names, self.codes[rows])


class PathStems(SequenceOfStrings):
    """Utterance ids of paths: what comes before a zip slice (``:``), without the suffix."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return _stem(self.paths[index])

    def __iter__(self) -> Iterator[str]:
        return map(_stem, self.paths)


def split_zip_slice(path: str) -> tuple[str, tuple[int, int] | None]:
    """The file of an audio path, and (offset, length) in bytes where it is a slice of a zip.

    A colon elsewhere belongs to the name, as ``12:30.wav`` in fairseq's ``parse_path``
    (fairseq/data/audio/audio_utils.py).
    """
    found = _ZIP_SLICE.match(path) if ":" in path else None
    if not found:
        return path, None
    return found["path"], (int(found["offset"]), int(found["length"]))


def _stem(path: str) -> str:
    path = split_zip_slice(path)[0]
    if "./" in path or "//" in path or path.endswith(("/", "/.")):
        pure = PurePosixPath(path)
        return str(pure.with_suffix("")) if pure.name else path
    dot = path.rfind(".")  # as above, in a tenth of the time
    has_suffix = path.rfind("/") + 1 < dot < len(path) - 1
    return path[:dot] if has_suffix else path


def positions(data: bytes, byte: int) -> np.ndarray:
    """int64 offsets at which a byte occurs."""
    found = [
        np.flatnonzero(np.frombuffer(data[first : first + CHUNK_BYTES], np.uint8) == byte) + first
        for first in range(0, len(data), CHUNK_BYTES)
    ]
    return np.concatenate(found) if found else np.empty(0, np.int64)


def _strip(text: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> None:
    """Move starts and ends, in place, past the white space of ASCII around each line."""
    blank = np.zeros(256, dtype=bool)
    blank[list(STRIPPED)] = True
    for edge, offset, step in ((ends, -1, -1), (starts, 0, 1)):
        rows = np.flatnonzero(starts < ends)
        while len(rows):
            rows = rows[blank[text[edge[rows] + offset]]]
            edge[rows] += step
            rows = rows[starts[rows] < ends[rows]]
