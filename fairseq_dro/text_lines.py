"""Text of files that a person wrote: its lines, and the one sentence about another encoding."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from fairseq_dro.errors import UserError

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def lines_of(path: str | Path) -> Iterator[tuple[int, str]]:
    r"""``(number from 1, line)`` of a UTF-8 file, without line ends.

    A byte order mark, as spreadsheets write it, is left out. A line ends in ``\n`` or ``\r\n`` and
    nowhere else: a symbol such as U+0085 or U+2028 is a part of its line.

    Raises:
        UserError: it cannot be read, a line is not UTF-8, or lines end in ``\r`` alone.
    """
    try:
        with open(path, "rb") as stream:
            for number, line in enumerate(stream, start=1):
                text = decoded(line, path, number).rstrip("\r\n")
                if number == 1:
                    text = text.removeprefix("\ufeff")
                if number == 1 and "\r" in text:
                    raise UserError(
                        f"{path} has the line ends of old Macintosh programs (\\r), which make one "
                        "line of it: convert it by `tr '\\r' '\\n' < OLD > NEW`."
                    )
                yield number, text
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}): expected a text file in UTF-8."
        ) from None


def decoded(data: bytes, path: str | Path, line: int = 1) -> str:
    """The text of a part of a file.

    Args:
        line: of the file in which ``data`` begins, from 1.

    Raises:
        UserError: it is not UTF-8, with the line.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line += data[: error.start].count(b"\n")
        # iconv's own default is the encoding of the terminal, which is UTF-8
        encoding = "UTF-16" if data.startswith(_UTF_16) else "WINDOWS-1252"
        raise UserError(
            f"{path}:{line} is not UTF-8 text: convert the file by `iconv -f {encoding} -t UTF-8 "
            "OLD > NEW`, with the encoding that it has behind -f."
        ) from None
