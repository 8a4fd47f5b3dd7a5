"""Laws of record files: what is written is read, and damage is named by file and line."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from fairseq_dro.errors import UserError
from fairseq_dro.runs.record_file import find_records, iterate_records, read_records
from fairseq_dro.scoring.records import OPTIONAL, REQUIRED, Record, format_line, parse_line
from fairseq_dro.scoring.utterances import score_utterance


def _record(id: str = "a", **more: Any) -> Record:
    options = {"language": "deu", "seconds": 1.5, **more}
    return score_utterance("[deu] grüße dich", "[nld] grüsse dich", id=id, **options)


def _file(path: Path, *lines: str, end: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(("\n".join(lines) + end).encode())
    return path


def _error(path: Path | list[Path]) -> str:
    with pytest.raises(UserError) as caught:
        read_records(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "record",
    [
        _record(),
        _record(score=-12.5, speaker="s1", corpus="mls"),
        _record(columns={"accent": "schottisch", "score": "no field"}),
        _record(language=None, seconds=None),
        score_utterance("", "", id="\u2028 \" \\ 你", language="cmn", seconds=0.0),
    ],
)
def test_a_written_record_is_read_back_as_it_was(record: Record, tmp_path: Path) -> None:
    line = format_line(record)
    assert parse_line(line, "x:1") == record
    assert read_records(_file(tmp_path / "r.jsonl", line)) == [record]
    assert set(json.loads(line)) - {"speaker", "corpus", "columns"} == set(REQUIRED + OPTIONAL[:2])


def test_a_file_of_an_older_version_without_the_optional_fields_is_read() -> None:
    fields = _record().as_record()
    older = {name: fields[name] for name in REQUIRED} | {"unknown": [1]}
    record = parse_line(json.dumps(older), "x:1")
    assert (record.score, record.speaker, record.corpus, record.target_language) == (None,) * 4


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_field_is_named_with_file_line_and_utterance(name: str, tmp_path: Path) -> None:
    fields = _record("b").as_record()
    del fields[name]
    path = _file(tmp_path / "r.jsonl", format_line(_record()), json.dumps(fields))
    sentence = _error(path)
    assert sentence.startswith(f"{path}:2") and f" lacks {name}:" in sentence
    assert ("utterance b" in sentence) == (name != "id")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("id", 7, "a text"),
        ("hypothesis", None, "a text"),
        ("language", 3, "a text or null"),
        ("corpus", ["mls"], "a text or null"),
        ("columns", {"accent": 1}, "an object of texts"),
        ("columns", ["accent"], "an object of texts"),
        ("seconds", "3", "a finite number or null"),
        ("seconds", float("nan"), "a finite number or null"),
        ("score", True, "a number or null"),
        ("deletions", 1.0, "a whole number"),
        ("deletions", -1, "a whole number"),
        ("word_insertions", True, "a whole number"),
    ],
)
def test_a_field_of_another_type_is_named(
    name: str, value: object, expected: str, tmp_path: Path
) -> None:
    path = _file(tmp_path / "r.jsonl", json.dumps({**_record().as_record(), name: value}))
    sentence = _error(path)
    assert f"{path}:1" in sentence and f"{name} is " in sentence and expected in sentence


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -float("inf")])
def test_a_score_that_is_no_finite_number_is_not_known(score: float, tmp_path: Path) -> None:
    path = _file(tmp_path / "r.jsonl", json.dumps({**_record().as_record(), "score": score}))
    assert [record.score for record in read_records(path)] == [None]


def test_a_cut_last_line_is_left_out_and_named_and_the_rest_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = [_record("a"), _record("b")]
    encoded = format_line(_record("grün")).encode()
    for length in (1, 12, encoded.index("ü".encode()) + 1, len(encoded) - 1):
        path = tmp_path / "r.jsonl"
        path.write_bytes("".join(f"{format_line(r)}\n" for r in whole).encode() + encoded[:length])
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert read_records(path) == whole
        assert f"{path}:3: the last line is cut" in caplog.text


def test_a_whole_last_line_without_a_line_break_is_read(tmp_path: Path) -> None:
    path = _file(tmp_path / "r.jsonl", format_line(_record("a")), format_line(_record("b")), end="")
    assert [record.id for record in read_records(path)] == ["a", "b"]


def test_a_cut_line_in_the_middle_is_an_error_with_its_place(tmp_path: Path) -> None:
    lines = [format_line(_record(id)) for id in "abc"]
    path = _file(tmp_path / "r.jsonl", lines[0], lines[1][:40], lines[2])
    assert f"{path}:2 is not JSON" in _error(path)


def test_two_records_of_one_utterance_are_named_by_both_places(tmp_path: Path) -> None:
    one = _file(tmp_path / "one.jsonl", format_line(_record("a")), format_line(_record("b")))
    two = _file(tmp_path / "two.jsonl", format_line(_record("b")))
    sentence = _error([one, two])
    assert f"{two}:1: the utterance b was at {one}:2" in sentence
    same = _file(tmp_path / "same.jsonl", *[format_line(_record("a"))] * 2)
    assert f"{same}:2: the utterance a was at {same}:1" in _error(same)


def test_records_are_found_in_results_and_run_folders(tmp_path: Path) -> None:
    path = _file(tmp_path / "run" / "decode_test" / "utterances.jsonl", format_line(_record()))
    for place in (path, path.parent, path.parent.parent):
        assert find_records(place) == path
        assert [record.id for record in iterate_records(place)] == ["a"]
    assert f"neither {tmp_path / 'utterances.jsonl'} nor" in _error(tmp_path)
    assert f"{tmp_path / 'no'} does not exist" in _error(tmp_path / "no")


@pytest.mark.parametrize("content", [b"", b"\n \n", b'{"id": "a", "hypo'])
def test_a_file_without_a_whole_record_says_so(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(content)
    assert f"{tmp_path / 'r.jsonl'} holds no record" in _error(tmp_path / "r.jsonl")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"hello\nworld\n", ":1 is not JSON"),
        (b"[1]\n[2]\n", ":1: expected a JSON object"),
        (b"\xff\xfe\n{}\n", ":1 is not UTF-8"),
        (b"hello", ":1 is not JSON"),
    ],
)
def test_another_kind_of_file_is_refused(content: bytes, expected: str, tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_bytes(content)
    assert f"{tmp_path / 'r.txt'}{expected}" in _error(tmp_path / "r.txt")
