"""The real speech that the repository carries for ``scripts/demo.sh --whisper``."""

from __future__ import annotations

import csv
import re

import soundfile

from tests.stock_commands import REPOSITORY

FOLDER = REPOSITORY / "examples" / "whisper_demo"
CARRIED = re.compile(r"CC0-|CC-BY-[34]")  # no share-alike, no NC, no ND
MOST_BYTES = 5_000_000


def rows() -> list[dict[str, str]]:
    with open(FOLDER / "corpus.tsv", encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE))


def test_the_table_and_the_folder_hold_the_same_recordings():
    named = [row["file"] for row in rows()]
    assert len(set(named)) == len(named) > 0
    there = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.ogg")}
    assert set(named) == there
    for row in rows():
        info = soundfile.info(str(FOLDER / row["file"]))
        assert info.samplerate == 16_000 and abs(info.duration - float(row["seconds"])) < 0.05
        assert row["text"].strip()


def test_every_language_has_all_three_splits_and_no_recording_is_in_two():
    splits = {}
    for row in rows():
        splits.setdefault(row["language"], {}).setdefault(row["split"], set()).add(row["file"])
    assert len(splits) == 4
    for by_split in splits.values():
        assert set(by_split) == {"train", "dev", "test"}


def test_the_folder_is_small_and_every_source_is_credited_under_a_licence_that_allows_it():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= MOST_BYTES
    credits = (FOLDER / "CREDITS.md").read_text(encoding="utf-8")
    lines = [line for line in credits.splitlines() if line.startswith("| ")]
    for source, licence in {(row["source"], row["licence"]) for row in rows()}:
        assert CARRIED.fullmatch(licence) or CARRIED.match(licence), licence
        (line,) = [line for line in lines if f"| {source} |" in line]
        assert licence.replace("-1.0", " 1.0").replace("CC-BY-", "CC BY ") in line
        assert "https://" in line
