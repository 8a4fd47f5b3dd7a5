"""Python 3.11: a dataclass instance as the default of a field is refused.

hydra/conf/__init__.py:96 and, after it, most of fairseq's configuration classes
(fairseq/dataclass/configs.py:1106, fairseq/models/transformer/transformer_config.py:114) write
``common: CommonConfig = CommonConfig()``. Since Python 3.11 `dataclasses` raises ``ValueError:
mutable default ... is not allowed: use default_factory`` for a default that is not hashable.
A default factory is no way out: fairseq/dataclass/initialize.py:22 reads ``field.default``.

The check looks at the class of the default, so the class is hashable while one field is read and
as its author wrote it before and afterwards.
"""

from __future__ import annotations

import dataclasses
import sys
import threading
from typing import Any

_lock = threading.RLock()


def needed() -> bool:
    return sys.version_info >= (3, 11)


def apply() -> None:
    original = dataclasses._get_field  # type: ignore[attr-defined]

    def get_field(cls: type, name: str, *rest: Any) -> Any:
        default = getattr(cls, name, None)
        if isinstance(default, dataclasses.Field):
            default = default.default
        kind = type(default)
        if not dataclasses.is_dataclass(kind) or kind.__hash__ is not None:
            return original(cls, name, *rest)
        with _lock:
            kind.__hash__ = object.__hash__  # type: ignore[assignment]
            try:
                return original(cls, name, *rest)
            finally:
                kind.__hash__ = None  # type: ignore[assignment]

    dataclasses._get_field = get_field  # type: ignore[attr-defined]
