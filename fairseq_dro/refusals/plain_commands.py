"""A command of fairseq without hydra ends with the sentence of a user's mistake, not its traceback.

``fairseq-train`` and the like (fairseq_cli/train.py:557) hand their work to ``call_main`` and catch
nothing. Under hydra ``compat/error_traceback.py`` does the same.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

from fairseq_dro.errors import sentence_of


def needed() -> bool:
    return True


def apply() -> None:
    """Wrap ``call_main`` outside of everything else that refuses."""
    from fairseq.distributed import utils as distributed_utils
    from hydra.core.hydra_config import HydraConfig

    call_main = distributed_utils.call_main

    @functools.wraps(call_main)
    def call_main_or_say_why_not(cfg: Any, main: Any, **kwargs: Any) -> Any:
        try:
            return call_main(cfg, main, **kwargs)
        except Exception as error:
            sentence = sentence_of(error)
            is_plain = main.__module__.startswith("fairseq_cli.") and not HydraConfig.initialized()
            if sentence is None or not is_plain:
                raise
            sys.stderr.write(f"error: {sentence}\n")
            sys.exit(2)

    distributed_utils.call_main = call_main_or_say_why_not
