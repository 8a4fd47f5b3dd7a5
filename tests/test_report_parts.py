"""Parts of the report by themselves: aligned texts, the log, where a run comes from, pictures."""

from __future__ import annotations

import html
import json
import logging
import re
import subprocess
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_dro.group_by import BY_LANGUAGE
from fairseq_dro.report import configuration
from fairseq_dro.report.aligned_text import align, reads_right_to_left
from fairseq_dro.report.arms import Arm
from fairseq_dro.report.blocks import ComparedText, Examples, Section, per_cent
from fairseq_dro.report.comparison import Verdict
from fairseq_dro.report.figures.intervals import ROWS_PER_PICTURE, Estimate, draw_rates
from fairseq_dro.report.figures.over_updates import draw_over_updates, draw_weights
from fairseq_dro.report.figures.style import canvas, svg_of
from fairseq_dro.report.markdown import escaped, render_markdown
from fairseq_dro.report.paired_records import pair
from fairseq_dro.report.report import compared, make_report, read_report_data
from fairseq_dro.report.score_tables import _band
from fairseq_dro.report.sections.layers import layers_blocks
from fairseq_dro.report.sections.proxy import spearman
from fairseq_dro.report.sections.utterances import utterances_blocks
from fairseq_dro.report.sections.warnings import warnings_of
from fairseq_dro.runs import provenance
from fairseq_dro.runs.start_command import start_command
from fairseq_dro.runs.training_log import read_training_log
from fairseq_dro.runs.training_run import TrainingRun, read_training_run
from fairseq_dro.scoring.disparity_intervals import Disparity
from fairseq_dro.scoring.paired import difference_by_language
from tests.compared_runs import plant_history, plant_run, utterances
from tests.planted_runs import many_languages, plant_decoding, plant_training, write_log

TEXTS = st.text(alphabet="ab ֩אé\u0301", max_size=30)


@given(TEXTS, TEXTS)
def test_pieces_hold_all_of_both_texts_in_order_and_the_equal_ones_are_equal(reference, hypothesis):
    sides = align(reference, hypothesis)
    for pieces, text in zip(sides, (reference, hypothesis)):
        assert "".join(piece.text for piece in pieces) == unicodedata.normalize("NFC", text)
    equal = [[piece.text for piece in pieces if piece.equal] for pieces in sides]
    assert equal[0] == equal[1]


def test_what_only_one_text_has_is_a_piece_of_its_own():
    reference, hypothesis = align("guten tag", "gutn tagx")
    assert [piece.text for piece in reference if not piece.equal] == ["e"]
    assert [piece.text for piece in hypothesis if not piece.equal] == ["x"]


def test_letters_keep_their_accents():
    reference, _ = align("cafe\u0301", "cafe")
    assert [piece.text for piece in reference if not piece.equal] == ["é"]


def test_direction_is_that_of_most_letters():
    assert reads_right_to_left("שלום abc שלום") and not reads_right_to_left("hello ש")
    assert not reads_right_to_left("123")


@pytest.mark.parametrize("json_lines", [False, True])
def test_the_log_gives_the_same_numbers_from_either_progress_bar(tmp_path, json_lines):
    write_log(tmp_path, updates=100, json_lines=json_lines, starts=2)
    log = read_training_log(tmp_path / "hydra_train.log")
    assert (log.n_starts, log.last_update, log.finished) == (2, 100, True)
    assert [row["update"] for row in log.validations["valid"]] == list(range(10, 101, 10))
    assert log.validations["valid"][-1]["wer"] == pytest.approx(0.2)
    assert log.wall_seconds == pytest.approx(5 * 6 - 6 + 10 * 6 - 6 + 12, abs=12)


@pytest.mark.parametrize("bar_class", ["SimpleProgressBar", "JsonProgressBar"])
def test_the_log_is_read_as_fairseq_writes_it(tmp_path, monkeypatch, bar_class):
    from fairseq.logging import progress_bar

    handler = logging.FileHandler(tmp_path / "log")
    handler.setFormatter(logging.Formatter("[%(asctime)s][%(name)s][%(levelname)s] - %(message)s"))
    bar = getattr(progress_bar, bar_class)([], epoch=3)
    progress_bar.logger.addHandler(handler)
    monkeypatch.setattr(progress_bar.logger, "level", logging.INFO)
    try:
        for name, update in (("valid", 40), ("train", 44), ("train_inner", 44)):
            bar.print({"loss": 4.5, "uer": 30.0, "wer": 60.0, "num_updates": update}, tag=name)
    finally:
        progress_bar.logger.removeHandler(handler)
    log = read_training_log(tmp_path / "log")
    assert log.last_update == 44
    assert log.validations == {"valid": [{"update": 40, "loss": 4.5, "uer": 0.3, "wer": 0.6}]}


def test_time_between_two_starts_is_no_training_time(tmp_path):
    lines = [
        "[2026-01-01 10:00:00,000][fairseq_cli.train][INFO] - {'_name': None, 'common': {}}",
        "[2026-01-01 10:10:00,000][train][INFO] - epoch 001 | loss 1 | num_updates 10 | wall 600",
        "[2026-01-03 10:00:00,000][fairseq_cli.train][INFO] - {'_name': None, 'common': {}}",
        "[2026-01-03 10:05:00,000][train_inner][INFO] - epoch 001:  5 / 9 loss=1, num_updates=15",
        "half a li",
    ]
    (tmp_path / "log").write_text("\n".join(lines))
    log = read_training_log(tmp_path / "log")
    assert (log.wall_seconds, log.n_starts, log.last_update) == (900.0, 2, 15)
    assert not log.finished and log.validations == {}


@pytest.mark.parametrize(
    ("value", "told"), [(0.0, "below"), (0.036, "inside"), (0.497, "inside"), (0.5, "")]
)
def test_a_number_below_the_band_of_chance_is_not_called_inside(value, told):
    one = Disparity(value, 0.0, 0.042, 0.036, 0.497)
    assert _band({**one._asdict(), "within_null": one.within_null}, 1).note == told


def test_a_run_that_changed_its_objective_is_called_so_on_page_and_in_its_title(tmp_path):
    records = [
        {"update": update, "objective": objective, "languages": {"deu": {"q": 1.0, "cer": 0.5}}}
        for update, objective in ((100, "erm"), (200, "erm"), (300, "ctc_dro"))
    ]
    plant_history(tmp_path / "run", records)
    data = read_report_data(tmp_path / "run")
    found = warnings_of(data)
    assert [one.sentence for one in found if one.kind == "objective changed"][0].startswith(
        "Trained with erm to update 200, then ctc_dro to update 300"
    )
    assert make_report(data).subtitle.startswith("erm, then ctc_dro · ")


def test_a_fingerprint_knows_the_data_and_not_their_place(tmp_path):
    prints = []
    for name, root, label in (("a", "/x", "h i"), ("b", "/y", "h i"), ("c", "/x", "h o")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "train.tsv").write_text(f"{root}\n1.wav\t100\n2.wav\t200\n")
        (folder / "train.ltr").write_text(f"{label}\nb |\n")
        (folder / "train.lang").write_text("deu\nkat\n")
        prints.append(provenance.fingerprint(folder)["train"])
    assert prints[0]["utterances"] == 2
    assert prints[0] == prints[1] and prints[0]["sha256"] != prints[2]["sha256"]
    assert provenance.fingerprint(tmp_path / "gone") == {}


@pytest.mark.parametrize("suffix", ["speaker", "utt", "corpus", "lang", "accent"])
def test_a_fingerprint_knows_every_file_that_goes_into_a_score(tmp_path, suffix):
    (tmp_path / "train.tsv").write_text("/x\n1.wav\t100\n")
    (tmp_path / "train.ltr").write_text("h i |\n")
    before = provenance.fingerprint(tmp_path)["train"]["sha256"]
    (tmp_path / f"train.{suffix}").write_text("a\n")
    assert provenance.fingerprint(tmp_path)["train"]["sha256"] != before


def test_dictionary_and_table_of_languages_are_fingerprinted_by_name(tmp_path):
    for name in ("dict.ltr.txt", "languages.tsv", "rejected.tsv"):
        (tmp_path / name).write_text("a 1\n")
    found = provenance.of_data(tmp_path)["files"]
    assert sorted(found) == ["dict.ltr.txt", "languages.tsv"]
    (tmp_path / "dict.ltr.txt").write_text("a 2\n")
    assert provenance.of_data(tmp_path)["files"]["dict.ltr.txt"] != found["dict.ltr.txt"]


def test_what_is_collected_is_json_and_names_commit_versions_and_command(tmp_path):
    record = json.loads(json.dumps(provenance.collect(tmp_path, update=7)))
    assert record["update"] == 7 and record["command"] and record["versions"]["fairseq"]
    assert record["data"]["splits"] == {}
    assert provenance.collect()["data"] is None


def test_a_start_tells_where_and_how_it_was_launched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    monkeypatch.setenv("SECRET_TOKEN", "x")
    record = provenance.collect()
    assert record["folder"] == str(tmp_path) and record["workers"] == 1
    assert record["environment"]["CUDA_VISIBLE_DEVICES"] == "3"
    assert "SECRET_TOKEN" not in record["environment"]


def test_the_command_of_a_run_is_the_one_that_was_typed(tmp_path):
    assert start_command(TrainingRun(tmp_path, "run")) == ""
    command = ["/venv/bin/fairseq-hydra-train", "--config-dir", "c", "task.data=my data"]
    starts = [{"command": ["old"]}, {"command": command, "folder": "/w/my runs"}]
    found = start_command(TrainingRun(tmp_path, "run", starts=starts))
    typed = "/venv/bin/fairseq-hydra-train --config-dir c 'task.data=my data'"
    assert found.split("\n") == ["cd '/w/my runs'", typed]


def test_each_start_adds_a_line_and_a_failure_stops_nothing(tmp_path, caplog):
    provenance.record_start(tmp_path, tmp_path, 0)
    provenance.record_start(tmp_path, tmp_path, 40)
    lines = (tmp_path / "run.jsonl").read_text().splitlines()
    assert [json.loads(line)["update"] for line in lines] == [0, 40]
    (tmp_path / "file").write_text("")
    provenance.record_start(tmp_path / "file", tmp_path, 0)
    assert "run.jsonl could not be written" in caplog.text


def test_the_commit_is_that_of_the_package_and_of_no_other_checkout(tmp_path):
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "first")
    (tmp_path / "__init__.py").write_text("a = 1\n")
    assert provenance.git_commit(tmp_path) is None  # not tracked: a copy below another checkout
    git("add", "__init__.py")
    git("commit", "-q", "-m", "x")
    commit = {"commit": git("rev-parse", "HEAD"), "changed": False}
    assert provenance.git_commit(tmp_path) == commit
    (tmp_path / "__init__.py").write_text("a = 2\n")
    assert provenance.git_commit(tmp_path) == {**commit, "changed": True}


def test_settings_differ_by_value_and_not_by_spelling():
    here = {"optimization": {"lr": [0.0001]}, "criterion": {"smoothing": 1.0, "x": True, "y": 2}}
    there = {"optimization": {"lr": ["1e-4"]}, "criterion": {"smoothing": 0.5, "x": True},
             "task": {"data": "/a"}}  # fmt: skip
    found = configuration.differences(there, here)
    assert found == [("criterion.smoothing", "0.5", "1"), ("criterion.y", "", "2")]


def test_of_forty_equal_languages_none_is_called_better_or_worse(tmp_path):
    cer = dict.fromkeys(many_languages(40), 0.3)
    runs = [
        read_training_run(plant_decoding(tmp_path / name, cer, n_utterances=20, seed=seed))
        for name, seed in (("a", 5), ("b", 9))
    ]
    arms = [Arm(run.name, [run]) for run in runs]
    p = difference_by_language(pair(arms).characters, 0, 1).p
    assert (p < 0.05).any()  # without a correction some would be called so
    (one,) = compared(runs[0], runs[1], BY_LANGUAGE).differences
    assert set(one.verdicts.values()) == {Verdict.SAME}


def test_rank_correlation_shares_ranks_and_knows_when_there_is_none():
    assert spearman({"a": 1, "b": 2, "c": 9}, {"a": 5, "b": 6, "c": 7, "d": 1}) == 1.0
    assert spearman({"a": 1, "b": 2, "c": 3}, {"a": 3, "b": 2, "c": 1}) == -1.0
    tied = spearman({"a": 1, "b": 1, "c": 2, "d": 3}, {"a": 1, "b": 2, "c": 3, "d": 4})
    assert tied == pytest.approx(0.9487, abs=1e-4)  # scipy.stats.spearmanr
    for other in ({"a": 1, "b": 1, "c": 1}, {"a": 1}):
        assert str(spearman({"a": 1, "b": 2, "c": 3}, other)) == "nan"


def test_a_forest_of_many_languages_is_cut_into_pictures_on_one_scale():
    codes = many_languages(100)
    estimates = {code: Estimate(0.2, 0.1, 0.3) for code in codes}
    estimates[codes[0]] = Estimate(float("nan"), float("nan"), float("nan"))
    labels = {code: f"{code} <&>" for code in codes}
    pictures = draw_rates(labels, {"a&b": estimates}, (0.1, 0.2))
    assert len(pictures) == 3 and max(map(len, pictures)) < 60_000
    assert sum(p.count("&lt;&amp;&gt;") for p in pictures) == 100
    ticks = [re.findall(r">(\d+(?:\.\d+)?)</text>", picture) for picture in pictures]
    assert ticks[0] == ticks[1] == ticks[2]
    assert -(-100 // len(pictures)) <= ROWS_PER_PICTURE


def test_shortening_a_picture_leaves_its_text_alone():
    with canvas(2, 2) as figure:
        figure.subplots().plot([0.123456, 7], [0.98765, 3])
        figure.text(0.123456, 0.5, "0.0375 <b>")
        source = svg_of(figure, "a", "what it <shows>")
    assert ">0.0375 &lt;b&gt;</text>" in source and 'aria-label="what it &lt;shows&gt;"' in source
    assert not re.search(r'="[^"]*\.\d{3}', source)


def test_two_pictures_share_no_id():
    path = [(1, {"a": 0.51, "b": 0.49}), (2, {"a": 0.5125, "b": 0.4875})]
    rho = {"training": [0.51, 0.5125]}
    other = draw_over_updates([1, 2], rho, list(rho), y_label="rho", dotted_at=0.0)
    pictures = draw_weights(path), other
    ids = [re.findall(r' id="([^"]+)"', picture) for picture in pictures]
    assert ids[0] and ids[1] and not set(ids[0]) & set(ids[1])


def test_numbers_are_written_without_a_minus_before_a_nought():
    assert [per_cent(x) for x in (-1e-9, 0.1234, None, float("nan"))] == ["0.0", "12.3", "–", "–"]


def test_markdown_is_escaped():
    assert escaped("a|b_*<c>`\n") == "a\\|b\\_\\*\\<c\\>\\` "


def test_the_weights_of_layers_are_told_and_drawn_where_a_run_has_some(tmp_path):
    run = plant_training(tmp_path / "run", ["deu", "fra"])
    assert layers_blocks(read_report_data(run)) == []
    lines = (run / "history.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    for number, record in enumerate(records, start=1):
        record["layer_weights"] = {"0": 0.2, "5": 0.7, "6": 0.1} if number == len(records) else {}
    (run / "history.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    told, drawn = layers_blocks(read_report_data(run))
    assert "hidden layer 5 of the frozen encoder counts most, 0.70" in told.text
    assert "2.2 of 3 layers" in told.text  # exp of the entropy, 0.802 nats
    assert drawn.svgs[0].startswith("<svg") and "layer 5" in drawn.svgs[0]


@pytest.mark.parametrize("name", ["$x^$", "a$\\foo$", "<b>&"])
def test_a_name_is_drawn_as_it_is_and_not_as_a_formula(name):
    picture = draw_rates({"a": name}, {"run": {"a": Estimate(0.2, 0.1, 0.3)}})[0]
    assert f">{html.escape(name, quote=False)}</text>" in picture


def test_a_rate_far_above_100_per_cent_lies_in_its_picture():
    rates = {"a": Estimate(0.1, 0.05, 0.2), "b": Estimate(3.5, 3.0, 4.0)}
    picture = draw_rates({"a": "a", "b": "b"}, {"run": rates})[0]
    width = float(re.search(r'viewBox="0 0 ([\d.]+)', picture)[1])
    places = re.findall(r'<use [^>]*x="([\d.]+)"', picture)
    assert max(map(float, places)) < width


def test_markdown_keeps_the_space_before_a_word_that_only_one_text_has():
    lines = render_markdown("", "", [Section("a", "a", [Examples("", [
        ComparedText("x", *align("hallo wunderbar", "hallo ihr zwei da")),
        ComparedText("y", *align("hallo du", "hallo")),
    ])])])  # fmt: skip
    assert "reference: hallo ~~wund~~e~~rb~~a~~r~~\n" in lines  # and no mark beside a mark
    assert "reference: hallo ~~du~~\n" in lines


def test_examples_of_a_language_reach_from_its_worst_to_its_best(tmp_path):
    for n in (1, 2, 5, 7, 30):
        errors = [index % 18 for index in range(n)]
        run = plant_run(tmp_path / str(n), {"deu": utterances("deu", n, errors)})
        folded = utterances_blocks(read_report_data(run))[-1]
        shown = [float(one.label.split()[-2]) for one in folded.blocks[0].texts]
        assert len(shown) == min(4, n) and shown == sorted(shown, reverse=True)
        assert (shown[0], shown[-1]) == (pytest.approx(100 * max(errors) / 21, abs=0.1), 0.0)


def test_runs_called_alike_have_names_and_numbers_of_their_own(tmp_path):
    runs = [plant_run(tmp_path / place / "erm" / "seed_1", {"deu": utterances("deu", 10, errors)})
            for place, errors in (("a", 10), ("b", 50), ("c", 100))]  # fmt: skip
    data = read_report_data(runs[0], runs[1:])
    assert [run.name for run in data.runs] == [f"{place}/erm/seed_1" for place in "abc"]
    found = [one.measures[one.baseline]["mean"] for one in data.comparisons]
    assert found == pytest.approx([50 / 210, 100 / 210])


def test_a_baseline_that_cannot_be_compared_without_languages_is_said_to_be_none(tmp_path):
    runs = [plant_run(tmp_path / name, {"deu": utterances("deu", 10, 10)}) for name in "ab"]
    for run in runs:
        path = run / "decode_test/utterances.jsonl"
        path.write_text(path.read_text().replace('"language": "deu"', '"language": null'))
    found = warnings_of(read_report_data(runs[0], runs[1:]))
    (alarm,) = [one for one in found if one.kind == "not compared"]
    assert "have no language, so there is no test against b" in alarm.sentence
