"""Runs that were not decoded, or into another folder: the report says so, with what to type."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from fairseq_dro.cli import main
from fairseq_dro.hydra_words import hydra_value
from fairseq_dro.report.report import read_report_data
from tests.planted_runs import many_languages, plant_decoding, plant_training
from tests.test_report_page import empty_pictures, report  # noqa: F401

THREE = many_languages(3)
CER = dict(zip(THREE, (0.1, 0.2, 0.3)))


def plant(folder: Path, *decoded: str) -> Path:
    plant_training(folder, THREE, updates=100)
    for seed, results in enumerate(decoded):
        plant_decoding(folder, CER, results=results, seed=seed)
    return folder


def typed_command(text: str) -> list[str]:
    """Words of the first line that is a command."""
    lines = (line.strip() for line in text.splitlines())
    return shlex.split(next(line for line in lines if line.startswith("fairseq-dro infer")))


def test_a_baseline_that_was_not_decoded_is_named_first_with_the_command_that_decodes_it(
    tmp_path, capsys
):
    run, other = plant(tmp_path / "dro", "decode_test"), plant(tmp_path / "e rm")
    written = {"decoded": {"split": "test_far", "update": 100}}
    (run / "decode_test" / "scores.json").write_text(json.dumps(written))
    _, markdown = report(run, "--baseline", other)
    said = capsys.readouterr().out
    assert said.startswith("not decoded: e rm has no records in ")
    assert typed_command(said) == [
        "fairseq-dro", "infer", f"{other / 'checkpoints/checkpoint_best.pt'}",
        "--split", "test_far", f"decoding.results_path={hydra_value(str(other / 'decode_test'))}",
    ]  # fmt: skip
    assert "against e rm (not decoded)" in markdown
    first = markdown.split("## Before you read on")[1].strip()
    assert first.startswith("- **not decoded**: e rm has no records in ")


def test_a_run_that_was_not_decoded_beside_a_baseline_that_was_is_named(tmp_path, capsys):
    run, other = plant(tmp_path / "dro"), plant(tmp_path / "erm", "decode_test")
    report(run, "--baseline", other)
    assert capsys.readouterr().out.startswith("not decoded: dro has no records in ")


def test_of_runs_none_of_which_was_decoded_only_the_headline_says_so(tmp_path, capsys):
    run, other = plant(tmp_path / "dro"), plant(tmp_path / "erm")
    _, markdown = report(run, "--baseline", other)
    assert "not decoded" not in capsys.readouterr().out
    words = typed_command(markdown.split("## Headline")[1])
    assert words[-1] == f"decoding.results_path={run / 'decode_test'}"
    assert "against erm ·" in markdown


def test_the_folder_that_checkpoints_proposes_is_reported_and_named(tmp_path, capsys):
    run = plant(tmp_path / "dro", "decode_test_cvar_cer", "decode_test_loss", "decode_valid")
    _, markdown = report(run)
    assert capsys.readouterr().out.startswith(
        "another folder: dro has no decode_test: its test numbers are those of decode_test_loss; "
        "there is decode_test_cvar_cer and decode_valid as well (--results NAME)."
    )
    assert "has not been decoded" not in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("| decode_test_")]
    assert [row.split()[1].replace("\\", "") for row in rows] == [
        "decode_test_loss", "decode_test_cvar_cer"
    ]  # fmt: skip


def test_a_baseline_is_read_from_the_folder_of_the_same_choice(tmp_path):
    run = plant(tmp_path / "dro", "decode_test_worst_cer")
    other = plant(tmp_path / "erm", "decode_test_loss", "decode_test_worst_cer")
    third = plant(tmp_path / "third", "decode_test", "decode_test_worst_cer")
    data = read_report_data(run, [other, third])
    assert [one.results for one in data.runs] == [
        "decode_test_worst_cer", "decode_test_worst_cer", "decode_test"
    ]  # fmt: skip


def test_records_under_a_name_that_nobody_would_guess_are_not_taken_but_named(tmp_path, capsys):
    run = plant(tmp_path / "dro", "decode_valid")
    _, markdown = report(run)
    assert "(it has records in decode_valid: --results NAME takes those)" in markdown.replace(
        "\\", ""
    )
    assert main(["report", str(run), "--results", "decode_tset"]) == 2
    assert "(there are records in decode_valid)" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["score", "compare"])
def test_the_other_commands_name_the_decoded_folders_that_there_are(tmp_path, capsys, command):
    run = plant(tmp_path / "dro", "decode_test_loss", "decode_test_worst_cer")
    other = plant(tmp_path / "erm", "decode_test_loss")
    runs = [str(run)] if command == "score" else [str(run), str(other)]
    assert main([command, *runs]) == 2
    said = capsys.readouterr().err
    assert "decode_test_loss, decode_test_worst_cer" in said and "--results" in said
    assert main([command, *runs, "--results", "decode_test_loss"]) == 0


def test_texts_with_case_and_punctuation_have_their_rates_and_their_loops_on_the_page(
    tmp_path, capsys
):
    run = plant(tmp_path / "dro", "decode_test")
    records = run / "decode_test" / "utterances.jsonl"
    lines = [json.loads(line) for line in records.open()]
    for number, line in enumerate(lines):
        line["reference_as_written"] = f"{line['reference'].capitalize()}."
        line["hypothesis_as_written"] = line["hypothesis"]
        line["stopped"] = "loop" if number < len(lines) // 10 else "end"
    records.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    _, markdown = report(run)
    assert "- **loops**: dro: hypotheses repeat themselves" in markdown
    assert "| loop % |" in markdown and "As written, mean over languages: CER " in markdown
