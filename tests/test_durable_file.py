"""A name means a whole file, old or new; what reached the disk comes before what points to it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from fairseq_dro.survival import durable_file
from fairseq_dro.survival.durable_file import copy_durably, write_durably

CONTENT = os.urandom(300_000)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").write_bytes(b"old")
    return tmp_path / "target"


def test_the_file_is_synced_before_its_rename_and_the_folder_after_it(target, monkeypatch):
    steps = []
    fsync, replace = os.fsync, os.replace

    def told_fsync(descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        steps.append(("fsync", path, os.path.getsize(path) if os.path.isfile(path) else None))
        fsync(descriptor)

    def told_replace(source: str, destination: str) -> None:
        steps.append(("rename", source, destination))
        replace(source, destination)

    monkeypatch.setattr(os, "fsync", told_fsync)
    monkeypatch.setattr(os, "replace", told_replace)
    write_durably(str(target), lambda file: file.write(CONTENT))
    assert steps == [
        ("fsync", f"{target}.tmp", len(CONTENT)),
        ("rename", f"{target}.tmp", str(target)),
        ("fsync", str(target.parent), None),
    ]


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_failure_at_any_step_leaves_the_old_file_alone_in_its_folder(target, monkeypatch, step):
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def write(file: Any) -> None:
        file.write(CONTENT)
        if step == "write":
            full()

    if step != "write":
        monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space left"):
        write_durably(str(target), write)
    assert {path.name: path.read_bytes() for path in target.parent.iterdir()} == {"target": b"old"}


@pytest.mark.parametrize("kernel", ["copies", "cannot copy", "stops half way", "fails half way"])
def test_a_copy_has_the_same_bytes_and_an_inode_of_its_own(target, monkeypatch, kernel):
    calls = []
    copy_file_range = os.copy_file_range

    def copy(source: int, destination: int, n_bytes: int) -> int:
        calls.append(n_bytes)
        if kernel == "cannot copy" or (kernel == "fails half way" and len(calls) > 1):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        if kernel == "stops half way" and len(calls) > 1:
            return 0
        return copy_file_range(source, destination, n_bytes)

    monkeypatch.setattr(os, "copy_file_range", copy)
    monkeypatch.setattr(durable_file, "COPY_BYTES", 100_000)
    source = target.with_name("source")
    source.write_bytes(CONTENT)
    copy_durably(str(source), str(target))
    assert target.read_bytes() == source.read_bytes() == CONTENT
    assert target.stat().st_ino != source.stat().st_ino
    assert len(calls) == {"copies": 3, "cannot copy": 1}.get(kernel, 2)


def test_a_disk_that_is_full_while_copying_is_no_reason_to_copy_otherwise(target, monkeypatch):
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "copy_file_range", full)
    target.with_name("source").write_bytes(CONTENT)
    with pytest.raises(OSError, match="No space left"):
        copy_durably(str(target.with_name("source")), str(target))
    assert target.read_bytes() == b"old"


def test_a_file_system_that_cannot_sync_folders_is_no_error(target, monkeypatch):
    fsync = os.fsync

    def only_files(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    write_durably(str(target), lambda file: file.write(b"new"))
    assert target.read_bytes() == b"new"
