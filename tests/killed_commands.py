"""Run training commands quickly, and let them die at a stated call.

``fairseq-hydra-train`` needs four to five seconds to import torch and fairseq. ``CommandServer``
is one process that has imported them and trained nothing; it runs each command, by its own console
script, in a forked child. What differs from a start of its own: the hash seed is the server's, and
a command with absolute paths and ``hydra.run.dir=.``, as ``train_command`` makes it, starts from
the configuration that hydra and fairseq composed when it was given before.

A command that is given ``FAIRSEQ_DRO_COMPAT`` must import hydra and fairseq under that value. A
second process, which has imported torch and the like but neither of them nor this package, runs
those.

    def test_something(command_server, tmp_path):
        command = train_command(tiny_data, tiny_checkpoint)
        died = command_server.run(command, tmp_path, die=at("update_ends", 5))
        assert died.returncode == -signal.SIGKILL
        command_server.run(command, tmp_path)          # resumes; a failure shows its output

A ``Moment`` says where a run dies: before or after the n-th call of any attribute of any module.
``MOMENTS`` names some; another is one line, here or in a test file:

    die=Moment("os", "replace", "before", count=2, argument="checkpoint_last.pt")

``action`` is a signal's name, sent to all processes of the run at once (SIGKILL) or to that worker
alone (SIGTERM ...), or the name of an errno (ENOSPC), raised as OSError by that one call.
"""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import functools
import gc
import hashlib
import importlib
import inspect
import json
import os
import pickle
import pty
import random
import runpy
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.stock_commands import REPOSITORY, environment


@dataclasses.dataclass(frozen=True)
class Moment:
    """The n-th call of ``module``.``attribute`` on one worker.

    Attributes:
        attribute: may be dotted: ``Trainer.train_step``.
        when: ``before`` or ``after`` that call.
        count: n, from 1, in this process.
        argument: count only calls with this text in the ``str`` of one of their arguments.
        action: SIGKILL and other signals, or the name of an errno to raise as OSError.
        worker: rank of the process whose calls count.
    """

    module: str
    attribute: str
    when: str
    count: int = 1
    argument: str = ""
    action: str = "SIGKILL"
    worker: int = 0


MOMENTS = {
    # after forward and backward of the n-th micro-batch of this process
    "micro_batch_ends": Moment("fairseq.tasks.fairseq_task", "FairseqTask.train_step", "after"),
    # after the optimizer step, the move of q and the logging of the n-th update of this process
    "update_ends": Moment("fairseq.trainer", "Trainer.train_step", "after"),
    # between the optimizer step and the move of q
    "q_is_about_to_move": Moment("fairseq_dro.dro.state", "GroupDroState.observe", "before"),
    # when the n-th epoch of this process begins; the one before has been saved if it is saved
    "epoch_begins": Moment("fairseq.trainer", "Trainer.begin_epoch", "before"),
    # after the n-th round of saving: the file, its copies, the deletion of old ones
    "saving_ends": Moment("fairseq.checkpoint_utils", "save_checkpoint", "after"),
    # while the n-th record of a checkpoint of this process is written
    "record_is_written": Moment("torch._C", "PyTorchFileWriter.write_record", "before"),
}


def at(name: str, count: int = 1, **changes: Any) -> Moment:
    """The n-th ``MOMENTS[name]``."""
    return dataclasses.replace(MOMENTS[name], count=count, **changes)


SWITCH = "FAIRSEQ_DRO_COMPAT"
PLUGIN, BARE = "plugin", "bare"
"""What a process of the server has imported: fairseq with this package, or neither of them."""


class CommandServer:
    """Runs console commands in forked children of one process; close it at the end."""

    def __init__(self) -> None:
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._process_of(PLUGIN)  # it imports while the tests do something else

    def _process_of(self, kind: str) -> subprocess.Popen[str]:
        if kind not in self._processes:
            self._processes[kind] = subprocess.Popen(
                [sys.executable, "-m", "tests.killed_commands", kind], cwd=REPOSITORY, text=True,
                env=environment(**({SWITCH: "0"} if kind == BARE else {})),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )  # fmt: skip
        return self._processes[kind]

    def run(
        self,
        command: Sequence[str],
        cwd: Path,
        *,
        workers: int = 1,
        die: Moment | None = None,
        prepare: Sequence[str] = (),
        kill_after_s: float | None = None,
        check: bool = True,
        timeout_s: float = 120,
        columns: int | None = None,
        **variables: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run to its end or its death, as ``stock_commands.run`` does.

        Args:
            command: a console script and its arguments, or ``[sys.executable, "-c", code]`` and the
                like; it runs in ``cwd``, which is made.
            workers: so many processes, joined by gloo, as torchrun would start them.
            prepare: ``module:function`` names, called in each process before the command.
            kill_after_s: SIGKILL to all processes of the run after so many seconds.
            check: a status other than 0, without ``die`` and ``kill_after_s``, is an error that
                shows the output.
            columns: run on a terminal of so many; hydra composes again then.
            variables: for the environment; ``FAIRSEQ_DRO_COMPAT`` holds for all imports.

        Returns:
            ``returncode`` (minus the signal's number when killed) and ``stdout`` with stderr in it.
        """
        cwd.mkdir(parents=True, exist_ok=True)
        output = cwd / ".output_of_command"
        request = {
            "command": [str(part) for part in command], "cwd": str(cwd), "output": str(output),
            "workers": workers, "die": dataclasses.asdict(die) if die else None,
            "prepare": list(prepare), "kill_after_s": kill_after_s, "timeout_s": timeout_s,
            "variables": variables, "columns": columns,
        }
        process = self._process_of(BARE if SWITCH in variables else PLUGIN)
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        returncode = int(process.stdout.readline())
        text = output.read_bytes().decode(errors="replace")  # as it is, "\r" too
        output.unlink()
        lethal = die is not None or kill_after_s is not None
        if check and returncode != 0 and not lethal:
            raise AssertionError(f"{' '.join(command)}\nended with {returncode}:\n{text}")
        return subprocess.CompletedProcess(command, returncode, text)

    def close(self) -> None:
        """End the processes.

        By a word: a loader process that the tests forked may hold the other end of the input open.
        """
        for process in self._processes.values():
            process.stdin.write(f"{_END}\n")
            process.stdin.close()
            process.wait(timeout=30)
            process.stdout.close()


# --- inside the server ---


_END = "end"

_CONFIGURATIONS = "TESTS_COMPOSED_CONFIGURATIONS"
"""Variable with the folder of configurations that commands of this server have composed."""


_IMPORTED = {
    # with the first fairseq, torch and the plugin; optimizers import torch._dynamo when they step
    PLUGIN: ("fairseq_cli.hydra_train", "fairseq_dro.tasks", "torch._dynamo"),
    BARE: ("torch", "torch._dynamo", "torch.utils.tensorboard", "sacrebleu", "soundfile"),
}


def _serve(kind: str) -> None:
    # a shell starts what it runs in the background with Ctrl-C ignored, and so would all commands
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for module in _IMPORTED[kind]:
        importlib.import_module(module)
    gc.freeze()  # the children's collections need not look at what was imported
    with tempfile.TemporaryDirectory() as folder:
        os.environ[_CONFIGURATIONS] = folder
        for line in sys.stdin:
            if line.strip() == _END:
                break
            sys.__stdout__.write(f"{_run_to_the_end(json.loads(line))}\n")
            sys.__stdout__.flush()


def _run_to_the_end(request: dict[str, Any]) -> int:
    """Fork the leader of a process group, wait for it, leave none of the group behind."""
    leader = os.fork()
    if leader == 0:
        _in_child(lambda: _lead(request))
    begun = time.monotonic()
    limits = [request["timeout_s"], request["kill_after_s"]]
    limit = min(seconds for seconds in limits if seconds is not None)
    while True:
        pid, status = os.waitpid(leader, os.WNOHANG)
        if pid:
            break
        if time.monotonic() - begun > limit:
            _signal_group(leader)
        time.sleep(0.005)
    _signal_group(leader)  # workers and loader processes of one that ended by itself
    return os.waitstatus_to_exitcode(status)


def _signal_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _in_child(work: Callable[[], int]) -> None:
    """Run ``work`` in this forked process and end it with the status that it returns."""
    status = 1
    try:
        status = work()
    except BaseException:  # whatever it is, this process must not continue as a second server
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _lead(request: dict[str, Any]) -> int:
    os.setsid()
    stream = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
    for descriptor in (1, 2):
        os.dup2(stream, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(request["cwd"])
    os.environ.update(request["variables"])
    if request["columns"] is not None:
        return _on_a_terminal(request, stream)
    composed = _composed(request["command"])
    workers = request["workers"]
    if workers == 1:
        return _command(request, composed, worker=0)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), WORLD_SIZE=str(workers))
    children = []
    for worker in range(workers):
        child = os.fork()
        if child == 0:
            os.environ.update(RANK=str(worker), LOCAL_RANK=str(worker))
            _in_child(lambda worker=worker: _command(request, composed, worker))
        children.append(child)
    while children:  # as torchrun: the first that fails ends the run
        pid, status = os.wait()
        children.remove(pid)
        code = os.waitstatus_to_exitcode(status)
        if code != 0:
            return code if code > 0 else 128 - code
    return 0


def _on_a_terminal(request: dict[str, Any], stream: int) -> int:
    """Be the terminal: what the command writes on it goes to the stream."""
    child, terminal = pty.fork()
    if child == 0:
        size = struct.pack("HHHH", 40, request["columns"], 0, 0)
        fcntl.ioctl(1, termios.TIOCSWINSZ, size)
        sys.stdout, sys.stderr = open(1, "w", 1, closefd=False), open(2, "w", 1, closefd=False)
        _in_child(lambda: _command(request, Path(os.devnull, "none"), worker=0))
    while True:
        try:
            written = os.read(terminal, 65536)
        except OSError:  # the command has ended
            written = b""
        if not written:
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            return code if code >= 0 else 128 - code
        os.write(stream, written)


def _command(request: dict[str, Any], composed: Path, worker: int) -> int:
    """Be the command; what the fork copied and a new process would draw itself is drawn again."""
    import numpy as np
    import torch

    random.seed()
    np.random.seed()
    torch.seed()
    for name in request["prepare"]:
        module, function = name.split(":")
        getattr(importlib.import_module(module), function)()
    if request["die"] is not None:
        moment = Moment(**request["die"])
        if moment.worker == worker:
            _arm(moment)
    if composed.exists():
        _skip_hydra(composed.read_bytes())
    return _run_script(request["command"])


def _composed(command: list[str]) -> Path:
    """Where the configuration of a ``fairseq-hydra-train`` command is, if it was composed before.

    Else a forked child composes it, up to the point where the command would start to train.
    """
    digest = hashlib.sha256(json.dumps(command).encode()).hexdigest()
    path = Path(os.environ[_CONFIGURATIONS]) / digest
    is_bare = "fairseq" not in sys.modules  # it composes with what it will have imported
    is_of_hydra = Path(command[0]).name == "fairseq-hydra-train" and "hydra.run.dir=." in command
    if path.exists() or is_bare or not is_of_hydra:
        return path

    def compose() -> int:
        from fairseq_cli import hydra_train

        def store(cfg: Any, main: Any, **options: Any) -> None:
            path.with_suffix(".new").write_bytes(pickle.dumps(cfg))
            path.with_suffix(".new").rename(path)
            os._exit(0)

        hydra_train.distributed_utils.call_main = store
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        return _run_script(command)

    child = os.fork()
    if child == 0:
        _in_child(compose)
    os.waitpid(child, 0)
    return path


def _skip_hydra(configuration: bytes) -> None:
    """Have ``fairseq-hydra-train`` start from a composed configuration."""
    import hydra._internal.utils as hydra_utils
    from fairseq_cli import hydra_train

    cfg = pickle.loads(configuration)
    hydra_train.hydra_main = lambda: hydra_utils.run_and_report(
        lambda: hydra_train.distributed_utils.call_main(cfg, hydra_train.pre_main)
    )


def _run_script(command: list[str]) -> int:
    if "fairseq" not in sys.modules:  # as site-packages/fairseq_dro_startup.pth does
        importlib.import_module("fairseq_dro_startup").install()
    is_python = command[0] == sys.executable
    how, *words = command[1:] if is_python else command
    is_file = not is_python or how not in ("-c", "-m")
    sys.argv = [how, *(words if is_file else words[1:])]
    sys.path[0] = str(Path(how).parent) if is_file else ""
    try:
        if is_file:
            runpy.run_path(how, run_name="__main__")
        elif how == "-m":
            runpy.run_module(words[0], run_name="__main__", alter_sys=True)
        else:
            exec(compile(words[0], "<string>", "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(end.code + "\n")
            return 1
        return end.code or 0
    return 0


def _arm(moment: Moment) -> None:
    """Replace the attribute by one that counts its calls and acts at the n-th."""
    owner: Any = importlib.import_module(moment.module)
    *path, name = moment.attribute.split(".")
    for part in path:
        owner = getattr(owner, part)
    is_static = isinstance(inspect.getattr_static(owner, name), staticmethod)
    original = getattr(owner, name)
    calls = 0

    @functools.wraps(original)
    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        texts = (str(value) for value in (*args, *kwargs.values()))
        calls += not moment.argument or any(moment.argument in text for text in texts)
        is_it, calls_now = calls == moment.count, calls
        if is_it and moment.when == "before":
            calls += 1  # what it raises is raised once
            _act(moment.action)
        result = original(*args, **kwargs)
        if is_it and calls_now == calls and moment.when == "after":
            calls += 1
            _act(moment.action)
        return result

    setattr(owner, name, staticmethod(counted) if is_static else counted)


def _act(action: str) -> None:
    if action == "SIGKILL":
        os.killpg(0, signal.SIGKILL)
        time.sleep(60)  # the kernel needs a moment; nothing more is done until then
    elif action.startswith("SIG"):
        os.kill(os.getpid(), getattr(signal, action))
    else:
        number = getattr(errno, action)
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    _serve(sys.argv[1])
