"""Whether the length that a decoder gives for an MP3 can be trusted, from its frame headers.

An MP3 of variable bit rate says how long it is in its first frame, tagged Xing, Info or VBRI.
Without the tag, as where a program wrote to a pipe, libsndfile takes the first bit rate for that of
the whole file, and reads no further than the length that follows from it.
"""

from __future__ import annotations

_TAGS = (b"Xing", b"Info", b"VBRI")
_LONGEST_TO_TAG = 44  # bytes from a frame to the end of its tag: header, checksum, side information
_MPEG1, _MPEG2, _MPEG25 = 3, 2, 0
_KBIT_OF_MPEG1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBIT_OF_MPEG2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = {
    _MPEG1: (44_100, 48_000, 32_000),
    _MPEG2: (22_050, 24_000, 16_000),
    _MPEG25: (11_025, 12_000, 8_000),
}


def has_unknown_length(data: bytes) -> bool:
    """Whether bit rates vary and no tag says the length."""
    at = _after_id3(data)
    at = data.find(b"\xff", at)
    while at >= 0 and _frame(data, at) is None:
        at = data.find(b"\xff", at + 1)
    if at < 0 or any(tag in data[at : at + _LONGEST_TO_TAG] for tag in _TAGS):
        return False
    first = None
    while (found := _frame(data, at)) is not None:
        kbit, size = found
        if first not in (None, kbit):
            return True
        first = kbit
        at += size
    return False


def _after_id3(data: bytes) -> int:
    if data[:3] != b"ID3" or len(data) < 10:
        return 0
    a, b, c, d = data[6:10]  # seven bits each
    return 10 + (a << 21 | b << 14 | c << 7 | d)


def _frame(data: bytes, at: int) -> tuple[int, int] | None:
    """Bit rate in kbit/s and size in bytes of the layer III frame at a place; None: there is none.

    Source: ISO/IEC 11172-3, 2.4.1.3 and 2.4.2.3; 13818-3 for the lower rates.
    """
    if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] & 0xE6 != 0xE2:
        return None
    version, kbit, rate = data[at + 1] >> 3 & 3, data[at + 2] >> 4, data[at + 2] >> 2 & 3
    if version not in _RATES or not 0 < kbit < 15 or rate == 3:
        return None
    kbit = (_KBIT_OF_MPEG1 if version == _MPEG1 else _KBIT_OF_MPEG2)[kbit]
    words = 144_000 if version == _MPEG1 else 72_000
    return kbit, words * kbit // _RATES[version][rate] + (data[at + 2] >> 1 & 1)
