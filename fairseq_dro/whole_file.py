"""Write a file so that its name means a whole one: the old or the new.

For what can be made again, so nothing is synced; ``survival/durable_file.py`` is for checkpoints.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A place beside ``path`` to write to, which takes its name when the block ends well."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        yield partial
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
