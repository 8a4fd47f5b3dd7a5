"""Laws of ``fairseq-dro score``: files of this program and of others, a sentence per mistake."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairseq_dro import cli
from fairseq_dro.scoring.records import Record, format_line
from fairseq_dro.scoring.utterances import score_utterance

QUICK = ("--replicates", "200")


def _records(n: int = 60, seed: int = 0, **more: Any) -> list[Record]:
    draw = random.Random(seed)
    records = []
    for number in range(n):
        code = ("deu", "ell", "cmn")[number % 3]
        reference = " ".join("".join(draw.choices("abcdé", k=4)) for _ in range(3))
        hypothesis = "".join(c for c in reference if draw.random() > 0.1 * (1 + number % 3))
        records.append(
            score_utterance(
                f"[{code}] {reference}", f"[{draw.choice([code, code, 'nld'])}] {hypothesis}",
                id=f"{code}/{number:03d}", language=code, seconds=2.5,
                speaker=f"s{number % 10}", corpus=("mls", "fleurs")[number % 2], **more,
            )
        )  # fmt: skip
    return records


def _write(path: Path, *lines: str, end: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + end, encoding="utf-8")
    return path


def _record_file(path: Path, records: list[Record]) -> Path:
    return _write(path, *map(format_line, records))


@pytest.fixture
def score(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Run the command in this process; the content of ``--json``."""

    def run(*words: str | Path) -> dict[str, Any]:
        status = cli.main(["score", *map(str, words), *QUICK, "--json"])
        printed = capsys.readouterr()
        assert status == 0, printed.err
        return json.loads(printed.out)

    return run


@pytest.fixture
def mistake(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run the command in this process; its one sentence."""

    def run(*words: str | Path) -> str:
        status = cli.main(["score", *map(str, words), *QUICK])
        printed = capsys.readouterr()
        assert (status, printed.out) == (2, "")
        (sentence,) = [line for line in printed.err.splitlines() if line.startswith("error: ")]
        return sentence

    return run


# --- what it prints ---


def test_the_real_command_scores_a_run_folder_and_writes_what_it_prints(tmp_path: Path) -> None:
    run = tmp_path / "run"
    _record_file(run / "decode_test" / "utterances.jsonl", _records())
    command = [Path(sys.executable).parent / "fairseq-dro", "score", "run", "--out", "scores",
               "--replicates", "200"]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    scores = tmp_path / "scores"
    assert done.stdout == (scores / "scores.md").read_text(encoding="utf-8")
    for part in (
        "Scores of run", "deu German", "**mean of 3**", "**worst, cmn**", "**all together**",
        "LID %", "empty %", "## How unequally", "if all were alike", "## Corpora", "## Speakers",
        "## Languages taken for others", "nld Dutch", "over speakers", "chosen on one half",
    ):  # fmt: skip
        assert part in done.stdout, part
    record = json.loads((scores / "scores.json").read_text(encoding="utf-8"))
    assert record["format"] == 1
    assert sorted(path.name for path in scores.iterdir()) == ["scores.json", "scores.md"]


def test_rates_are_there_by_language_corpus_and_speaker_with_intervals(
    tmp_path: Path, score
) -> None:
    records = _records()
    found = score(_record_file(tmp_path / "r.jsonl", records))
    for key, attribute, name in (
        ("languages", "language", "deu"), ("corpora", "corpus", "mls"),
    ):  # fmt: skip
        own = [record for record in records if getattr(record, attribute) == name]
        errors = sum(record.characters.errors for record in own)
        length = sum(record.characters.reference_length for record in own)
        assert found[key][name]["cer"] == errors / length
        assert found[key][name]["n_utterances"] == len(own)
    assert set(found["language_corpora"]) == {
        f"{code}/{corpus}" for code in ("deu", "ell", "cmn") for corpus in ("mls", "fleurs")
    }
    assert sum(row["n_utterances"] for row in found["speakers"].values()) == 60
    for row in found["languages"].values():
        assert row["cer_low"] < row["cer"] < row["cer_high"]
        assert (row["block"], row["n_blocks"]) == ("speaker", 10)
    disparity = found["disparity"]
    assert disparity["worst"]["value"] == max(row["cer"] for row in found["languages"].values())
    assert disparity["n_languages"] == 3
    assert disparity["gap"]["low"] <= disparity["gap"]["high"]
    assert found["all"]["audio_seconds"] == 150.0
    assert found["lid_confusion"]["deu"]["deu"] + found["lid_confusion"]["deu"]["nld"] == 20


def test_several_files_are_scored_together(tmp_path: Path, score) -> None:
    records = _records()
    whole = score(_record_file(tmp_path / "all.jsonl", records))
    parts = [_record_file(tmp_path / f"{n}.jsonl", records[n::2]) for n in range(2)]
    together = score(*parts)
    for key in ("all", "languages", "lid_confusion"):
        assert without_ends(whole[key]) == without_ends(together[key])


def without_ends(scores: dict[str, Any]) -> dict[str, Any]:
    """Without intervals: the bootstrap draws from the same utterances in another order."""
    return {
        key: without_ends(value) if isinstance(value, dict) else value
        for key, value in scores.items()
        if key not in ("cer_low", "cer_high")
    }


# --- files of other programs ---

REFERENCES = ["das ist gut", "καλή μέρα", "auf wiedersehen", "ja"]
HYPOTHESES = ["das ist gut", "καλη μέρα", "auf sehen", ""]


PLAIN = ("--format", "plain")


def _text_pair(tmp_path: Path, format: str, order: tuple[int, ...] = (0, 1, 2, 3)) -> list[str]:
    """Options that name a pair of files; hypotheses in another order where they have ids."""
    make = {
        "plain": lambda text, number: text,
        "trn": lambda text, number: f"{text} (None-{number})",
        "kaldi": lambda text, number: f"utt_{number} {text}".strip(),
    }[format]
    options = []
    for name, texts, numbers in (("ref", REFERENCES, range(4)), ("hyp", HYPOTHESES, order)):
        path = _write(tmp_path / f"{name}.{format}", *(make(texts[n], n) for n in numbers))
        options += [f"--{name}", str(path)]
    return options


@pytest.mark.parametrize(
    ("format", "order"),
    [("plain", (0, 1, 2, 3)), ("trn", (0, 1, 2, 3)), ("trn", (3, 1, 0, 2)),
     ("kaldi", (0, 1, 2, 3)), ("kaldi", (2, 3, 0, 1))],
)  # fmt: skip
def test_pairs_of_text_files_score_alike_in_every_format_and_order(
    format: str, order: tuple[int, ...], tmp_path: Path, score
) -> None:
    found = score(*_text_pair(tmp_path, format, order), "--format", format)
    assert found["all"]["n_utterances"] == 4
    assert found["all"]["n_empty_hypotheses"] == 1
    assert found["all"]["deletions"] == 6 + 2
    assert found["all"]["substitutions"] == 1
    assert found["all"]["reference_characters"] == sum(map(len, REFERENCES))
    assert found["all"]["wer"] == 3 / 8
    assert found["all"]["audio_seconds"] is None
    assert found["languages"] == {} and found["disparity"] is None


@pytest.mark.parametrize("format", ["kaldi", "plain"])
def test_languages_and_speakers_come_from_files_by_id_or_in_the_order_of_plain_files(
    format: str, tmp_path: Path, score
) -> None:
    options = _text_pair(tmp_path, format)
    for name, values in (("lang", ("deu", "ell", "deu", "deu")), ("speaker", "abab")):
        with_ids = [f"utt_{n} {value}" for n, value in enumerate(values)][::-1]
        lines = values if format == "plain" else with_ids
        options += [f"--{name}", str(_write(tmp_path / name, *lines))]
    found = score(*options, "--format", format)
    assert {code: row["n_utterances"] for code, row in found["languages"].items()} == {
        "deu": 3, "ell": 1
    }  # fmt: skip
    assert set(found["speakers"]) == {"deu/a", "ell/b", "deu/b"}


def test_the_result_files_of_infer_can_be_scored_as_text(tmp_path: Path, score) -> None:
    records = _records()
    for name, attribute, token in (
        ("ref", "reference", "target_language"), ("hyp", "hypothesis", "predicted_language"),
    ):  # fmt: skip
        lines = (f"[{getattr(r, token)}] {getattr(r, attribute)} ({r.id})" for r in records)
        _write(tmp_path / name, *lines)
    found = score("--ref", tmp_path / "ref", "--hyp", tmp_path / "hyp")
    expected = score(_record_file(tmp_path / "r.jsonl", records))
    for code, row in found["languages"].items():  # the language is that of the reference's token
        for key in ("cer", "wer", "lid_accuracy", "n_utterances"):
            assert row[key] == expected["languages"][code][key]
    assert found["lid_confusion"] == expected["lid_confusion"]


def test_profile_unit_and_alignment_change_what_is_counted(tmp_path: Path, score) -> None:
    pair = ["--ref", str(_write(tmp_path / "ref", "Ja, e\u0301 नि")),
            "--hyp", str(_write(tmp_path / "hyp", "ja é न")), "--format", "plain"]  # fmt: skip
    assert score(*pair)["all"]["reference_characters"] == 8
    assert score(*pair, "--unit", "grapheme")["all"]["reference_characters"] == 7
    superb = score(*pair, "--profile", "ml_superb")
    assert superb["all"]["reference_characters"] == 7
    assert superb["all"]["substitutions"] == 0 and superb["ml_superb"]["all"] is None
    assert superb["convention"] == {
        "profile": "ml_superb", "unit": "codepoint", "alignment": "shortest"
    }  # fmt: skip
    pair = ["--ref", str(_write(tmp_path / "r", "abcx (a)")), "--hyp",
            str(_write(tmp_path / "h", "xabc (a)"))]  # fmt: skip
    assert score(*pair, "--alignment", "sclite")["all"]["insertions"] == 1


def test_a_hesitation_of_another_toolkit_is_no_language(tmp_path: Path, score) -> None:
    pair = [_write(tmp_path / "r", "[hes] ja", "nein"), _write(tmp_path / "h", "ja", "[hes] nein")]
    found = score("--ref", pair[0], "--hyp", pair[1], "--format", "plain")
    assert found["languages"] == {} and found["lid_confusion"] == {}
    assert (found["all"]["deletions"], found["all"]["insertions"]) == (6, 6)


def test_the_table_says_by_which_rules_it_counts(tmp_path: Path, capsys) -> None:
    path = str(_record_file(tmp_path / "r.jsonl", _records(6)))
    notes = {
        ("--profile", "ml_superb"): "the mean over utterances",
        ("--unit", "grapheme"): "A character is a grapheme cluster",
        ("--alignment", "sclite"): "counted as sclite does",
    }
    for options in notes:
        assert cli.main(["score", path, *options, *QUICK]) == 0
        printed = capsys.readouterr().out
        assert [note in printed for note in notes.values()] == [o == options for o in notes]


def test_few_shot_languages_can_be_named(tmp_path: Path, score) -> None:
    path = _record_file(tmp_path / "r.jsonl", _records())
    options = ("--profile", "ml_superb", "--few-shot")
    found = score(path, *options, _write(tmp_path / "few", "# mine", "ell", "fin"))["ml_superb"]
    assert (found["few_shot"]["n_languages"], found["normal"]["n_languages"]) == (1, 2)


# --- poor and damaged data ---


def test_a_cut_last_line_is_left_out_and_named(
    tmp_path: Path, score, caplog: pytest.LogCaptureFixture
) -> None:
    path = _record_file(tmp_path / "r.jsonl", _records())
    with open(path, "a", encoding="utf-8") as stream:
        stream.write(format_line(_records(61)[-1])[:70])
    with caplog.at_level(logging.WARNING):
        assert score(path)["all"]["n_utterances"] == 60
    assert f"{path}:61: the last line is cut" in caplog.text


def test_a_language_without_references_and_one_of_a_single_utterance_are_shown(
    tmp_path: Path, score, capsys
) -> None:
    poor = [
        score_utterance("", "abc", id="x", language="fin", seconds=1.0),
        score_utterance("abc", "abd", id="y", language="est", seconds=1.0),
    ]
    path = _record_file(tmp_path / "r.jsonl", [*_records(), *poor])
    found = score(path)
    assert found["languages"]["fin"]["cer"] is None
    assert found["languages"]["fin"]["insertions"] == 3
    one = found["languages"]["est"]
    assert (one["cer_low"], one["n_blocks"]) == (None, 1) and one["cer"] == pytest.approx(1 / 3)
    assert found["disparity"]["n_languages"] == 4
    assert cli.main(["score", str(path), *QUICK]) == 0
    assert "Too few utterances for one, or no reference: est, fin." in capsys.readouterr().out


def test_a_single_utterance_is_scored(tmp_path: Path, score) -> None:
    found = score(_record_file(tmp_path / "r.jsonl", _records(1)))
    assert found["disparity"] is None and found["all"]["n_utterances"] == 1


def test_hypotheses_in_nfd_and_wrong_counts_in_a_record_do_not_matter(
    tmp_path: Path, score
) -> None:
    fields = score_utterance("é", "é", id="x", language="fra", seconds=1.0).as_record()
    fields |= {"hypothesis": "e\u0301", "substitutions": 9}
    assert score(_write(tmp_path / "r.jsonl", json.dumps(fields)))["all"]["cer"] == 0.0


def test_duplicate_ids_are_named_by_both_places(tmp_path: Path, mistake) -> None:
    records = _records(45)
    path = _record_file(tmp_path / "r.jsonl", [*records, records[7]])
    assert f"{path}:46: the utterance {records[7].id} was at {path}:8" in mistake(path)
    pair = [_write(tmp_path / name, "u1 a", "u2 b", "u3 c", "u1 d") for name in ("ref", "hyp")]
    sentence = mistake("--ref", pair[0], "--hyp", pair[1], "--format", "kaldi")
    assert f"{pair[0]}:4: the utterance u1 was at {pair[0]}:1" in sentence


def test_a_missing_field_is_named(tmp_path: Path, mistake) -> None:
    fields = _records(1)[0].as_record()
    del fields["hypothesis"]
    path = _write(tmp_path / "r.jsonl", json.dumps(fields))
    assert f"{path}:1 (utterance deu/000) lacks hypothesis" in mistake(path)


def test_different_utterance_sets_are_named(tmp_path: Path, mistake) -> None:
    ref = _write(tmp_path / "ref", "u1 a", "u2 b", "u3 c")
    hyp = _write(tmp_path / "hyp", "u1 a", "u3 c")
    sentence = mistake("--ref", ref, "--hyp", hyp, "--format", "kaldi")
    assert f"{ref}:2: the utterance u2 has no hypothesis in {hyp}:" in sentence
    sentence = mistake("--ref", hyp, "--hyp", ref, "--format", "kaldi")
    assert f"{ref}:2: the utterance u2 has no reference in {hyp}" in sentence
    sentence = mistake("--ref", ref, "--hyp", hyp, "--format", "plain")
    assert f"{hyp} has 2 lines and {ref} has more" in sentence


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "give either record files"),
        (["r.jsonl", "--ref", "ref"], "give either record files"),
        (["--ref", "ref"], "--hyp is missing"),
        (["no.jsonl"], "no.jsonl does not exist"),
        (["."], "holds no records"),
        (["ref"], "ref:1 is not JSON"),
        (["r.jsonl", "--lang", "lang"], "records know their own"),
        (["--ref", "ref", "--hyp", "no", *PLAIN], "no cannot be read"),
        (["--ref", "ref", "--hyp", "ref", "--lang", "lang", *PLAIN],
         "line-000002 has no language in lang"),
        (["--ref", "one", "--hyp", "one", "--lang", "ref", *PLAIN], "ref has more lines than one"),
        (["--ref", "one", "--hyp", "one", "--lang", "two", *PLAIN], "two:1: expected one name"),
        (["--ref", "trn", "--hyp", "trn", "--format", "trn", "--lang", "kaldi"],
         "the utterance u9 has no language in"),
        (["--ref", "ref", "--hyp", "ref"], "ref:1: expected `text (id)`"),
        (["--ref", "empty", "--hyp", "empty", *PLAIN], "empty holds no text"),
        (["--ref", "latin", "--hyp", "latin", *PLAIN], "latin:2 is not UTF-8"),
        (["r.jsonl", "--few-shot", "no"], "no cannot be read (No such file"),
        (["r.jsonl", "--out", "ref"], "ref cannot be written"),
        (["r.jsonl", "--replicates", "5"], "--replicates 5 is too few"),
    ],
)  # fmt: skip
def test_each_mistake_is_one_sentence(
    words: list[str], expected: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    _record_file(Path("r.jsonl"), _records(6))
    for name, lines in (
        ("ref", ["hallo", "welt"]), ("one", ["x"]), ("two", ["deu ell"]), ("lang", ["deu"]),
        ("trn", ["hallo (u9)"]), ("kaldi", ["u1 deu"]), ("empty", []),
    ):  # fmt: skip
        _write(Path(name), *lines, end="\n" if lines else "")
    Path("latin").write_bytes(b"ja\n\xfc\n")
    options = ["--replicates", "200"] if "--replicates" not in words else []
    assert cli.main(["score", *words, *options]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ") and expected in error


def test_a_reader_that_stops_early_is_no_error(tmp_path: Path) -> None:
    _record_file(tmp_path / "r.jsonl", _records())
    command = f"{sys.executable} -m fairseq_dro.cli score r.jsonl --replicates 200 | head -1"
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, capture_output=True, text=True, env=os.environ
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "# Scores of r.jsonl\n"


def test_a_column_without_ids_is_refused_beside_files_with_ids(tmp_path, mistake):
    """Else the languages of three utterances could be given to the wrong ones."""
    pair = [_write(tmp_path / name, "u1 a b", "u2 b") for name in ("ref", "hyp")]
    lang = _write(tmp_path / "lang", "deu", "fra")
    options = ("--ref", pair[0], "--hyp", pair[1], "--format", "kaldi", "--lang", lang)
    assert "lang:1: expected `id name`, found 'deu'" in mistake(*options)


ACCENTS = ("gb", "us", "scotland")


def _accents() -> list[Record]:
    """English of three accents and two genders; the worse the later in ``ACCENTS``."""
    records = _records(90)
    return [
        score_utterance(
            one.reference, one.hypothesis, id=one.id, language="eng", seconds=1.0,
            columns={"accent": ACCENTS[place % 3], "gender": "fm"[place % 2]},
        )
        for place, one in enumerate(records)
    ]  # fmt: skip


def test_groups_may_be_of_any_column_of_the_records(score, tmp_path):
    """One language with many groups: mean, worst and disparity are over these."""
    path = _record_file(tmp_path / "r.jsonl", _accents())
    by_accent = score(path, "--group-by", "accent")
    assert by_accent["group_by"] == "accent" and list(by_accent["languages"]) == sorted(ACCENTS)
    assert by_accent["worst"]["language"] == "scotland"
    assert by_accent["disparity"]["n_languages"] == 3
    assert by_accent["languages"]["scotland"]["cer_low"] is not None
    assert list(by_accent["columns"]) == ["accent", "gender", "language"]
    both = score(path, "--group-by", "gender+accent")
    assert list(both["languages"]) == [f"{x}/{accent}" for x in "fm" for accent in sorted(ACCENTS)]
    assert score(path)["disparity"] is None  # one language
    for found in (by_accent, both):
        for number in ("cer", "wer", "n_utterances", "reference_characters"):
            assert found["all"][number] == score(path)["all"][number]
    for accent in ACCENTS:
        sums = by_accent["columns"]["accent"][accent].items()
        assert sums <= by_accent["languages"][accent].items()


def test_records_without_the_column_count_in_all_together_and_this_is_said(tmp_path, capsys):
    records = [*_accents(), dataclasses.replace(_records(1)[0], id="another")]
    path = _record_file(tmp_path / "r.jsonl", records)
    assert cli.main(["score", str(path), *QUICK, "--group-by", "accent"]) == 0
    table = capsys.readouterr().out
    assert re.search(r"^\| \*\*all together\*\* +\| +91 ", table, re.MULTILINE)
    assert "1 utterance without accent: counted in all together only" in table


def test_records_are_grouped_as_they_were_decoded(score, tmp_path):
    path = _record_file(tmp_path / "decode_test" / "utterances.jsonl", _accents())
    record = {"group_by": "accent", "decoded": {"split": "test", "update": 3}}
    (path.parent / "scores.json").write_text(json.dumps(record))
    assert score(tmp_path)["group_by"] == "accent"
    assert score(path, "--group-by", "language")["group_by"] == "language"


def test_tables_call_groups_by_their_column(tmp_path, capsys):
    path = _record_file(tmp_path / "r.jsonl", _accents())
    assert cli.main(["score", str(path), *QUICK, "--group-by", "accent"]) == 0
    table = capsys.readouterr().out
    assert re.search(r"^\| accent +\|", table, re.M) and "## By gender" in table
    assert "## By accent" not in table and "chosen on one half" in table
    assert "languages" not in table and "## How unequally groups are served" in table
    assert re.search(r"^\| scotland +\|", table, re.M) and "the group of the highest" in table


@pytest.mark.parametrize("group_by", ["dialect", "dialect+gender", "accent+", "a/b"])
def test_groups_that_no_record_has_are_refused(tmp_path, capsys, group_by):
    path = _record_file(tmp_path / "r.jsonl", _accents())
    assert cli.main(["score", str(path), *QUICK, "--group-by", group_by]) == 2
    assert f"--group-by {group_by}" in capsys.readouterr().err
