"""How long an MP3 is by its frames, and whether a decoder will read all of them.

An MP3 says how long it is in its first frame, tagged Xing, Info or VBRI. libsndfile reads no
further than that: a second file behind the first is left out. Without the tag, as where a program
wrote to a pipe, it takes the first bit rate for that of the whole file.
"""

from __future__ import annotations

from dataclasses import dataclass

_LONGEST_TO_TAG = 44  # bytes from a frame to the end of its tag: header, checksum, side information
_MPEG1, _MPEG2, _MPEG25 = 3, 2, 0
_KBIT_OF_MPEG1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBIT_OF_MPEG2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = {
    _MPEG1: (44_100, 48_000, 32_000),
    _MPEG2: (22_050, 24_000, 16_000),
    _MPEG25: (11_025, 12_000, 8_000),
}
_TAGS_BETWEEN = {b"TAG": 128, b"ID3": None}  # ID3v1 has this length, ID3v2 says its own


@dataclass(frozen=True, slots=True)
class Mp3:
    """Frames of an MP3.

    Attributes:
        seconds: of all frames, the tagged first one left out.
        seconds_said: of the frames that the first one promises; None where it promises none.
        is_length_unknown: bit rates vary and nothing says the length.
        has_two_rates: frames differ in their sample rate, so that two files follow each other.
    """

    seconds: float = 0.0
    seconds_said: float | None = None
    is_length_unknown: bool = False
    has_two_rates: bool = False


def frames_of(data: bytes) -> Mp3:
    """Walk through the headers of all frames, over tags between them."""
    at = data.find(b"\xff", id3_size(data))
    while at >= 0 and not _begins_frames(data, at):
        at = data.find(b"\xff", at + 1)
    if at < 0:
        return Mp3()
    is_tagged, n_said = _said(data[at : at + _LONGEST_TO_TAG + 18])
    n_frames, bit_rates, kinds = -1 if is_tagged else 0, set(), set()
    while True:
        found = _frame(data, at)
        if found is None:
            tag = _TAGS_BETWEEN.get(data[at : at + 3], 0)
            size = id3_size(data[at : at + 10]) if tag is None else tag
            if not size:
                break
            at += size
            continue
        kbit, size, samples, rate = found
        n_frames += 1
        bit_rates.add(kbit)
        kinds.add((samples, rate))
        at += size
    samples, rate = next(iter(kinds))
    return Mp3(
        n_frames * samples / rate, None if n_said is None else n_said * samples / rate,
        len(bit_rates) > 1 and not is_tagged, len({rate for _, rate in kinds}) > 1,
    )  # fmt: skip


def _begins_frames(data: bytes, at: int) -> bool:
    """Whether a frame is at a place, and behind it another one or the end."""
    found = _frame(data, at)
    if found is None:
        return False
    following = at + found[1]
    return following + 4 > len(data) or _frame(data, following) is not None


def id3_size(head: bytes) -> int:
    """Bytes of the ID3v2 tag that the bytes begin with; 0 where they do not."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    a, b, c, d = head[6:10]  # seven bits each
    return 10 + (a << 21 | b << 14 | c << 7 | d)


def _said(first_frame: bytes) -> tuple[bool, int | None]:
    """Whether a frame is a tag, and how many frames it says that follow.

    Source: LAME's and Fraunhofer's tags, as libsndfile and mpg123 read them.
    """
    for name in (b"Xing", b"Info", b"VBRI"):
        at = first_frame.find(name)
        if 0 <= at <= _LONGEST_TO_TAG - 4:
            fields = first_frame[at + 4 :]
            if name == b"VBRI":  # version, delay and quality, then the bytes of the stream
                return True, int.from_bytes(fields[10:14], "big")
            has_count = len(fields) >= 8 and fields[3] & 1
            return True, int.from_bytes(fields[4:8], "big") if has_count else None
    return False, None


def _frame(data: bytes, at: int) -> tuple[int, int, int, int] | None:
    """Bit rate in kbit/s, bytes, samples and sample rate of the layer III frame at a place.

    None where there is no frame. Source: ISO/IEC 11172-3, 2.4.1.3 and 2.4.2.3; 13818-3 for the
    lower rates.
    """
    if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] & 0xE6 != 0xE2:
        return None
    version, kbit, rate = data[at + 1] >> 3 & 3, data[at + 2] >> 4, data[at + 2] >> 2 & 3
    if version not in _RATES or not 0 < kbit < 15 or rate == 3:
        return None
    kbit = (_KBIT_OF_MPEG1 if version == _MPEG1 else _KBIT_OF_MPEG2)[kbit]
    words = 144_000 if version == _MPEG1 else 72_000
    hertz = _RATES[version][rate]
    return kbit, words * kbit // hertz + (data[at + 2] >> 1 & 1), words // 125, hertz
