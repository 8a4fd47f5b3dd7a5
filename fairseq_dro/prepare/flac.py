"""Whether a FLAC holds more than its header says, from its bytes (RFC 9639)."""

from __future__ import annotations

_BEGIN = (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22")  # with a STREAMINFO of 34 bytes
_LONGEST_HEADER = 16  # bytes of a frame's
_BYTES_OF_BLOCK_SIZE = {6: 1, 7: 2}
_BYTES_OF_RATE = {12: 1, 13: 2, 14: 2}


def flac_continues(data: bytes, n_samples: int) -> bool:
    """Whether frames, or a second FLAC, follow the ``n_samples`` of the header."""
    if data[:8] not in _BEGIN or len(data) < 42:
        return False
    second = 0
    while (second := data.find(b"fLaC", second + 4)) >= 0:
        if data[second : second + 8] in _BEGIN:
            return True
    at = _first_frame(data)
    first = _frame(data, at)
    if first is None:
        return False
    sync, like = data[at : at + 2], first[1]
    block = 1 if sync[1] & 1 else int.from_bytes(data[10:12], "big")  # numbers count samples, or it
    place = len(data)
    while (place := data.rfind(sync, at, place)) > at:
        found = _frame(data, place)
        if found is not None and found[1] == like:
            return found[0] * block >= n_samples
    return False


def _first_frame(data: bytes) -> int:
    """Place of the first frame: behind all blocks of metadata."""
    at, is_last = 4, False
    while not is_last and at + 4 <= len(data):
        is_last = bool(data[at] & 0x80)
        at += 4 + int.from_bytes(data[at + 1 : at + 4], "big")
    return at


def _frame(data: bytes, at: int) -> tuple[int, tuple[int, int, int]] | None:
    """Number of the frame at a place, and what all frames of a stream have alike: codes of the
    rate, of the channels (where sums and differences, 8 to 10, are two) and of the bits.

    None where there is no frame: its header has a check sum of eight bits (section 9.1).
    """
    head = data[at : at + _LONGEST_HEADER]
    if len(head) < 6:
        return None
    n_more = 0  # bytes of the number behind its first one, as in UTF-8
    while n_more < 7 and head[4] << n_more & 0x80:
        n_more += 1
    n_more = max(n_more - 1, 0)
    number = head[4] & (0x7F if not n_more else 0x3F >> n_more)
    for byte in head[5 : 5 + n_more]:
        number = number << 6 | byte & 0x3F
    end = 5 + n_more + _BYTES_OF_BLOCK_SIZE.get(head[2] >> 4, 0) + _BYTES_OF_RATE.get(
        head[2] & 0x0F, 0
    )
    if end >= len(head) or _crc8(head[:end]) != head[end]:
        return None
    channels = head[3] >> 4
    return number, (head[2] & 0x0F, 1 if channels > 7 else channels, head[3] & 0x0F)


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07 if crc & 0x80 else crc << 1) & 0xFF
    return crc
