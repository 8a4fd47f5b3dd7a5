"""What the tests of saving do to a training process before it starts (``prepare`` of a command)."""

from __future__ import annotations

import functools
import importlib
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

PHASES_FILE = "phases.log"
"""In the run folder: what the process is doing, a line as it begins."""
STEP_S = 0.04
"""What each step of saving is made to last at least."""


def copy_in_pieces() -> None:
    """So that a copy can be caught half done."""
    from fairseq_dro.survival import durable_file

    durable_file.COPY_BYTES = 100_000


def retry_at_once() -> None:
    from fairseq_dro.survival import atomic_saving

    atomic_saving.PAUSES_S = (0.0, 0.0)


def small_files_only() -> None:
    """The kernel refuses to let a file grow beyond 200 kB, half of a tiny checkpoint."""
    import resource

    retry_at_once()
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))


def full_disk_at_open() -> None:
    _full_disk("builtins", "open", lambda args: ".pt.tmp" in str(args[0]))


def full_disk_in_mid_write() -> None:
    _full_disk("torch._C", "PyTorchFileWriter.write_record", lambda args: "data/9" in str(args[1]))


def full_disk_at_fsync() -> None:
    _full_disk("os", "fsync", lambda args: True)


def _full_disk(module: str, attribute: str, concerns: Callable[[tuple], bool]) -> None:
    import errno

    retry_at_once()

    def refuse(*args: Any, **_: Any) -> None:
        if concerns(args):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    _before(module, attribute, refuse)


def die_at_a_random_moment() -> None:
    """SIGKILL within 1.2 s of training, in which saving is slow and tells its phase."""
    from fairseq import checkpoint_utils

    from fairseq_dro.survival import durable_file

    durable_file.COPY_BYTES = 100_000
    record("starting")

    def begin_saving(cfg: Any, *_: Any) -> None:
        record("saving begins")

    def name_of(path: Any) -> str:
        return re.sub(r"_\d+_\d+", "_N_N", os.path.basename(str(path)).replace(".tmp", ""))

    def opening(path: Any, mode: str = "r", *_: Any, **__: Any) -> None:
        if ".pt.tmp" in str(path) and "w" in mode:
            slow_step(f"opening {name_of(path)}")

    def removing(path: Any) -> None:
        if str(path).endswith(".pt"):
            slow_step("removing old files")

    _before("fairseq.checkpoint_utils", "save_checkpoint", begin_saving)
    _before("builtins", "open", opening)
    _before("torch._C", "PyTorchFileWriter.write_record", _every(40, "writing records"))
    _before("os", "copy_file_range", lambda *_: slow_step("copying"))
    _before("os", "fsync", lambda *_: slow_step("syncing"))
    _before("os", "replace", lambda _, path: slow_step(f"renaming {name_of(path)}"))
    _before("os", "remove", removing)
    _after("fairseq.checkpoint_utils", "save_checkpoint", lambda: record("training"))

    delay = random.Random(int(os.environ["KILL_SEED"])).uniform(0.0, 1.2)
    load = checkpoint_utils.load_checkpoint

    @functools.wraps(load)
    def load_and_start_the_clock(*args: Any, **kwargs: Any) -> Any:
        loaded = load(*args, **kwargs)
        record("training")
        threading.Thread(target=_die_after, args=(delay,), daemon=True).start()
        return loaded

    checkpoint_utils.load_checkpoint = load_and_start_the_clock


def _die_after(seconds: float) -> None:
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)


def record(phase: str) -> None:
    descriptor = os.open(PHASES_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.write(descriptor, f"{phase}\n".encode())
    os.close(descriptor)


def slow_step(phase: str) -> None:
    record(phase)
    time.sleep(STEP_S)


def _every(n: int, phase: str) -> Callable[..., None]:
    calls = 0

    def step(*_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls % n == 0:
            slow_step(phase)

    return step


def _before(module: str, attribute: str, call: Callable[..., None]) -> None:
    owner, name = _owner(module, attribute)
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        call(*args, **kwargs)
        return original(*args, **kwargs)

    setattr(owner, name, wrapped)


def _after(module: str, attribute: str, call: Callable[[], None]) -> None:
    owner, name = _owner(module, attribute)
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        call()
        return result

    setattr(owner, name, wrapped)


def _owner(module: str, attribute: str) -> tuple[Any, str]:
    owner: Any = importlib.import_module(module)
    *path, name = attribute.split(".")
    for part in path:
        owner = getattr(owner, part)
    return owner, name


def sigterm_to_all_processes_in_the_first_saving() -> None:
    """As Slurm sends it, from outside: to the training process and to its loader processes."""
    sent = False

    def send(*_: Any) -> None:
        nonlocal sent
        if not sent:
            sent = True
            kill = ["kill", "-TERM", "--", f"-{os.getpgid(0)}"]
            subprocess.run(kill, check=True, start_new_session=True)

    _before("torch._C", "PyTorchFileWriter.write_record", send)


def one_pretended_gpu() -> None:
    """fairseq starts a process per GPU; SIGTERM goes to the one that waits, once q has moved."""
    import torch

    torch.cuda.device_count = lambda: 1
    threading.Thread(target=_sigterm_once_there_are_weights, daemon=True).start()


def _sigterm_once_there_are_weights() -> None:
    while not os.path.exists("group_weights.jsonl"):
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGTERM)
