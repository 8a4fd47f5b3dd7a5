"""Open a Parquet file, which needs pyarrow."""

from __future__ import annotations

from pathlib import Path

from fairseq_dro.errors import UserError


def open_parquet(path: Path):
    """A ``pyarrow.parquet.ParquetFile``.

    Raises:
        UserError: pyarrow is not installed, or the file is not Parquet.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UserError(
            f"{path} cannot be read because pyarrow is not installed: type `pip install pyarrow`."
        ) from None
    try:
        return parquet.ParquetFile(path)
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise UserError(
            f"{path} cannot be read as Parquet ({error}): download it again."
        ) from None
