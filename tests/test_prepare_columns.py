"""Columns that ``prepare --keep`` takes over from a corpus: what groups can be made of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fairseq_dro.cli import main
from fairseq_dro.data.groups import groups_of
from fairseq_dro.data.manifest import read_manifest
from fairseq_dro.group_by import GroupBy
from tests.corpus_trees import common_voice_tree, rejected, write_audio

ROWS = [
    {"path": "a.wav", "split": "train", "accent": "Scottish  English ", "gender": "f"},
    {"path": "b.wav", "split": "train", "accent": "US/Canada", "gender": ""},
    {"path": "c.wav", "split": "train", "accent": "", "gender": "m"},
    {"path": "d.wav", "split": "dev", "accent": "", "gender": ""},
]
KEPT = {
    "train.accent": ["Scottish English", "US/Canada", ""], "train.gender": ["f", "", "m"],
    "valid.accent": [""], "valid.gender": [""],
}  # fmt: skip


def corpus(folder: Path, kind: str = "tsv", rows=ROWS) -> Path:
    """A table of one of the three kinds; a JSON line leaves out what is empty."""
    rows = [{**row, "language": "eng", "text": "yes"} for row in rows]
    for row in rows:
        write_audio(folder / row["path"], 0.3)
    table = folder / f"table.{kind}"
    if kind == "jsonl":
        lines = [json.dumps({k: v for k, v in row.items() if v}) for row in rows]
    else:
        mark = "\t" if kind == "tsv" else ","
        lines = [mark.join(rows[0]), *(mark.join(row.values()) for row in rows)]
    table.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return table


def prepare(out: Path, table: Path, *options: str) -> int:
    return main(["prepare", "table", str(out), "--table", str(table), *options])


def columns(folder: Path) -> dict[str, list[str]]:
    paths = [path for name in ("accent", "gender") for path in folder.glob(f"*.{name}")]
    return {path.name: path.read_text(encoding="utf-8").split("\n")[:-1] for path in paths}


@pytest.mark.parametrize("kind", ["tsv", "csv", "jsonl"])
def test_what_is_kept_has_one_line_an_utterance(tmp_path, kind):
    table = corpus(tmp_path / "corpus", kind)
    assert prepare(tmp_path / "out", table, "--keep", "accent,gender") == 0
    assert columns(tmp_path / "out") == KEPT
    assert read_manifest(tmp_path / "out", "train").column("accent") == KEPT["train.accent"]


def test_what_is_kept_makes_groups(tmp_path):
    table = corpus(tmp_path / "corpus")
    assert prepare(tmp_path / "out", table, "--keep", "gender") == 0
    path = tmp_path / "out" / "train.gender"
    path.write_text(path.read_text().replace("\n\n", "\nx\n"))
    manifest = read_manifest(tmp_path / "out", "train")
    assert groups_of(manifest, GroupBy.parse("language+gender")) == ["eng/f", "eng/x", "eng/m"]


def test_a_folder_holds_the_columns_of_its_last_preparation_only(tmp_path):
    table, out = corpus(tmp_path / "corpus"), tmp_path / "out"
    assert prepare(out, table, "--keep", "accent,gender") == 0
    made = json.loads((out / "dataset.json").read_text())["fingerprint"]
    assert prepare(out, table, "--keep", "accent,gender") == 0  # the same: left as it is
    assert prepare(out, table, "--keep", "gender") == 2  # another: only if told so
    assert columns(out) == KEPT
    assert prepare(out, table, "--keep", "gender", "--overwrite") == 0
    assert set(columns(out)) == {"train.gender", "valid.gender"}
    assert json.loads((out / "dataset.json").read_text())["fingerprint"] != made
    assert prepare(out, table, "--overwrite") == 0
    assert columns(out) == {}


def test_a_column_that_somebody_else_wrote_is_left_alone(tmp_path, capsys):
    table, out = corpus(tmp_path / "corpus"), tmp_path / "out"
    out.mkdir()
    (out / "train.accent").write_text("mine\n")
    assert prepare(out, table, "--keep", "accent") == 2
    assert "train.accent" in capsys.readouterr().err
    assert (out / "train.accent").read_text() == "mine\n"


@pytest.mark.parametrize("kind", ["tsv", "csv", "jsonl"])
@pytest.mark.parametrize("keep", ["dialect", "speaker", "lang", "ltr", "accent,,gender", "a b"])
def test_a_column_that_cannot_be_kept_is_named(tmp_path, capsys, kind, keep):
    table = corpus(tmp_path / "corpus", kind)
    assert prepare(tmp_path / "out", table, "--keep", keep) == 2
    error = capsys.readouterr().err
    assert f"{keep!r}" in error or keep in error
    assert not (tmp_path / "out").exists()


def test_a_value_that_utf_8_cannot_hold_is_rejected_with_its_utterance(tmp_path):
    half = {"path": "e.wav", "split": "train", "accent": "\ud800", "gender": "f"}
    table = corpus(tmp_path / "corpus", "jsonl", [*ROWS, half])
    assert prepare(tmp_path / "out", table, "--keep", "accent") == 0
    assert columns(tmp_path / "out") == {k: v for k, v in KEPT.items() if "accent" in k}
    assert [row["utterance"] for row in rejected(tmp_path / "out")] == ["e"]


def test_common_voice_keeps_what_speakers_say_of_themselves(tmp_path, capsys):
    said = {"train": [("c1", "ja"), ("c2", "nein")], "dev": [("c3", "ja")], "test": [("c4", "ja")]}
    root = common_voice_tree(tmp_path / "cv", {"de": said})
    command = ["prepare", "common-voice", str(tmp_path / "out"), "--root", str(root)]
    assert main([*command, "--keep", "dialect"]) == 2
    assert "'dialect'" in capsys.readouterr().err
    for table in root.glob("*/*.tsv"):
        head, *rows = table.read_text(encoding="utf-8").splitlines()
        place = head.split("\t").index("gender")
        rows = [row.split("\t") for row in rows]
        for number, row in enumerate(rows):
            row[place] = "" if number else "male_masculine"
        lines = [head, *map("\t".join, rows)]
        table.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    assert main([*command, "--keep", "gender"]) == 0
    assert (tmp_path / "out" / "train.gender").read_text() == "male_masculine\n\n"
