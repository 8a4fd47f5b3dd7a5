"""One folder, one writer: on one machine, on several, after a kill, and in forked children."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from fairseq_dro.errors import UserError
from fairseq_dro.survival import folder_lock, lock_file
from fairseq_dro.survival.folder_lock import take
from fairseq_dro.survival.lock_file import LOCK_FILE, look
from tests.stock_commands import REPOSITORY

WORDS = {"named": "runs/twice", "instead": "name another folder: hydra.run.dir=..."}


@pytest.fixture
def quick(monkeypatch):
    """The same waits, much shorter."""
    for name, seconds in (
        ("BEAT_SECONDS", 0.1), ("FIRST_BEAT_SECONDS", 0.05), ("WATCHED_SECONDS", 0.5),
        ("_PATIENCE_SECONDS", 0.2),
    ):  # fmt: skip
        monkeypatch.setattr(folder_lock, name, seconds)
    monkeypatch.setattr(lock_file, "LIMIT_SECONDS", 1.0)


def holder_elsewhere(folder, **changes):
    record = {"host": "node7", "machine": "another", "pid": 4711, "token": "theirs", "beat": 3,
              "started": "2026-01-02T03:04:05+00:00"}  # fmt: skip
    (folder / LOCK_FILE).write_text(json.dumps({**record, **changes}))


def in_child(folder, then):
    """A process that holds the folder, says so, and then does as it is told."""
    code = (
        "import os, sys, time; from fairseq_dro.survival.folder_lock import take\n"
        f"lock = take({str(folder)!r}, named='x', instead='y'); print('held', flush=True)\n{then}"
    )
    child = subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"held\n"
    return child


def test_a_second_process_is_refused_in_one_sentence_and_free_to_take_it_afterwards(tmp_path):
    child = in_child(tmp_path, "time.sleep(60)")
    try:
        with pytest.raises(UserError) as refused:
            take(tmp_path, doing=lambda: "update 34", **WORDS)
        host = folder_lock.socket.gethostname()
        sentence = str(refused.value)
        assert sentence.startswith(f"runs/twice is in use by process {child.pid} on host {host} (")
        assert ", update 34). Wait for it, stop it (kill " in sentence
        assert sentence.endswith("), or name another folder: hydra.run.dir=...")
        assert look(tmp_path).is_alive and look(tmp_path).holder.pid == child.pid
    finally:
        child.kill()
        child.wait()
    assert look(tmp_path).is_alive is False
    take(tmp_path, **WORDS).release()
    assert look(tmp_path) is None and os.listdir(tmp_path) == []


def test_a_holder_killed_with_its_loaders_still_there_frees_the_folder_at_once(tmp_path):
    """The loaders that torch forks would hold an inherited flock for seconds."""
    forks = "child = os.fork()\nif child: print(child, flush=True)\ntime.sleep(60)"
    child = in_child(tmp_path, forks)
    loader = int(child.stdout.readline())
    try:
        child.send_signal(signal.SIGKILL)
        child.wait()
        os.kill(loader, 0)
        take(tmp_path, **WORDS).release()
    finally:
        os.kill(loader, signal.SIGKILL)


def test_a_forked_child_that_ends_takes_nothing_with_it(tmp_path):
    lock = take(tmp_path, **WORDS)
    child = os.fork()
    if child == 0:
        lock.release()
        os._exit(0)
    os.waitpid(child, 0)
    assert look(tmp_path).is_alive and (tmp_path / LOCK_FILE).exists()
    lock.release()


def test_another_machines_holder_is_believed_by_its_beats_and_waited_for(tmp_path, quick):
    """Its flock may not be seen here: a beat refuses, silence for the limit frees the folder."""
    holder_elsewhere(tmp_path)
    beats = threading.Timer(0.3, holder_elsewhere, [tmp_path], {"beat": 4})
    beats.start()
    with pytest.raises(UserError, match=r"kill 4711 on node7"):
        take(tmp_path, **WORDS)
    beats.join()
    said, begun = [], time.monotonic()
    take(tmp_path, say=said.append, **WORDS).release()
    assert 0.5 <= time.monotonic() - begun < 5
    assert len(said) == 1 and "process 4711 on host node7" in said[0]


def test_an_old_record_of_another_machine_is_watched_but_not_for_the_whole_limit(
    tmp_path, quick, monkeypatch
):
    monkeypatch.setattr(lock_file, "LIMIT_SECONDS", 60.0)
    holder_elsewhere(tmp_path)
    os.utime(tmp_path / LOCK_FILE, (0, time.time() - 3600))
    assert look(tmp_path).is_alive is False
    begun = time.monotonic()
    take(tmp_path, **WORDS).release()
    assert 0.5 <= time.monotonic() - begun < 5


def test_without_flock_the_beats_alone_decide(tmp_path, quick, monkeypatch):
    monkeypatch.setattr(lock_file, "flock", lambda *_: None)
    lock = take(tmp_path, **WORDS)
    with pytest.raises(UserError, match=f"process {os.getpid()} "):
        take(tmp_path, **WORDS)
    assert look(tmp_path).is_alive
    lock.release()
    take(tmp_path, **WORDS).release()
    holder_elsewhere(tmp_path, machine=lock_file.machine())
    take(tmp_path, **WORDS).release()


def test_a_holder_whose_file_was_removed_by_hand_writes_it_again(tmp_path, quick):
    lock = take(tmp_path, **WORDS)
    (tmp_path / LOCK_FILE).unlink()
    deadline = time.monotonic() + 5
    while look(tmp_path) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert look(tmp_path).holder.token == lock.holder.token
    with pytest.raises(UserError):
        take(tmp_path, **WORDS)
    lock.release()
    assert look(tmp_path) is None


def test_a_holder_that_lost_the_folder_ends_before_it_writes_again(tmp_path):
    """As after a long stop, when another machine has taken the folder over."""
    child = in_child(tmp_path, "time.sleep(60)")
    os.kill(child.pid, signal.SIGSTOP)
    holder_elsewhere(tmp_path)
    os.kill(child.pid, signal.SIGCONT)
    assert child.wait(timeout=10) == 2
    assert look(tmp_path).holder.pid == 4711


def test_of_many_that_begin_at_once_one_holds_it(tmp_path):
    code = (
        "import time; from fairseq_dro.survival.folder_lock import take\n"
        f"take({str(tmp_path)!r}, named='x', instead='y'); time.sleep(3)"
    )
    begun = [
        subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, stderr=subprocess.DEVNULL)
        for _ in range(5)
    ]
    codes = sorted(process.wait(timeout=60) for process in begun)
    assert codes == [0, 1, 1, 1, 1]
