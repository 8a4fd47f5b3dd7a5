"""Which records of two runs can be compared, and by which groups."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from fairseq_dro.cli import main
from fairseq_dro.errors import UserError
from fairseq_dro.group_by import BY_LANGUAGE, GroupBy
from fairseq_dro.report.compare.document import side_by_side
from fairseq_dro.report.comparison import Verdict
from fairseq_dro.report.report import compared as compared_with
from fairseq_dro.report.run_scores import RunScores
from fairseq_dro.runs.training_run import read_training_run
from fairseq_dro.scoring.records import format_line
from fairseq_dro.scoring.utterances import score_utterance
from tests.compared_runs import (
    compared,
    error_of,
    plant_run,
    rows_of,
    utterances,
    write_records,
)


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
    said = error_of(list(map(str, runs)), capsys)
    assert "all references of kat are empty" in said and "type --apart kat, or" in said
    assert main(["compare", *map(str, runs), "--apart", "kat"]) == 0
    assert rows_of(capsys.readouterr().out)["kat Georgian, apart"][:2] == ["–", "–"]


def test_utterances_without_a_language_are_refused(two_runs, capsys):
    for run in two_runs:
        path = run / "decode_test" / "utterances.jsonl"
        scored = score_utterance("a b", "a b", id="u1", language=None, seconds=1.0)
        path.write_text(format_line(scored), encoding="utf-8")
    assert "the utterance u1 has no language" in error_of(list(map(str, two_runs)), capsys)


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


def test_a_folder_that_cannot_be_written_is_named(two_runs, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "out"
    said = error_of([*map(str, two_runs), "--out", str(out)], capsys)
    assert f"{out} cannot be written" in said


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
