"""Hidden layers of a frozen encoder, computed once and read by memory map.

A folder of features has three files a split:

- ``{split}.f16``: one block [L, T, C] of float16 an utterance, one after the other;
- ``{split}.tsv``: a line an utterance: its path and number of samples as in the manifest, and T;
- ``{split}.json``: of which encoder they are, and how many utterances are written.

The blocks are written in the order of the lines, and their number is raised only once they are on
the disk, so that a killed writer resumes where it was.

Shapes: N utterances, L hidden layers, T frames, C channels.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_dro.data.manifest import Manifest
from fairseq_dro.errors import UserError
from fairseq_dro.survival.durable_file import write_durably

ITEM_BYTES = 2


@dataclass(frozen=True)
class FeatureSpec:
    """What must be the same for features to stand for audio.

    Attributes:
        checksum: of the encoder's weights.
        settings: how it is run, by name of the option: ``task.normalize`` and the like.
        layers: numbers of the L hidden layers.
        width: C.
    """

    checksum: str
    settings: Mapping[str, Any]
    layers: tuple[int, ...]
    width: int

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> FeatureSpec:
        layers = tuple(record["layers"])
        return cls(record["checksum"], record["settings"], layers, record["width"])

    def as_record(self) -> dict[str, Any]:
        """In plain values."""
        return asdict(self)

    def changes_since(self, written: FeatureSpec) -> list[str]:
        """A clause for each difference between features and this; none if there is none."""
        changes = []
        if written.checksum != self.checksum:
            changes.append(
                f"they are of another encoder (its weights have the checksum {written.checksum}, "
                f"those of this one {self.checksum})"
            )
        for name in self.settings:
            then, now = written.settings.get(name), self.settings[name]
            if then != now:
                changes.append(f"{name} was {then} and is {now}")
        if written.layers != self.layers:
            changes.append(
                f"they hold the layers {_numbers(written.layers)}, and model.layers asks for "
                f"{_numbers(self.layers)}"
            )
        return changes


class FeatureFile:
    """The features of a split, to read.

    Attributes:
        n_frames: [N] int64, T of each utterance.
    """

    def __init__(self, folder: Path, split: str, spec: FeatureSpec, n_frames: np.ndarray) -> None:
        self.path = folder / f"{split}.f16"
        self.spec = spec
        self.n_frames = n_frames
        self.starts = starts_of(n_frames, spec)
        self._values: np.ndarray | None = None

    def __getitem__(self, row: int) -> np.ndarray:
        """[L, T, C] float16 of a line of the folder's ``.tsv``, not yet read from the disk."""
        if self._values is None:
            self._values = np.memmap(self.path, dtype=np.float16, mode="r")
        block = self._values[self.starts[row] : self.starts[row + 1]]
        return block.reshape(len(self.spec.layers), -1, self.spec.width)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_values": None}  # else a pickle would hold the whole file


def open_features(
    folder: str | Path, manifest: Manifest, spec: FeatureSpec
) -> tuple[FeatureFile, np.ndarray]:
    """The features of a split, and [N] which of their lines each line of the manifest has.

    The manifest may hold a part of the utterances that the features were made of, in any order:
    a path and a number of samples mean the same utterance in both. Paths are relative to the
    manifest's root, which is not compared, so that a corpus may be moved: of two corpora with the
    same relative paths and lengths, one would take the features of the other.

    Raises:
        UserError: there are none, they are not complete, or of another encoder, or an utterance
            has none; with what differs.
    """
    place, split = Path(folder), manifest.split
    again = (
        f"make them with `fairseq-dro features {manifest.folder} --model ENCODER --out NEW_FOLDER`"
        ", or leave task.features out to train from audio"
    )
    header = read_header(place, split)
    if header is None:
        raise UserError(f"task.features={folder} holds no features of the split {split}: {again}.")
    changes = spec.changes_since(FeatureSpec.from_record(header))
    if changes:
        raise UserError(
            f"task.features={folder} does not hold what this model makes of {split}: "
            f"{'; '.join(changes)}: {again}."
        )
    lines = list(read_lines(place / f"{split}.tsv"))
    if header["n_written"] != len(lines):
        raise UserError(
            f"task.features={folder} holds {header['n_written']} of {len(lines)} utterances of "
            f"{split}: run the same `fairseq-dro features` command again, which resumes there."
        )
    n_frames = np.array([frames for *_, frames in lines], dtype=np.int64)
    file = FeatureFile(place, split, FeatureSpec.from_record(header), n_frames)
    needed = int(file.starts[-1]) * ITEM_BYTES
    found = file.path.stat().st_size if file.path.exists() else 0
    if found != needed:
        raise UserError(
            f"{file.path} has {found} bytes, and its {len(lines)} utterances have {needed}: it was "
            f"cut or changed; remove the folder and {again}."
        )
    return file, _rows(lines, manifest, folder, again)


def read_header(folder: Path, split: str) -> dict[str, Any] | None:
    """What ``{split}.json`` says; None where there is no such file."""
    path = folder / f"{split}.json"
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            f"{path} cannot be read ({error}): remove the folder, and make the features again."
        ) from None


def write_header(folder: Path, split: str, spec: FeatureSpec, n_written: int) -> None:
    """Say how many utterances are on the disk."""
    record = {**spec.as_record(), "n_written": n_written}
    data = json.dumps(record, indent=1).encode()
    write_durably(str(folder / f"{split}.json"), lambda file: file.write(data))


def lines_of(manifest: Manifest, n_frames: np.ndarray) -> bytes:
    """The ``.tsv`` of a folder of features."""
    rows = zip(manifest.paths, manifest.n_samples.tolist(), n_frames.tolist())
    return "".join(f"{path}\t{samples}\t{frames}\n" for path, samples, frames in rows).encode()


def read_lines(path: Path) -> Iterator[tuple[str, int, int]]:
    """Path, number of samples and T of each utterance."""
    with open(path, encoding="utf-8", newline="\n") as file:
        for line in file:
            name, samples, frames = line.rstrip("\n").rsplit("\t", 2)
            yield name, int(samples), int(frames)


def starts_of(n_frames: np.ndarray, spec: FeatureSpec) -> np.ndarray:
    """[N + 1] where the block of each utterance begins, in values."""
    values = n_frames * len(spec.layers) * spec.width
    return np.concatenate([[0], np.cumsum(values, dtype=np.int64)])


def _rows(
    lines: list[tuple[str, int, int]], manifest: Manifest, folder: str | Path, again: str
) -> np.ndarray:
    line_of = {(path, samples): row for row, (path, samples, _) in enumerate(lines)}
    rows = np.empty(len(manifest), dtype=np.int64)
    for row, key in enumerate(zip(manifest.paths, manifest.n_samples.tolist())):
        if key not in line_of:
            raise UserError(
                f"{manifest.where(row)}: task.features={folder} has no features of "
                f"{key[0]} with {key[1]} samples: the manifest changed since; {again}."
            )
        rows[row] = line_of[key]
    return rows


def _numbers(layers: tuple[int, ...]) -> str:
    return ",".join(map(str, layers))


def free_bytes(folder: Path) -> int:
    """Room on the disk of a folder that exists."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize
