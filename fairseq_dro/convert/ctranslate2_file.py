"""CTranslate2's ``model.bin``: named arrays (its ``python/ctranslate2/specs/model_spec.py``)."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

import torch

from fairseq_dro.errors import UserError

_TYPES = {
    0: torch.float32, 1: torch.int8, 2: torch.int16, 3: torch.int32, 4: torch.float16,
    5: torch.bfloat16,
}  # fmt: skip
_VERSIONS = (4, 5, 6)  # 4 brought typed variables


def read_variables(file: Path) -> tuple[str, dict[str, torch.Tensor]]:
    """The name of the model's specification, and its arrays by name, aliases included.

    The arrays are views of the file, which is mapped and not read.

    Raises:
        UserError: the file is cut, or no file of CTranslate2's.
    """
    with open(file, "rb") as stream:
        try:
            # a private, writable mapping: torch warns of read-only memory
            content = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
        except ValueError:  # an empty file
            raise _broken(file) from None
    try:
        return _Reader(content).read()
    except (struct.error, KeyError, ValueError, RuntimeError, UnicodeDecodeError):
        raise _broken(file) from None


def _broken(file: Path) -> UserError:
    return UserError(
        f"{file} is not a whole model.bin of CTranslate2's: it was cut or is another file; copy or "
        "download it again."
    )


class _Reader:
    def __init__(self, content: mmap.mmap) -> None:
        self.content = content
        self.place = 0

    def read(self) -> tuple[str, dict[str, torch.Tensor]]:
        if self._number("I") not in _VERSIONS:
            raise ValueError
        specification = self._string()
        self._number("I")  # revision
        variables = {}
        for _ in range(self._number("I")):
            name = self._string()
            shape = [self._number("I") for _ in range(self._number("B"))]
            dtype = _TYPES[self._number("B")]
            n_bytes = self._number("I")
            variables[name] = self._array(dtype, n_bytes).reshape(shape)
        for _ in range(self._number("I")):
            alias = self._string()
            variables[alias] = variables[self._string()]
        return specification, variables

    def _number(self, kind: str) -> int:
        (value,) = struct.unpack_from(f"<{kind}", self.content, self.place)
        self.place += struct.calcsize(kind)
        return value

    def _string(self) -> str:
        length = self._number("H")
        text = self.content[self.place : self.place + length]
        self.place += length
        return text.rstrip(b"\0").decode()

    def _array(self, dtype: torch.dtype, n_bytes: int) -> torch.Tensor:
        if n_bytes % dtype.itemsize or self.place + n_bytes > len(self.content):
            raise ValueError
        array = torch.frombuffer(
            self.content, dtype=dtype, count=n_bytes // dtype.itemsize, offset=self.place
        )
        self.place += n_bytes
        return array
