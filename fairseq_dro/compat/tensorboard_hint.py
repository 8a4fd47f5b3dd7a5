"""``Please install tensorboardX`` is not said where tensorboard is installed.

fairseq/tasks/text_to_speech.py:34 says it whenever fairseq is imported without tensorboardX, which
that task alone needs; curves are written by tensorboard (fairseq/logging/progress_bar.py). A
command of that task (``--task text_to_speech``) still says it.
"""

from __future__ import annotations

import importlib.util
import logging
import sys

HINT = "Please install tensorboardX"


def needed() -> bool:
    """Not without tensorboard: then the hint is true."""
    return importlib.util.find_spec("tensorboard") is not None


def apply() -> None:
    logger = logging.getLogger("fairseq.tasks.text_to_speech")
    logger.addFilter(
        lambda record: not record.getMessage().startswith(HINT)
        or any("text_to_speech" in argument for argument in sys.argv)
    )
