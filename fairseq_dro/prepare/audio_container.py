"""What the bytes of an audio file say that libsndfile does not tell.

Three things: a tag before the file that hides it; a header that was never finished, which says 0
bytes although audio follows; and audio behind the end that the header gives. libsndfile stops at
that end, so the rest of a recording would be missing under its whole text.

Sources: RIFF and RF64 (EBU Tech 3306), AIFF (Apple, 1989), CAF (Apple, 2005), Sun's AU, Ogg
(RFC 3533), ID3v2.4 (id3.org, section 3.1).
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import BinaryIO

from fairseq_dro.prepare.mp3 import id3_size

_CHUNKED = (b"RIFF", b"RIFX", b"RF64", b"FORM", b"caff")
_SUN = {b".snd": ">", b"dns.": "<"}  # and the order of its bytes
_BEHIND_A_TAG = (b"fLaC", b"OggS", *_CHUNKED, *_SUN)
_HEAD = 4096  # bytes
_SOUND = (b"data", b"SSND")
UNKNOWN_BYTES = 0x7FFF0000  # and above: what programs write that stream a file
_TO_THE_END = {4: b"\xff" * 4, 8: b"\xff" * 8}  # a size, by its own length


@dataclass(frozen=True, slots=True)
class Container:
    """A file as its bytes have it.

    Attributes:
        n_tag_bytes: of an ID3v2 tag before a file that is no MP3.
        unfinished: place and number of bytes of a size that says 0 although audio follows.
        share_beyond: bytes behind the end that the header gives, zeros at their ends left out,
            over the bytes before it.
    """

    n_tag_bytes: int = 0
    unfinished: tuple[int, int] | None = None
    share_beyond: float = 0.0

    @property
    def is_read_in_place(self) -> bool:
        """Whether the file can be read as it is, without ``readable``."""
        return not self.n_tag_bytes and self.unfinished is None

    def readable(self, data: bytes) -> bytes:
        """The file without its tag, and with a size that says "to the end of the file"."""
        if self.unfinished is not None:
            place, width = self.unfinished
            data = data[:place] + _TO_THE_END[width] + data[place + width :]
        return data[self.n_tag_bytes :]


class _Bytes:
    """Bytes of a file by their place; its first ones are read once."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._begin = stream, stream.read(_HEAD)
        self.size = len(self._begin)
        if self.size == _HEAD:
            self.size = stream.seek(0, io.SEEK_END)

    def read(self, at: int, n_bytes: int) -> bytes:
        if at + n_bytes <= len(self._begin) or self.size < _HEAD:
            return self._begin[at : at + n_bytes]
        self._stream.seek(at)
        return self._stream.read(n_bytes)


def container_of(stream: BinaryIO) -> Container:
    """What stands before, in and behind the header of a file that is at its first byte."""
    file = _Bytes(stream)
    begin = id3_size(file.read(0, 10))
    kind = file.read(begin, 4)
    if kind not in _BEHIND_A_TAG:  # an MP3 has its tag where it belongs
        return Container()
    if kind in _SUN:
        sound = _sun_sound(file, begin, _SUN[kind])
    elif kind in _CHUNKED:
        sound = _sound_chunk(file, begin, kind)
    else:
        sound = None
    if sound is None or sound.n_bytes is None:
        return Container(begin)
    n_beyond = _beyond(file, sound.next_chunk, kind)
    if sound.n_bytes:
        return Container(begin, None, n_beyond / sound.n_bytes)
    # libsndfile itself reads an AIFF of 0 bytes to its end
    return Container(begin, sound.size_at if n_beyond and kind != b"FORM" else None)


@dataclass(frozen=True, slots=True)
class _Sound:
    """Where the samples are; ``n_bytes`` is None where they go to the end of the file."""

    size_at: tuple[int, int]
    n_bytes: int | None
    next_chunk: int


def _sun_sound(file: _Bytes, begin: int, order: str) -> _Sound | None:
    fields = file.read(begin + 4, 8)
    if len(fields) < 8:
        return None
    start, n_bytes = struct.unpack(f"{order}II", fields)
    known = None if n_bytes == 0xFFFFFFFF else n_bytes
    return _Sound((begin + 8, 4), known, begin + start + n_bytes)


def _sound_chunk(file: _Bytes, begin: int, kind: bytes) -> _Sound | None:
    at = begin + (8 if kind == b"caff" else 12)
    n_sound_bytes = None  # of RF64, whose own field is too short
    while (found := _chunk(file, at, kind)) is not None:
        name, n_bytes, width = found
        start = at + 4 + width
        if name == b"ds64":
            n_sound_bytes = struct.unpack("<Q", file.read(start + 8, 8).ljust(8, b"\0"))[0]
        if name in _SOUND:
            if n_bytes == 0xFFFFFFFF and n_sound_bytes is not None:
                n_bytes = n_sound_bytes
            elif n_bytes < 0 or (width == 4 and n_bytes >= UNKNOWN_BYTES):
                n_bytes = None
            end = start + (n_bytes or 0)
            return _Sound((at + 4, width), n_bytes, end + (width == 4 and end % 2 != begin % 2))
        if n_bytes < 0 or start + n_bytes > file.size:
            return None
        at = start + n_bytes + (width == 4 and n_bytes % 2)
    return None


def _chunk(file: _Bytes, at: int, kind: bytes) -> tuple[bytes, int, int] | None:
    """Name, bytes, and length of the field that says how many; None where there is no chunk."""
    form = {b"caff": ">q", b"FORM": ">I", b"RIFX": ">I"}.get(kind, "<I")
    width = struct.calcsize(form)
    head = file.read(at, 4 + width)
    if len(head) < 4 + width:
        return None
    return head[:4], struct.unpack(form, head[4:])[0], width


def _beyond(file: _Bytes, at: int, kind: bytes) -> int:
    """Bytes from a place on that are neither chunks nor zeros."""
    while kind in _CHUNKED and (found := _chunk(file, at, kind)) is not None:
        name, n_bytes, width = found
        end = at + 4 + width + n_bytes
        is_chunk = all(0x20 <= byte < 0x7F for byte in name) and name not in _CHUNKED
        if not is_chunk or n_bytes < 0 or end > file.size:
            break
        at = end + (width == 4 and n_bytes % 2)
    return len(file.read(at, max(file.size - at, 0)).strip(b"\0"))


def has_second_ogg(data: bytes) -> bool:
    """Whether an Ogg stream begins after others have gone on: two files one after the other."""
    at, has_body = 0, False
    while data[at : at + 4] == b"OggS" and at + 27 <= len(data):
        is_begin, n_segments = data[at + 5] & 2, data[at + 26]
        if is_begin and has_body:
            return True
        has_body |= not is_begin
        at += 27 + n_segments + sum(data[at + 27 : at + 27 + n_segments])
    return False
