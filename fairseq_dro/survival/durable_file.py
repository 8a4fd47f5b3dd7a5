"""Write a file so that its name always means a whole one: the old or the new.

A temporary file in the same folder is written, flushed and synced, then renamed over the name, and
the folder is synced. A kill at any moment leaves the old file or the new one, and perhaps the
temporary file, which nobody reads. Every name gets a file (an inode) of its own: a copy shares
blocks where the file system can (reflink), but never the inode, so whoever later writes into one
name in place cannot spoil another.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable
from typing import BinaryIO

TEMPORARY_SUFFIX = ".tmp"
COPY_BYTES = 1 << 30
"""Bytes asked of the kernel at once."""


def write_durably(path: str, write: Callable[[BinaryIO], object]) -> None:
    """Replace `path` by what `write` puts into the open file it is given.

    Raises whatever `write` or the system raises; then `path` is as it was and the temporary file
    is gone.
    """
    temporary = path + TEMPORARY_SUFFIX
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(temporary)
        raise
    sync_folder(os.path.dirname(path))


def copy_durably(source: str, target: str) -> None:
    """Replace `target` by a copy of `source`, as `write_durably` does."""
    write_durably(target, lambda file: _copy_bytes(source, file))


def sync_folder(folder: str) -> None:
    """Bring renames and removals in `folder` to the disk, where its file system can."""
    descriptor = os.open(folder or ".", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
            raise
    finally:
        os.close(descriptor)


def _copy_bytes(source: str, target: BinaryIO) -> None:
    """Let the kernel copy: on XFS and btrfs that shares blocks, on NFS 4.2 nothing travels."""
    with open(source, "rb") as file:
        left = os.fstat(file.fileno()).st_size
        try:
            while left > 0:
                copied = os.copy_file_range(file.fileno(), target.fileno(), min(left, COPY_BYTES))
                if copied == 0:
                    break  # some file systems say so at their first byte
                left -= copied
        except OSError as error:
            if error.errno not in _KERNEL_CANNOT_COPY:
                raise
        if left > 0:
            shutil.copyfileobj(file, target, 1 << 24)  # both stand where the kernel stopped


_KERNEL_CANNOT_COPY = (
    errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM, errno.ETXTBSY,
)
