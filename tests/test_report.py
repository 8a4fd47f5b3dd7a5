"""The comparison of runs, from planted histories and scores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fairseq_dro.cli import main
from fairseq_dro.data.manifest_writer import Utterance, write_data_folder
from fairseq_dro.report.comparison import compare_runs, markdown_table, summary_sentence
from fairseq_dro.report.comparison_figure import draw_comparison, highlighted
from fairseq_dro.report.constant_guess import best_constant, constant_guess_cer
from fairseq_dro.report.run_folder import read_run

ONE_LANGUAGE = '{"format": 1, "languages": {"deu": {"n_utterances": 9, "cer": 0, "wer": 0}}}'


def plant_run(
    folder: Path, objective: str, cer: dict[str, float], q: dict[str, float] | None = None
) -> Path:
    """A run of two validations whose test scores are ``cer``; WER is CER plus a tenth."""
    q = q or {code: 1 / len(cer) for code in cer}
    (folder / "decode_test").mkdir(parents=True)
    scores = {c: {"n_utterances": 9, "cer": cer[c], "wer": cer[c] + 0.1} for c in cer}
    (folder / "decode_test" / "scores.json").write_text(
        json.dumps({"format": 1, "languages": scores}), encoding="utf-8"
    )
    with open(folder / "history.jsonl", "w", encoding="utf-8") as stream:
        for update in (100, 200):
            rows = {c: {"q": q[c], "cer": cer[c] * 200 / update, "wer": 1.0} for c in cer}
            record = {"format": 1, "update": update, "objective": objective, "languages": rows}
            stream.write(json.dumps(record) + "\n")
    return folder


@pytest.fixture
def two_runs(tmp_path: Path) -> list[Path]:
    return [
        plant_run(tmp_path / "erm", "erm", {"deu": 0.1, "kat": 0.4}),
        plant_run(
            tmp_path / "ctc_dro", "ctc_dro", {"deu": 0.15, "kat": 0.3}, {"deu": 0.25, "kat": 0.75}
        ),
    ]


def rows_of(table: str) -> dict[str, list[str]]:
    lines = [line.strip("|").split("|") for line in table.splitlines()]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}


def test_the_table_holds_rates_in_per_cent_then_mean_and_worst(two_runs):
    comparison = compare_runs([read_run(run) for run in two_runs], {"deu": 0.5, "kat": 0.75})
    rows = rows_of(markdown_table(comparison))
    assert rows["language"] == [
        "CER erm", "CER ctc_dro", "WER erm", "WER ctc_dro", "q erm", "q ctc_dro",
        "CER constant guess",
    ]  # fmt: skip
    assert list(rows)[2:] == ["kat Georgian", "deu German", "**mean**", "**worst**"]
    assert rows["kat Georgian"] == ["40.0", "30.0", "50.0", "40.0", "0.500", "0.750", "75.0"]
    assert rows["deu German"] == ["10.0", "15.0", "20.0", "25.0", "0.500", "0.250", "50.0"]
    assert rows["**mean**"] == ["25.0", "22.5", "35.0", "32.5", "", "", "62.5"]
    assert rows["**worst**"] == ["40.0", "30.0", "50.0", "40.0", "", "", "75.0"]


def test_the_sentence_says_what_got_worse_as_plainly_as_what_got_better(two_runs):
    erm, dro = map(read_run, two_runs)
    forward = summary_sentence(compare_runs([erm, dro]))
    assert "worst language's CER fell from 40.0 % (kat) to 30.0 % (kat)" in forward
    assert "mean over languages fell from 25.0 % to 22.5 %" in forward
    assert "1 of 2 languages got better, 1 got worse" in forward
    backward = summary_sentence(compare_runs([dro, erm]))
    assert "worst language's CER rose from 30.0 % (kat) to 40.0 % (kat)" in backward
    assert "mean over languages rose from 22.5 % to 25.0 %" in backward
    same = summary_sentence(compare_runs([erm, erm]))
    assert "stayed" in same and "0 of 2 languages got better, 0 got worse" in same


def test_the_command_prints_the_table_and_writes_it_with_both_pictures(two_runs, tmp_path, capsys):
    out = tmp_path / "comparison"
    assert main(["compare", *map(str, two_runs), "--out", str(out), "--title", "T"]) == 0
    said = capsys.readouterr().out
    assert "kat Georgian" in said and str(out / "comparison.png") in said
    markdown = (out / "comparison.md").read_text(encoding="utf-8")
    assert "kat Georgian" in markdown and "Updates: erm 200, ctc_dro 200." in markdown
    assert (out / "comparison.png").read_bytes()[1:4] == b"PNG"
    assert "<svg" in (out / "comparison.svg").read_text(encoding="utf-8")


def test_seconds_and_constant_guess_come_from_the_data_folder_that_the_run_names(
    two_runs, tmp_path, capsys
):
    data = tmp_path / "data"
    labels = {"deu": "j a |", "kat": "კ ი | კ ი |"}
    utterances = [
        Utterance(data / f"{code}_{split}.wav", 32_000, code, label, f"{code}_{split}", split)
        for code, label in labels.items()
        for split in ("train", "test")
    ]
    write_data_folder(data, utterances, data)
    (two_runs[0] / ".hydra").mkdir()
    (two_runs[0] / ".hydra" / "config.yaml").write_text(f"task:\n  data: {data}\n")
    assert main(["compare", *map(str, two_runs), "--out", str(tmp_path / "out")]) == 0
    rows = rows_of(capsys.readouterr().out)
    assert rows["kat Georgian"][0] == "2" and rows["kat Georgian"][-1] == "0.0"


def test_a_line_that_a_kill_cut_and_a_repeated_update_leave_the_history_readable(two_runs):
    history = two_runs[0] / "history.jsonl"
    lines = history.read_text(encoding="utf-8").splitlines()
    repeated = json.loads(lines[1])
    repeated["languages"]["deu"]["q"] = 0.9
    cut = lines[1][: len(lines[1]) // 2]
    history.write_text("\n".join([*lines, cut, json.dumps(repeated)]), encoding="utf-8")
    run = read_run(two_runs[0])
    assert [record["update"] for record in run.history] == [100, 200]
    assert run.final_q["deu"] == 0.9


def test_runs_without_a_history_still_have_a_table(two_runs, tmp_path):
    (two_runs[0] / "history.jsonl").unlink()
    comparison = compare_runs([read_run(run) for run in two_runs])
    rows = rows_of(markdown_table(comparison))
    assert rows["deu German"] == ["10.0", "15.0", "20.0", "25.0", "0.250"]
    draw_comparison(comparison, [tmp_path / "one_column.png"])


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda scores: scores.unlink(), "decode the test split"),
        (lambda scores: scores.write_text('{"format":'), ":1 is not JSON"),
        (lambda scores: scores.write_text("{}"), "expected scores of format 1"),
        (lambda scores: scores.write_text(ONE_LANGUAGE), "numbers of utterances differ for kat"),
        (
            lambda scores: scores.parent.parent.rename(scores.parent.parent.with_name("gone")),
            "does not exist: expected the hydra.run.dir",
        ),
    ],
)
def test_a_run_that_cannot_be_compared_is_named(two_runs, tmp_path, capsys, spoil, message):
    spoil(two_runs[1] / "decode_test" / "scores.json")
    assert main(["compare", *map(str, two_runs), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and message in said and "ctc_dro" in said


def test_a_hundred_languages_are_drawn_with_six_in_colour(tmp_path):
    from fairseq_dro.corpora.spoken_languages import spoken_languages

    codes = list(spoken_languages())[:100]
    cer = {code: 0.2 + index / 200 for index, code in enumerate(codes)}
    q = {code: (index + 1) / 5050 for index, code in enumerate(reversed(codes))}
    runs = [
        read_run(plant_run(tmp_path / name, name, cer, q)) for name in ("erm", "ctc_dro")
    ]
    comparison = compare_runs(runs)
    chosen = highlighted(comparison)
    assert chosen == [codes[-1], codes[-2], codes[-3], codes[0], codes[1], codes[2]]
    draw_comparison(comparison, [tmp_path / "hundred.svg"])
    drawn = (tmp_path / "hundred.svg").read_text(encoding="utf-8")
    assert "94 other languages of 100" in drawn


def test_equal_runs_draw_equal_files(two_runs, tmp_path):
    comparison = compare_runs([read_run(run) for run in two_runs])
    paths = [tmp_path / "a.svg", tmp_path / "b.svg"]
    for path in paths:
        draw_comparison(comparison, [path])
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_the_constant_guess_is_no_worse_than_any_sentence_and_not_tuned_on_test():
    train = ["montag mai", "dienstag mai", "freitag mai", "freitag juni"]
    guess = best_constant(train)
    cer = constant_guess_cer(guess, train)
    assert cer <= min(constant_guess_cer(sentence, train) for sentence in [*train, ""])
    assert constant_guess_cer("abc", ["abc", "abcd"]) == pytest.approx(1 / 7)
    assert best_constant(["a"]) == "a"
    assert best_constant(train * 100) == best_constant(train * 100)
