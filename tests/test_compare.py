"""The comparison of runs: pairing, verdicts, tables and pictures, from planted records."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from rapidfuzz.distance import Levenshtein

from fairseq_dro.cli import main
from fairseq_dro.data.manifest_writer import Utterance, write_data_folder
from fairseq_dro.errors import UserError
from fairseq_dro.group_by import BY_LANGUAGE, GroupBy
from fairseq_dro.report.arms import group_runs, read_arms
from fairseq_dro.report.blocks import Section, Table
from fairseq_dro.report.compare.difference_blocks import notes, summary, verdict_sentence
from fairseq_dro.report.compare.document import cautions, side_by_side
from fairseq_dro.report.comparison import Comparison, Verdict, compare_arms
from fairseq_dro.report.figures.differences import draw_differences, row_label
from fairseq_dro.report.figures.pareto import draw_pareto, pareto_front
from fairseq_dro.report.markdown import render_markdown
from fairseq_dro.report.report import compared as compared_with
from fairseq_dro.report.run_scores import RunScores
from fairseq_dro.report.training_facts import TrainingFacts
from fairseq_dro.runs.training_run import read_training_run
from fairseq_dro.scoring.levelling import GapVerdict, gap_change
from fairseq_dro.scoring.paired import Difference
from fairseq_dro.scoring.records import format_line
from fairseq_dro.scoring.utterances import score_utterance
from tests.compared_runs import (
    REFERENCE,
    noisy_texts,
    plant_config,
    plant_history,
    plant_run,
    utterances,
    write_records,
)


@pytest.fixture
def two_runs(tmp_path: Path) -> list[Path]:
    """210 characters a language: 20 utterances would be 420. CER deu 10/210, 15/210; kat 84, 63."""
    return [
        plant_run(
            tmp_path / "erm",
            {"deu": utterances("deu", 10, 10), "kat": utterances("kat", 10, 84)},
        ),
        plant_run(
            tmp_path / "ctc_dro",
            {"deu": utterances("deu", 10, 15), "kat": utterances("kat", 10, 63)},
            "ctc_dro", q={"deu": 0.25, "kat": 0.75},
        ),
    ]  # fmt: skip


def compared(*runs: Path, **options) -> Comparison:
    return compare_arms(group_runs(runs, "decode_test"), n_replicates=200, **options)


def rows_of(table: str | Table) -> dict[str, list[str]]:
    if isinstance(table, Table):
        table = render_markdown("", "", [Section("", "", [table])])
    lines = [line.strip("|").split("|") for line in table.splitlines()]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}


def error_of(arguments: list[str], capsys) -> str:
    assert main(["compare", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    return said


# --- tables ---


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
        ("block", "block bootstrap: blocks of test utterances are drawn anew as wholes"),
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


# --- what cannot be paired ---


def test_hypotheses_and_references_in_nfd_are_scored_in_nfc(tmp_path):
    text = "gärten über öfen"
    decomposed = unicodedata.normalize("NFD", text)
    assert decomposed != text
    ids = [f"deu_{index}" for index in range(6)]
    nfc = plant_run(tmp_path / "nfc", {"deu": [(i, text, text) for i in ids]})
    nfd = plant_run(tmp_path / "nfd", {"deu": [(i, text, text) for i in ids]})
    path = nfd / "decode_test" / "utterances.jsonl"
    record = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    lines = [
        {**record, "id": i, "reference": decomposed, "hypothesis": decomposed, "deletions": 3}
        for i in ids
    ]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    comparison = compared(nfc, nfd)
    assert comparison.cer["nfd"] == {"deu": 0.0} == comparison.cer["nfc"]
    assert comparison.test.agreeing == [1.0, 1.0]


def test_the_first_differing_reference_is_named_with_both_texts(two_runs, capsys):
    write_records(
        two_runs[1] / "decode_test",
        {
            "deu": [
                (id, "other text" if id >= "deu_003" else reference, hypothesis)
                for id, reference, hypothesis in utterances("deu", 10, 15)
            ],
            "kat": utterances("kat", 10, 63),
        },
    )
    said = error_of(list(map(str, two_runs)), capsys)
    assert "deu_003" in said and "'abcdefghij abcdefghij'" in said and "'other text'" in said
    assert "deu_004" not in said and str(two_runs[0]) in said and str(two_runs[1]) in said


@pytest.mark.parametrize("longer", [0, 1])
def test_differing_sets_of_utterances_are_refused_by_the_first_that_is_missing(
    two_runs, capsys, longer
):
    write_records(
        two_runs[longer] / "decode_test",
        {"deu": utterances("deu", 12, 10), "kat": utterances("kat", 10, 84)},
    )
    said = error_of(list(map(str, two_runs)), capsys)
    assert "deu_010" in said and f"is in {two_runs[longer]} and not in" in said


def test_an_id_that_is_there_twice_is_refused(two_runs, capsys):
    path = two_runs[1] / "decode_test" / "utterances.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines, lines[4]]), encoding="utf-8")
    said = error_of(list(map(str, two_runs)), capsys)
    assert "deu_004" in said and f"{path}:21" in said


def test_a_language_without_references_is_refused_by_name(tmp_path, capsys):
    texts = {
        "deu": utterances("deu", 5, 3),
        "kat": [(f"kat_{index}", "", "abc") for index in range(5)],
    }
    runs = [plant_run(tmp_path / name, texts) for name in ("a", "b")]
    assert "all references of kat are empty" in error_of(list(map(str, runs)), capsys)


def test_utterances_without_a_language_are_refused(two_runs, capsys):
    for run in two_runs:
        path = run / "decode_test" / "utterances.jsonl"
        scored = score_utterance("a b", "a b", id="u1", language=None, seconds=1.0)
        path.write_text(format_line(scored), encoding="utf-8")
    assert "the utterance u1 has no language" in error_of(list(map(str, two_runs)), capsys)


def test_a_language_of_one_utterance_gets_no_verdict(tmp_path):
    runs = [
        plant_run(
            tmp_path / name,
            {"deu": utterances("deu", 10, errors), "kat": utterances("kat", 1, errors)},
        )
        for name, errors in (("erm", 10), ("ctc_dro", 1))
    ]
    comparison = compared(*runs)
    (one,) = comparison.differences
    assert one.verdicts["kat"] is Verdict.NONE and one.verdicts["deu"] is Verdict.BETTER
    assert "1 had too few utterances for a verdict" in summary(comparison, one)
    record = comparison.as_record()["differences"][0]["groups"]["kat"]
    assert record["p"] is None and record["low"] is None and record["verdict"] == "no verdict"


def test_where_another_split_was_decoded_its_folder_is_named(two_runs, capsys):
    for run in two_runs:
        (run / "decode_test").rename(run / "decode_valid")
    arguments = list(map(str, two_runs))
    assert "there are records in decode_valid" in error_of(arguments, capsys)
    assert main(["compare", *arguments, "--results", "decode_valid"]) == 0
    assert "Records of decode_valid; rates" in capsys.readouterr().out


def test_a_cut_last_line_leaves_the_rest_and_is_named(two_runs, caplog):
    for run in two_runs:
        path = run / "decode_test" / "utterances.jsonl"
        path.write_text(path.read_text(encoding="utf-8")[:-40], encoding="utf-8")
    comparison = compared(*two_runs)
    assert comparison.test.n_utterances == {"deu": 10, "kat": 9}
    assert "utterances.jsonl:20: the last line is cut" in caplog.text


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda records: records.unlink(), "decode the test split of the run first"),
        (lambda records: records.write_text('{"id": "a"}\n{}\n'), ":1 (utterance a) lacks"),
        (
            lambda records: records.parent.parent.rename(records.parent.parent.with_name("gone")),
            "does not exist: expected the hydra.run.dir",
        ),
    ],
)
def test_a_run_that_cannot_be_compared_is_named(two_runs, capsys, spoil, message):
    spoil(two_runs[1] / "decode_test" / "utterances.jsonl")
    said = error_of(list(map(str, two_runs)), capsys)
    assert message in said and "ctc_dro" in said


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["RUN0"], "expected two runs or arms"),
        ([], "expected two runs or arms"),
        (["RUN0", "RUN0"], "is named twice"),
        (["a=RUN0", "b=RUN0"], "is named twice"),
        (["a=RUN0", "a=RUN1"], "have the same name, a"),
        (["a=", "b=RUN1"], "a=: expected NAME=RUN"),
        (["=RUN0", "b=RUN1"], "expected NAME=RUN"),
        (["a=RUN0,", "b=RUN1"], "expected NAME=RUN"),
        (["RUN0", "RUN1", "--apart", "kat,fra"], "--apart fra: the test split has no such"),
        (["RUN0", "RUN1", "--min-utterances", "11"], "every language stands apart"),
    ],
)
def test_arguments_that_name_no_two_arms_are_refused(two_runs, capsys, arguments, message):
    typed = [
        text.replace("RUN0", str(two_runs[0])).replace("RUN1", str(two_runs[1]))
        for text in arguments
    ]
    assert message in error_of(typed, capsys)


def test_a_folder_that_cannot_be_written_is_named(two_runs, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "out"
    said = error_of([*map(str, two_runs), "--out", str(out)], capsys)
    assert f"{out} cannot be written" in said


# --- arms of several seeds ---


def seeded(tmp_path: Path, name: str, seeds: tuple[int, ...], rate: float) -> list[Path]:
    runs = []
    for seed in seeds:
        generator = np.random.default_rng([seed, *name.encode()])
        rates = {"deu": rate * generator.uniform(0.7, 1.3), "kat": 2 * rate}
        objective = "erm" if name == "erm" else "ctc_dro"
        folder = tmp_path / f"{name}_seed{seed}"
        runs.append(plant_run(folder, noisy_texts(rates, 12, generator), objective, seed=seed))
    return runs


def test_runs_that_differ_in_their_seed_only_are_one_arm(tmp_path, capsys):
    erm, dro = seeded(tmp_path, "erm", (1, 2, 3), 0.2), seeded(tmp_path, "dro", (1, 2), 0.1)
    arms = group_runs([erm[0], dro[0], *erm[1:], dro[1]], "decode_test")
    assert [(arm.name, [run.folder for run in arm.runs]) for arm in arms] == [
        ("erm", erm), ("dro", dro),
    ]  # fmt: skip
    assert main(["compare", *map(str, [*erm, *dro])]) == 0
    said = capsys.readouterr().out
    assert "## dro against erm" in said and "3 and 2 runs: intervals cover test utterances" in said
    assert "Updates: erm 200 (3 runs), dro 200 (2 runs)." in said


def test_seeds_of_one_recipe_alone_stand_side_by_side(tmp_path):
    arms = group_runs(seeded(tmp_path, "erm", (1, 2), 0.2), "decode_test")
    assert [arm.name for arm in arms] == ["erm_seed1", "erm_seed2"]


def test_another_option_or_the_same_seed_again_is_another_arm(tmp_path):
    runs = seeded(tmp_path, "erm", (1, 2), 0.2) + seeded(tmp_path, "dro", (1,), 0.2)
    plant_config(runs[1], {"common": {"seed": 1}, "criterion": {"objective": "erm"}})
    assert [len(arm.runs) for arm in group_runs(runs, "decode_test")] == [1, 1, 1]
    plant_config(runs[1], {"common": {"seed": 2}, "criterion": {"objective": "erm", "eta": 1}})
    assert [len(arm.runs) for arm in group_runs(runs, "decode_test")] == [1, 1, 1]


def test_arms_that_are_typed_are_what_was_typed(tmp_path):
    erm, dro = seeded(tmp_path, "erm", (1, 2, 3), 0.2), seeded(tmp_path, "dro", (1,), 0.1)
    typed = [f"plain={erm[0]},{erm[1]}", f"mixed={dro[0]},{erm[2]}"]
    arms = read_arms(typed, "decode_test")
    assert [(arm.name, len(arm.runs)) for arm in arms] == [("plain", 2), ("mixed", 2)]
    comparison = compare_arms(arms, n_replicates=50)
    rates = comparison.test.characters.rates(0)
    assert comparison.cer["plain"]["deu"] == pytest.approx(rates[:, 0].mean())
    assert comparison.measures["plain"]["worst"] == pytest.approx(rates.max(axis=1).mean())


def test_a_named_arm_may_stand_beside_a_run_that_is_an_arm_of_its_own(tmp_path, capsys):
    erm, dro = seeded(tmp_path, "erm", (1, 2), 0.2), seeded(tmp_path, "dro", (1,), 0.1)
    out = tmp_path / "out"
    arguments = [f"plain={erm[0]},{erm[1]}", str(dro[0]), "--out", str(out)]
    assert main(["compare", *arguments]) == 0
    rows = rows_of(capsys.readouterr().out)
    assert rows["erm_seed1"][:2] == ["plain", "1"] and rows["dro_seed1"][:2] == ["dro_seed1", "1"]
    record = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    runs = record["arms"][0]["runs"]
    assert [run["seed"] for run in runs] == [1, 2]
    means = [run["measures"]["mean"] for run in runs]
    assert means == [pytest.approx(np.mean(list(run["cer"].values()))) for run in runs]
    assert record["arms"][0]["measures"]["mean"] == pytest.approx(np.mean(means))


@pytest.mark.parametrize(
    "typed",
    [["--apart", "kat"], ["--min-utterances", "10"], ["--min-seconds", "9.5"]],
)
def test_a_language_that_stands_apart_has_its_row_and_decides_no_number(tmp_path, capsys, typed):
    runs = []
    for name, deu in (("erm", 10), ("ctc_dro", 15)):
        texts = {"deu": utterances("deu", 10, deu), "fra": utterances("fra", 10, 20)}
        texts["kat"] = utterances("kat", 9, 84 if name == "erm" else 42)
        runs.append(plant_run(tmp_path / name, texts))
    arguments = [*map(str, runs), "--out", str(tmp_path / "out")]
    record = []
    for options in ([], typed):
        assert main(["compare", *arguments, *options]) == 0
        text = (tmp_path / "out" / "comparison.json").read_text(encoding="utf-8")
        record.append(json.loads(text))
    rows = rows_of(capsys.readouterr().out)
    assert rows["kat Georgian (apart)"][1:3] == [f"{100 * n / (9 * 21):.1f}" for n in (84, 42)]
    before, after = (one["differences"][0] for one in record)
    assert before["groups"] == after["groups"]
    assert record[1]["arms"][0]["worst_groups"] == ["fra"] and list(record[1]["apart"]) == ["kat"]
    worst = [one["measures"]["worst"]["difference"] for one in (before, after)]
    assert worst == [pytest.approx(-84 / 189 + 42 / 189), 0]
    assert after["measures"]["mean"]["difference"] == pytest.approx(5 / 210 / 2)
    assert after["measures"]["micro"]["difference"] == pytest.approx(5 / 420)


def decoded_at(run: Path, update: int, seconds: float) -> None:
    rows = {"deu": {"cer": 0.5, "q": 1.0, "train_audio_seconds": seconds}}
    plant_history(run, [{"update": update, "objective": "erm", "languages": rows}])
    decoded = {"decoded": {"split": "test", "update": update}}
    (run / "decode_test" / "scores.json").write_text(json.dumps(decoded))


@pytest.mark.parametrize(
    "update, seconds, unequal",
    [(200, 1000, False), (201, 1004, False), (300, 1000, True), (200, 1500, True)],
)
def test_arms_decoded_after_unequal_training_are_the_first_thing_that_is_said(
    two_runs, capsys, update, seconds, unequal
):
    decoded_at(two_runs[0], 200, 1000)
    decoded_at(two_runs[1], update, seconds)
    assert main(["compare", *map(str, two_runs)]) == 0
    said = capsys.readouterr().out
    assert ("decoded after unequal training" in said.split("|")[0]) is unequal


def test_seeds_of_one_arm_after_unequal_training_are_told_though_the_means_are_equal(
    tmp_path, capsys
):
    texts = {"deu": utterances("deu", 10, 42), "kat": utterances("kat", 10, 42)}
    runs = [plant_run(tmp_path / name, texts) for name in ("erm_1", "erm_2", "dro_1", "dro_2")]
    for run, update in zip(runs, (100, 300, 200, 200)):
        decoded_at(run, update, 5 * update)
    erm, dro = f"erm={runs[0]},{runs[1]}", f"dro={runs[2]},{runs[3]}"
    assert main(["compare", erm, dro]) == 0
    assert "erm after 100 updates to 300 updates" in capsys.readouterr().out


def test_the_worst_of_several_runs_is_the_mean_of_their_worst_everywhere(tmp_path):
    """deu is worst in one run and kat in the other: the worst of averages would be 30 %."""
    runs = []
    for name, deu, kat in (("erm_1", 84, 42), ("erm_2", 42, 84), ("dro_1", 42, 21)):
        texts = {"deu": utterances("deu", 10, deu), "kat": utterances("kat", 10, kat)}
        runs.append(plant_run(tmp_path / name, texts))
    comparison = compare_arms(
        read_arms([f"erm={runs[0]},{runs[1]}", f"dro={runs[2]}"], "decode_test"), n_replicates=50
    )
    assert rows_of(side_by_side(comparison))["**worst**"][:2] == ["40.0", "20.0"]
    said = summary(comparison, comparison.differences[0])
    assert "fell from 40.0 % (deu, kat) to 20.0 % (deu)" in said
    assert comparison.differences[0].measures["worst"].estimate == pytest.approx(-0.2)


def test_seeds_that_differ_widen_the_interval_and_the_note_says_by_how_much(tmp_path):
    erm, dro = seeded(tmp_path, "erm", (1, 2, 3), 0.3), seeded(tmp_path, "dro", (1, 2, 3), 0.3)
    many = compare_arms(
        read_arms([f"e={','.join(map(str, erm))}", f"d={','.join(map(str, dro))}"], "decode_test"),
        n_replicates=200,
    )
    single = compare_arms(read_arms([f"e={erm[0]}", f"d={dro[0]}"], "decode_test"))
    assert np.isnan(single.differences[0].measures["mean"].training_share)
    share = many.differences[0].measures["mean"].training_share
    assert 0.2 < share < 1
    assert f"Seeds make {100 * share:.0f} %" in " ".join(notes(many, many.differences[0]))


# --- blocks, groups, gap ---


def test_speakers_are_the_blocks_where_they_are_known_and_not_too_few(tmp_path):
    codes = ("deu", "ell", "kat")
    speakers = {f"deu_{index:03d}": f"s{index // 2}" for index in range(12)}
    speakers |= {f"kat_{index:03d}": f"s{index // 3}" for index in range(12)}
    runs = [
        plant_run(
            tmp_path / name, {code: utterances(code, 12, errors) for code in codes},
            speakers=speakers,
        )
        for name, errors in (("erm", 6), ("ctc_dro", 18))
    ]  # fmt: skip
    comparison = compared(*runs)
    test = comparison.test
    assert test.characters.n_blocks.tolist() == [6, 12, 12]
    assert test.by_speaker == {"deu"} and test.few_speakers == {"kat"}
    deu = test.characters.language == 0
    assert test.characters.lengths[deu].tolist() == [2 * 21.0] * 6
    assert test.characters.errors[1][0, deu].tolist() == [4.0] * 3 + [2.0] * 3
    said = " ".join(notes(comparison, comparison.differences[0]))
    assert "Of fewer than 5 speakers each" in said and "the speakers in 1 of 3 languages" in said


def test_groups_of_language_and_corpus_are_compared_as_such(tmp_path):
    runs = []
    for name, errors in (("erm", 20), ("ctc_dro", 10)):
        run = plant_run(tmp_path / name, {"deu": utterances("deu", 8, errors)})
        path = run / "decode_test" / "utterances.jsonl"
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for index, record in enumerate(records):
            record["corpus"] = "mls" if index < 4 else "swc"
        path.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
        row = {"q": 0.5, "cer": 0.1}
        (run / "history.jsonl").write_text(
            json.dumps(
                {
                    "format": 1, "update": 1, "subset": "valid", "objective": name,
                    "group_by": "language+corpus",
                    "languages": {"deu/mls": row, "deu/swc": row},
                }
            )
        )  # fmt: skip
        runs.append(run)
    comparison = compared(*runs)
    assert comparison.codes == ["deu/mls", "deu/swc"]
    assert comparison.as_record()["group_by"] == "language+corpus"
    rows = rows_of(side_by_side(comparison))
    assert rows["deu/mls German (mls)"][-2:] == ["0.500", "0.500"]


def with_corpora(run: Path, corpora: dict[str, str | None]) -> Path:
    """Corpora by id, null or left out where it is not known."""
    path = run / "decode_test" / "utterances.jsonl"
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [json.dumps({**record, "corpus": corpora.get(record["id"])}) for record in records]
    path.write_text("\n".join(lines), encoding="utf-8")
    return run


def test_report_and_compare_name_the_group_of_a_record_without_corpus_alike(tmp_path):
    corpora = {f"deu_{index:03d}": "mls" for index in range(5)}
    runs = [
        with_corpora(plant_run(tmp_path / name, {"deu": utterances("deu", 10, errors)}), corpora)
        for name, errors in (("erm", 50), ("ctc_dro", 10))
    ]
    run, baseline = (read_training_run(folder) for folder in runs[::-1])
    found = compared_with(baseline, run, GroupBy.parse("language+corpus")).differences[0].verdicts
    assert found == {"deu": Verdict.BETTER, "deu/mls": Verdict.BETTER}
    assert set(found) == set(RunScores(run.utterances, GroupBy.parse("language+corpus")).groups)


def test_a_corpus_that_only_one_run_knows_matters_for_groups_of_corpora_alone(two_runs):
    with_corpora(two_runs[0], {"deu_003": "mls"})
    first, second = (read_training_run(folder) for folder in two_runs)
    comparison = compared_with(second, first, BY_LANGUAGE)
    assert set(comparison.differences[0].verdicts) == {"deu", "kat"}
    with pytest.raises(UserError, match="deu_003 in different groups: deu and deu/mls"):
        compared_with(second, first, GroupBy.parse("language+corpus"))


@pytest.mark.parametrize(
    "before, after, verdict",
    [
        ((0.1, 0.5), (0.1, 0.2), GapVerdict.FROM_BELOW),
        ((0.1, 0.5), (0.4, 0.5), GapVerdict.FROM_ABOVE),
        ((0.1, 0.5), (0.25, 0.3), GapVerdict.FROM_BOTH),
        ((0.1, 0.3), (0.1, 0.5), GapVerdict.WIDENED),
        ((0.1, 0.3), (0.1, 0.3), GapVerdict.NOT_SHOWN),
    ],
)
def test_a_gap_that_closes_by_making_the_best_worse_is_told_from_one_that_helps(
    tmp_path, before, after, verdict
):
    runs = []
    for name, rates in (("erm", before), ("ctc_dro", after)):
        texts = noisy_texts(dict(zip(("deu", "kat"), rates)), 40, np.random.default_rng(3))
        runs.append(plant_run(tmp_path / name, texts))
    comparison = compared(*runs)
    (one,) = comparison.differences
    change, gap = one.gap, one.measures["gap"]
    assert change.verdict is verdict
    assert change.from_below + change.from_above == pytest.approx(-float(gap.estimate))
    if verdict is GapVerdict.FROM_ABOVE:
        assert "levelling down" in summary(comparison, one)


def moved(low: float, high: float) -> Difference:
    """A difference of which only the interval matters."""
    unknown = np.float64("nan")
    ends = np.float64((low + high) / 2), np.float64(low), np.float64(high)
    return Difference(*ends, *[unknown] * 4)


@pytest.mark.parametrize(
    "gap, worst, best, verdict",
    [
        (moved(-3, -1), moved(-3, -1), moved(-1, 1), GapVerdict.FROM_BELOW),
        (moved(-3, -1), moved(-3, 1), moved(-1, 1), GapVerdict.CLOSED),
        (moved(-3, -1), moved(-3, 1), moved(1, 3), GapVerdict.FROM_ABOVE),
        (moved(-3, -1), moved(1, 3), moved(3, 5), GapVerdict.FROM_ABOVE),
        # the best rose a little, and surely; the worst fell a lot, and not quite surely
        (moved(-20, -1), moved(-20, 0.5), moved(0.1, 0.5), GapVerdict.CLOSED),
        (moved(-3, -1), moved(-3, -1), moved(1, 3), GapVerdict.FROM_BOTH),
        (moved(-3, -1), moved(-5, -3), moved(-3, -1), GapVerdict.FROM_BELOW),
        (moved(-3, 1), moved(-3, -1), moved(1, 3), GapVerdict.NOT_SHOWN),
        (moved(1, 3), moved(-3, -1), moved(-9, -5), GapVerdict.WIDENED),
    ],
)
def test_a_gap_closed_from_where_a_move_is_shown(gap, worst, best, verdict):
    change = gap_change(gap, worst, best)
    assert change.verdict is verdict
    assert (change.from_below, change.from_above) == (-worst.estimate, best.estimate)


def test_a_level_field_against_one_outlier_is_called_doubtful(tmp_path):
    codes = [f"a{letter}{other}" for letter in "abcde" for other in "abcdef"]
    outlier = dict(zip(codes, [0.5, *np.linspace(0.1, 0.3, 29)]))
    level = dict(zip(codes, [0.5] * 20 + [0.3] * 10))
    runs = []
    for name, rates in (("outlier", outlier), ("level", level)):
        texts = noisy_texts(rates, 8, np.random.default_rng(len(name)))
        runs.append(plant_run(tmp_path / name, texts))
    for first, second, doubtful in ((0, 1, True), (0, 0, False)):
        copy = plant_run(
            tmp_path / "copy", noisy_texts((outlier, level)[second], 8, np.random.default_rng(7))
        )
        comparison = compared(runs[first], copy)
        said = " ".join(notes(comparison, comparison.differences[0]))
        assert ("Doubtful here" in said) is doubtful
        told = summary(comparison, comparison.differences[0])
        assert ("doubtful, see below" in told) is doubtful


def test_a_verdict_is_corrected_for_the_number_of_languages(tmp_path):
    errors = [3, 3, 2, 4, 5, 3, 1, 6, 3, 2]
    fewer = [2, 3, 1, 3, 5, 1, 1, 5, 3, 0]
    for n_others, verdict in ((0, Verdict.BETTER), (9, Verdict.SAME)):
        runs = []
        for name, mine in (("erm", errors), ("ctc_dro", fewer)):
            texts = {"deu": utterances("deu", 10, mine)}
            for code in ("afr", "amh", "arb", "ben", "ell", "fra", "hin", "kat", "rus")[:n_others]:
                texts[code] = utterances(code, 10, errors)
            runs.append(plant_run(tmp_path / f"{n_others}" / name, texts))
        (one,) = compared(*runs).differences
        p = one.by_group.p[list(one.codes).index("deu")]
        assert 0.005 < p < 0.05 and one.verdicts["deu"] is verdict


# --- pictures ---


def test_a_long_name_is_cut_and_its_code_is_not():
    assert row_label("kat") == "Georgian kat"
    label = row_label("azz")
    assert label.endswith("… azz") and len(label) <= 26


def hundred_languages(tmp_path: Path) -> Comparison:
    from fairseq_dro.demo.spoken_languages import spoken_languages

    codes = list(spoken_languages())[:100]
    q = {code: (index + 1) / 5050 for index, code in enumerate(reversed(codes))}
    errors = {code: 10 + index for index, code in enumerate(codes)}
    texts = {code: utterances(code, 6, n) for code, n in errors.items()}
    return compared(
        plant_run(tmp_path / "erm", texts), plant_run(tmp_path / "ctc_dro", texts, q=q)
    )


def test_every_language_has_its_row_among_a_hundred_differences(tmp_path):
    comparison = hundred_languages(tmp_path)
    drawn = draw_differences(comparison.differences[0], "erm")
    assert all(f" {code}" in drawn or "…" in drawn for code in comparison.codes)
    assert sum(drawn.count(f" {code}<") for code in comparison.codes) > 80


def test_equal_runs_draw_equal_files(two_runs, tmp_path):
    comparison = compared(*two_runs)
    paths = [tmp_path / "a.svg", tmp_path / "b.svg"]
    assert len({draw_pareto(comparison, [path]) for path in paths}) == 1
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_the_front_holds_what_no_other_beats_in_both():
    points = [(3.0, 9.0), (1.0, 9.0), (2.0, 5.0), (2.0, 6.0), (4.0, 1.0), (5.0, 1.0)]
    assert pareto_front(points) == [1, 2, 4]
    assert pareto_front([(1.0, 1.0), (1.0, 1.0)]) == [0, 1]
