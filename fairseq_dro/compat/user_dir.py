"""An installed plugin and an explicit ``common.user_dir`` together.

fairseq/utils.py:489-508 imports a user dir only if no module of that name is loaded. The installed
plugin is loaded by then: fairseq registers nothing when it is the same folder, and refuses it
(``ImportError: Failed to import --user-dir=... not globally unique``) when it is another copy.
Now either way of asking leads to ``fairseq_dro.register()``, and a second copy is named aloud.
"""

from __future__ import annotations

import logging
import os
from typing import Any

import fairseq_dro

logger = logging.getLogger(__name__)


def needed() -> bool:
    return True


def apply() -> None:
    import fairseq.utils

    original = fairseq.utils.import_user_module

    def import_user_module(args: Any) -> None:
        asked = getattr(args, "user_dir", None)
        if asked is None or not _is_this_plugin(asked):
            return original(args)
        loaded = fairseq_dro.__path__[0]
        if os.path.realpath(asked) != os.path.realpath(loaded):
            logger.warning(
                "common.user_dir=%s is not imported: fairseq_dro is installed from %s and that "
                "copy is in use (to run the other one, `python -m pip uninstall fairseq-dro` or "
                "install it with `python -m pip install -e %s`)",
                asked,
                loaded,
                os.path.dirname(os.path.abspath(asked)),
            )
        fairseq_dro.register()
        return None

    import_user_module.memo = set()  # type: ignore[attr-defined]  # fairseq/utils.py:484
    fairseq.utils.import_user_module = import_user_module


def _is_this_plugin(folder: str) -> bool:
    path = os.path.abspath(folder)
    return os.path.basename(path) == "fairseq_dro" and os.path.isfile(
        os.path.join(path, "compat", "user_dir.py")
    )
