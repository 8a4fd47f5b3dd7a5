"""What reaches the terminal of a training run: lines for people; everything else is in the log.

fairseq writes some 24,000 characters before its first update, most of them the configuration and
the modules of the model. They go to the run folder's log alone. On the terminal stay the lines of
this package and warnings, each warning of a start once per run folder (``warnings.txt`` there
keeps what was said). What Python itself warns of, mostly old calls inside fairseq and torch, goes
to the log.

With ``common.log_format=json`` the terminal is as fairseq has it.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

WARNINGS_FILE = "warnings.txt"
LOG_ONLY = {"log_only": True}
"""``extra`` of a log call whose line is of no interest on the terminal."""

_OURS = "fairseq_dro"
_OF_PYTHON = "py.warnings"  # logger of logging.captureWarnings


class TerminalHandler(logging.StreamHandler):
    """In the place of hydra's console handler; lines do not glue to a progress bar.

    The current folder is the run's, which hydra has entered when it makes this.
    """

    starting = True
    """Whether no update was made yet; until then a warning is shown once per run folder."""

    def __init__(self, stream: Any = None) -> None:
        super().__init__(stream)
        self.said = _Said(Path(WARNINGS_FILE).absolute())
        logging.captureWarnings(True)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is for people."""
        if record.name == _OF_PYTHON or getattr(record, "log_only", False):
            return False
        if record.levelno < logging.WARNING:
            ours = record.name.split(".")[0] == _OURS and record.levelno >= logging.INFO
            return ours and super().filter(record)
        if record.levelno < logging.ERROR and self.starting:
            return self.said.is_new(record.getMessage()) and super().filter(record)
        return super().filter(record)

    def format(self, record: logging.LogRecord) -> str:
        """The message, with the kind of it where it is no plain news."""
        text = record.getMessage()
        if record.exc_info:
            text = super().format(record)
        return text if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {text}"

    def emit(self, record: logging.LogRecord) -> None:
        """Write above the bar, where there is one."""
        with tqdm.external_write_mode(file=self.stream):
            super().emit(record)


class _Said:
    """The warnings of a run folder, a line each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: set[str] | None = None

    def is_new(self, message: str) -> bool:
        """Whether it was not said before; from now on it was."""
        line = " ".join(message.split())
        try:
            if self._lines is None:
                self._lines = set(self.path.read_text(encoding="utf-8").splitlines())
        except (OSError, UnicodeDecodeError):
            self._lines = set()
        if line in self._lines:
            return False
        self._lines.add(line)
        try:
            with open(self.path, "a", encoding="utf-8") as stream:
                stream.write(line + "\n")
        except OSError:
            pass  # it is said again at the next start
        return True


def shows_lines_for_people(common: Any) -> bool:
    """Whether ``common.log_format`` leaves the terminal to this package."""
    return (common or {}).get("log_format") != "json"


def shows_bar(common: Any) -> bool:
    """Whether the terminal can show one and nobody asked for something else.

    A terminal of 0 columns, as some job systems have it, shows none.
    """
    if common.get("log_format") not in (None, "tqdm") or common.get("no_progress_bar"):
        return False
    try:
        return sys.stderr.isatty() and os.get_terminal_size(sys.stderr.fileno()).columns > 0
    except (OSError, ValueError):
        return False


def put_in_place(hydra_config: Any, *, leads: bool) -> None:
    """Change a composed ``hydra.job_logging``, where its console is hydra's own.

    Args:
        leads: whether this worker speaks for all; the others write to the log alone.
    """
    logging_config = hydra_config.job_logging
    console = (logging_config.get("handlers") or {}).get("console")
    if console is None or console.get("class") != "logging.StreamHandler":
        return
    if not leads:
        logging.captureWarnings(True)  # the leader's handler does so for itself
        others = [name for name in logging_config.root.handlers if name != "console"]
        logging_config.root.handlers = others
        return
    console["class"] = f"{__name__}.{TerminalHandler.__name__}"
