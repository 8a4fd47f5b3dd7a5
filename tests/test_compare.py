"""The comparison of runs as a command: tables, cautions and files, from planted records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rapidfuzz.distance import Levenshtein

from fairseq_dro.cli import main
from fairseq_dro.data.manifest_writer import Utterance, write_data_folder
from fairseq_dro.report.compare.difference_blocks import notes, summary, verdict_sentence
from fairseq_dro.report.compare.document import cautions, side_by_side
from fairseq_dro.report.comparison import Verdict
from fairseq_dro.report.training_facts import TrainingFacts
from tests.compared_runs import (
    REFERENCE,
    compared,
    error_of,
    plant_config,
    plant_run,
    rows_of,
    utterances,
)


def test_the_table_holds_rates_in_per_cent_then_mean_and_worst(two_runs):
    comparison = compared(*two_runs, facts=TrainingFacts({}, {}, {"deu": 0.5, "kat": 0.75}))
    rows = rows_of(side_by_side(comparison))
    assert rows["language"] == [
        "CER erm", "CER ctc_dro", "WER erm", "WER ctc_dro", "q erm", "q ctc_dro",
        "CER constant guess",
    ]  # fmt: skip
    assert list(rows)[-4:] == ["kat Georgian", "deu German", "**mean**", "**worst**"]
    assert rows["kat Georgian"] == ["40.0", "30.0", "50.0", "50.0", "0.500", "0.750", "75.0"]
    assert rows["deu German"] == ["4.8", "7.1", "50.0", "50.0", "0.500", "0.250", "50.0"]
    assert rows["**mean**"] == ["22.4", "18.6", "50.0", "50.0", "", "", "62.5"]
    assert rows["**worst**"] == ["40.0", "30.0", "50.0", "50.0", "", "", "75.0"]


def test_the_sentence_says_what_got_worse_as_plainly_as_what_got_better(two_runs):
    erm, dro = two_runs
    comparison = compared(erm, dro)
    forward = summary(comparison, comparison.differences[0])
    assert "worst language's CER fell from 40.0 % (kat) to 30.0 % (kat)" in forward
    assert "mean over languages fell from 22.4 % to 18.6 %" in forward
    assert "Of 2 languages, 1 got better, 1 got worse, 0 showed no difference" in forward
    assert "Worse: deu +2.4." in forward
    comparison = compared(dro, erm)
    backward = summary(comparison, comparison.differences[0])
    assert "worst language's CER rose from 30.0 % (kat) to 40.0 % (kat)" in backward
    assert "Worse: kat +10.0." in backward


def test_equal_runs_differ_in_nothing(two_runs, tmp_path):
    texts = {"deu": utterances("deu", 10, 10), "kat": utterances("kat", 10, 84)}
    comparison = compared(two_runs[0], plant_run(tmp_path / "copy", texts))
    (one,) = comparison.differences
    said = summary(comparison, one)
    assert "stayed at 40.0 % (kat)" in said and "2 showed no difference" in said
    assert [alarm.kind for alarm in cautions(comparison)] == ["equal outputs"]
    assert verdict_sentence(comparison, one) == (
        "copy made no difference that is shown (against erm): none of 2 languages better, none "
        "worse."
    )
    assert set(one.verdicts.values()) == {Verdict.SAME}
    assert all(value.p == 1 and value.estimate == 0 for value in one.measures.values())
    assert "100 % of 20 utterances have the same hypothesis" in " ".join(notes(comparison, one))


def test_the_command_prints_the_tables_and_writes_them_with_all_pictures(
    two_runs, tmp_path, capsys
):
    out = tmp_path / "comparison"
    assert main(["compare", *map(str, two_runs), "--out", str(out), "--title", "T"]) == 0
    said = capsys.readouterr().out
    assert "kat Georgian" in said and str(out / "comparison.html") in said
    markdown = (out / "comparison.md").read_text(encoding="utf-8")
    assert "kat Georgian" in markdown and "Updates: erm 200, ctc_dro 200." in markdown
    assert "One run of each" in markdown and "## ctc_dro against erm" in markdown
    page = (out / "comparison.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 3
    for name in ("comparison", "pareto", "differences"):
        assert (out / f"{name}.png").read_bytes()[1:4] == b"PNG"
        assert "<svg" in (out / f"{name}.svg").read_text(encoding="utf-8")
        assert f"]({name}.png)" in markdown
    record = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    (difference,) = record["differences"]
    assert difference["groups"]["kat"]["difference"] == pytest.approx(-0.1)
    assert difference["n_groups"] == {"better": 1, "same": 0, "worse": 1, "no verdict": 0}
    assert difference["measures"]["worst"]["low"] < -0.1 < difference["measures"]["worst"]["high"]


def test_without_out_nothing_is_written(two_runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert main(["compare", *map(str, two_runs)]) == 0
    assert "kat Georgian" in capsys.readouterr().out
    assert sorted(tmp_path.rglob("*")) == before


LABELS = {"deu": "j a |", "kat": "კ ი | კ ი |"}
PIECES = {"deu": "\u2581j a", "kat": "\u2581კ ი \u2581კ ი"}


def plant_data(folder: Path, *, split: str = "train", labels: str = "ltr") -> Path:
    """A data folder of 2 s a language, of one split."""
    spelled = LABELS if labels == "ltr" else PIECES
    made = [
        Utterance(folder / f"{code}.wav", 32_000, code, LABELS[code], code, "train")
        for code in LABELS
    ]
    write_data_folder(folder, made, folder)
    (folder / "train.ltr").unlink()
    (folder / f"train.{labels}").write_text("".join(f"{spelled[code]}\n" for code in LABELS))
    for path in folder.glob("train.*"):
        path.rename(path.with_name(path.name.replace("train", split, 1)))
    return folder


def first_table(arguments: list[str], capsys) -> dict[str, list[str]]:
    assert main(["compare", *arguments]) == 0
    return rows_of(capsys.readouterr().out.split("## ")[2])


@pytest.mark.parametrize(
    "split, labels, criterion",
    [
        ("train", "ltr", {}),
        ("train_all", "ltr", {"post_process": "letter"}),
        ("train", "spm", {"post_process": "sentencepiece"}),
    ],
)
def test_seconds_and_constant_guess_come_from_the_split_and_labels_that_the_run_names(
    two_runs, tmp_path, capsys, split, labels, criterion
):
    data = plant_data(tmp_path / "data", split=split, labels=labels)
    plant_config(
        two_runs[0],
        {
            "task": {"data": str(data), "labels": labels},
            "dataset": {"train_subset": split}, "criterion": criterion,
        },
    )  # fmt: skip
    rows = first_table(list(map(str, two_runs)), capsys)
    guess = Levenshtein.distance("კი კი", REFERENCE) / len(REFERENCE)
    assert rows["kat Georgian"][0] == "2" and rows["kat Georgian"][-1] == f"{100 * guess:.1f}"


def test_units_that_are_no_text_leave_the_constant_guess_out_and_the_seconds_in(
    two_runs, tmp_path, capsys
):
    data = plant_data(tmp_path / "data")
    plant_config(
        two_runs[0], {"task": {"data": str(data)}, "criterion": {"post_process": "_EOW"}}
    )
    rows = first_table(list(map(str, two_runs)), capsys)
    assert rows["language"][0] == "train s" and "CER constant guess" not in rows["language"]


def test_a_language_without_training_speech_has_no_guess(two_runs, tmp_path, capsys):
    data = plant_data(tmp_path / "data")
    (data / "train.lang").write_text("deu\ndeu\n")
    rows = first_table([*map(str, two_runs), "--data", str(data)], capsys)
    assert (rows["kat Georgian"][0], rows["kat Georgian"][-1]) == ("0", "–")


def test_a_data_folder_that_is_gone_is_a_warning_and_a_typed_one_an_error(
    two_runs, tmp_path, capsys, caplog
):
    plant_config(two_runs[0], {"task": {"data": str(tmp_path / "gone")}})
    rows = first_table(list(map(str, two_runs)), capsys)
    assert "train s" not in rows["language"]
    assert f"{two_runs[0]}, {tmp_path / 'gone'}, is no longer there" in caplog.text
    typed = [*map(str, two_runs), "--data", str(tmp_path / "typo")]
    assert f"{tmp_path / 'typo'} does not exist" in error_of(typed, capsys)
    other = plant_data(tmp_path / "other")
    (other / "train.lang").write_text("fra\nfra\n")
    typed[-1] = str(other)
    assert "has none of the languages" in error_of(typed, capsys)


def test_the_split_that_was_decoded_is_named_and_the_one_of_validation_is_a_caution(
    two_runs, capsys
):
    arguments = list(map(str, two_runs))
    for split, cautioned in (("test_clean", False), ("valid", True)):
        for run in two_runs:
            plant_config(run, {"dataset": {"valid_subset": "valid,valid_other"}})
            decoded = {"split": split, "update": 150}
            (run / "decode_test" / "scores.json").write_text(json.dumps({"decoded": decoded}))
        assert main(["compare", *arguments]) == 0
        said = capsys.readouterr().out
        assert f"Split {split}; rates" in said and "Updates: erm 200 (decoded: 150)" in said
        assert ("by which its checkpoints were chosen" in said) is cautioned


@pytest.mark.parametrize(
    "first, second, says",
    [
        ({"beam": 1}, {"beam": 5}, "different decoding.beam: erm 1, "),
        ({"stop_at_loops": True}, {"stop_at_loops": False}, "different task.stop_at_loops: erm tr"),
        ({"beam": 1}, {"beam": 1}, None),
        ({"beam": 1}, {}, None),
    ],
)
def test_arms_that_were_searched_differently_are_a_caution(first, second, says, two_runs, capsys):
    for run, search in zip(two_runs, (first, second)):
        decoded = {"split": "test", "update": 200, **search}
        (run / "decode_test" / "scores.json").write_text(json.dumps({"decoded": decoded}))
    assert main(["compare", *map(str, two_runs)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert ("decode them alike" in said) is bool(says) and (says or "") in said


def test_a_run_that_changed_its_objective_is_a_caution(two_runs, capsys):
    assert main(["compare", *map(str, two_runs)]) == 0
    assert "then ctc_dro" not in capsys.readouterr().out
    history = two_runs[1] / "history.jsonl"
    first, second = map(json.loads, history.read_text(encoding="utf-8").splitlines())
    first["objective"], second["objective"] = "erm", "ctc_dro"
    history.write_text(f"{json.dumps(first)}\n{json.dumps(second)}\n", encoding="utf-8")
    assert main(["compare", *map(str, two_runs)]) == 0
    said = capsys.readouterr().out
    assert f"{two_runs[1].name} (" in said
    assert "trained with erm to update 100, then ctc_dro to update 200: this run stands" in said


def test_words_of_statistics_are_explained_where_they_first_stand(two_runs, tmp_path, capsys):
    data = plant_data(tmp_path / "data")
    assert main(["compare", *map(str, two_runs), "--data", str(data)]) == 0
    said = capsys.readouterr().out
    for word, clause in (
        ("CER constant guess", "Constant guess: the CER of always answering one fixed sentence"),
        ("Holm", "by Holm's method for the number of languages"),
        ("Gini", "0: all languages alike"),
        ("bootstrap", "blocks that are the same for both arms, bootstrapped over utterances"),
    ):
        between = said[said.index(word) : said.index(clause) + len(clause)]
        assert between.count("\n\n") <= 1, word  # in the paragraph of the word, or the next


def test_a_constant_guess_and_silence_are_named_as_such(two_runs, tmp_path, capsys):
    silent = {"deu": [(i, r, "") for i, r, _ in utterances("deu", 10, 0)]}
    silent["kat"] = [(i, r, r) for i, r, _ in utterances("kat", 10, 0)]
    plant_run(tmp_path / "silent", silent)
    assert main(["compare", str(two_runs[0]), str(tmp_path / "silent")]) == 0
    assert "50 % of the hypotheses of silent are empty" in capsys.readouterr().out


def test_runs_without_a_history_still_have_a_table(two_runs, tmp_path):
    (two_runs[0] / "history.jsonl").unlink()
    comparison = compared(*two_runs)
    rows = rows_of(side_by_side(comparison))
    assert rows["deu German"] == ["4.8", "7.1", "50.0", "50.0", "0.250"]
    assert main(["compare", *map(str, two_runs), "--out", str(tmp_path / "out")]) == 0
