"""Where a run comes from: command, versions, commit, data. One line per start in ``run.jsonl``.

    {"format": 1, "started": "2026-11-22T18:05:12+00:00", "update": 0,
     "command": ["/venv/bin/fairseq-hydra-train", "--config-dir", ...],
     "folder": "...", "host": "node7", "pid": 4711, "lock": "in_use.lock", "workers": 2,
     "environment": {"CUDA_VISIBLE_DEVICES": "0,1", ...},
     "versions": {"python": "3.11.2", "torch": "2.13.0", ...},
     "git": {"commit": "44c01af...", "changed": false}, "devices": ["cpu"],
     "data": {"folder": "...", "splits": {"train": {"utterances": 1401, "sha256": "..."}, ...},
              "files": {"dict.ltr.txt": "...", ...}}}

``command`` is ``sys.argv``. ``folder`` is where the command was typed, not hydra's run folder.
Everything is best effort: what cannot be found out is null, and nothing here stops a training.
"""

from __future__ import annotations

import hashlib
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from fairseq_dro.data.columns import column_files
from fairseq_dro.runs.history import append_record
from fairseq_dro.survival.lock_file import LOCK_FILE

logger = logging.getLogger(__name__)

RUN_FILE = "run.jsonl"
PACKAGES = ("fairseq-dro", "fairseq", "torch", "numpy", "hydra-core", "omegaconf")
# of the files of a split that may be there, beside its .tsv
_SUFFIXES = ("ltr", "lang", "corpus", "spm", "phn", "wrd", "utt", "speaker")
_FILES = ("dict.*.txt", "languages.tsv")  # of the whole folder, that training reads
ENVIRONMENT = (
    "CUDA_VISIBLE_DEVICES", "FAIRSEQ_DRO_COMPAT", "PYTHONPATH", "OMP_NUM_THREADS",
    "PYTORCH_CUDA_ALLOC_CONF", "NVIDIA_TF32_OVERRIDE", "CUBLAS_WORKSPACE_CONFIG", "SLURM_JOB_ID",
)  # fmt: skip
"""Variables that change what a run does or say which it was."""
LAUNCHER = (
    "TORCHELASTIC_RUN_ID", "GROUP_WORLD_SIZE", "LOCAL_WORLD_SIZE",
    "SLURM_STEP_NUM_NODES", "SLURM_STEP_NUM_TASKS",
)  # fmt: skip
"""Those by which torchrun and srun tell a process how they launched it. No other is recorded."""


def record_start(folder: str | Path, data: str | Path, update: int) -> None:
    """Append what ``collect`` finds to ``run.jsonl``; a failure is logged and stops nothing.

    Args:
        folder: the run's.
        data: the data folder, of whose splits fingerprints are taken.
        update: where training resumes; 0 at the first start.
    """
    try:
        append_record(Path(folder) / RUN_FILE, collect(data, update=update))
    except Exception as error:  # a full disk, a data folder that cannot be read ...
        logger.warning("%s/%s could not be written: %s", folder, RUN_FILE, error)


def collect(
    data: str | Path | None = None, splits: Sequence[str] = (), update: int = 0
) -> dict[str, Any]:
    """What can be said of this process, ready for ``history.append_record``.

    Args:
        data: the data folder, of which a fingerprint is taken.
        splits: its splits that the run uses; none means all.
        update: where training resumes.
    """
    return {
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "update": update,
        "command": list(sys.argv),
        "folder": _typed_in(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "lock": LOCK_FILE,  # which is there as long as the run is going
        "workers": _n_workers(),
        "environment": {
            name: os.environ[name] for name in (*ENVIRONMENT, *LAUNCHER) if name in os.environ
        },
        "versions": versions(),
        "git": git_commit(Path(__file__).resolve().parent),
        "devices": _devices(),
        "data": None if data is None else of_data(Path(data), splits),
    }


def versions() -> dict[str, str | None]:
    """Of Python and of the packages that a result may depend on."""
    found: dict[str, str | None] = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def git_commit(folder: Path) -> dict[str, Any] | None:
    """Commit of the checkout that holds ``folder``, and whether tracked files were changed.

    None outside a checkout, without git, or for a copy installed below another project's checkout
    (files that git does not track).
    """
    try:
        tracked = _git(folder, "ls-files", "--error-unmatch", "__init__.py")
        commit = _git(folder, "rev-parse", "HEAD")
        if not tracked or not commit:
            return None
        return {"commit": commit, "changed": bool(_git(folder, "status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):
        return None


def of_data(data: Path, splits: Sequence[str] = ()) -> dict[str, Any]:
    """Place and fingerprints of a data folder."""
    return {
        "folder": os.path.abspath(data),
        "splits": fingerprint(data, splits),
        "files": file_fingerprints(data),
    }


def fingerprint(data: Path, splits: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Number of utterances and SHA-256 of each split's manifest, labels and columns.

    The first line of the ``.tsv`` is left out: the same data in another place has the same
    fingerprint. The audio itself is not read.
    """
    names = splits or sorted(
        path.stem
        for path in data.glob("*.tsv")  # of which some are tables: languages.tsv, rejected.tsv
        if any((data / f"{path.stem}.{suffix}").exists() for suffix in _SUFFIXES)
    )
    found = {}
    for name in names:
        digest, utterances = hashlib.sha256(), 0
        for suffix in ("tsv", *_SUFFIXES):
            try:
                content = (data / f"{name}.{suffix}").read_bytes()
            except OSError:
                continue
            if suffix == "tsv":
                content = content.partition(b"\n")[2]
                utterances = content.count(b"\n")
            digest.update(f"{suffix} {len(content)}\n".encode())
            digest.update(content)
        for path in column_files(data, name, utterances):
            digest.update(f"{path.name} {path.stat().st_size}\n".encode())
            digest.update(path.read_bytes())
        if utterances:
            found[name] = {"utterances": utterances, "sha256": digest.hexdigest()}
    return found


def file_fingerprints(data: Path) -> dict[str, str]:
    """SHA-256 of the dictionaries and of the folder's own table of languages, by name."""
    found = {}
    for path in sorted(path for pattern in _FILES for path in data.glob(pattern)):
        try:
            found[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError:
            continue
    return found


def _typed_in() -> str:
    """hydra 1.0 enters the run folder before the program starts; a process that fairseq spawns is
    back where the command was typed.
    """
    module = sys.modules.get("hydra.core.hydra_config")
    if module is not None and module.HydraConfig.initialized():
        return str(module.HydraConfig.get().runtime.cwd)
    return os.getcwd()


def _n_workers() -> int:
    torch = sys.modules.get("torch")  # never imported for this alone
    distributed = torch is not None and torch.distributed.is_available()
    if distributed and torch.distributed.is_initialized():
        return torch.distributed.get_world_size()
    return 1


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        capture_output=True, text=True, timeout=10, check=False,
    )  # fmt: skip
    return done.stdout.strip() if done.returncode == 0 else ""


def _devices() -> list[str]:
    torch = sys.modules.get("torch")  # never imported for this alone
    if torch is None or not torch.cuda.is_available():
        return ["cpu"]
    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
