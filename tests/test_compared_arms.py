"""Runs and seeds as arms of a comparison, and what cannot be one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fairseq_dro.cli import main
from fairseq_dro.report.arms import Arm, read_arms
from fairseq_dro.report.compare.difference_blocks import notes, summary
from fairseq_dro.report.compare.document import sections, side_by_side
from fairseq_dro.report.comparison import compare_arms
from fairseq_dro.report.markdown import render_markdown
from tests.compared_runs import (
    error_of,
    noisy_texts,
    plant_history,
    plant_run,
    rows_of,
    utterances,
)


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
    ],
)
def test_arguments_that_name_no_two_arms_are_refused(two_runs, capsys, arguments, message):
    typed = [
        text.replace("RUN0", str(two_runs[0])).replace("RUN1", str(two_runs[1]))
        for text in arguments
    ]
    assert message in error_of(typed, capsys)


def seeded(tmp_path: Path, name: str, seeds: tuple[int, ...], rate: float) -> list[Path]:
    runs = []
    for seed in seeds:
        generator = np.random.default_rng([seed, *name.encode()])
        rates = {"deu": rate * generator.uniform(0.7, 1.3), "kat": 2 * rate}
        objective = "erm" if name == "erm" else "ctc_dro"
        folder = tmp_path / f"{name}_seed{seed}"
        runs.append(plant_run(folder, noisy_texts(rates, 12, generator), objective, seed=seed))
    return runs


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


def test_all_but_its_row_is_as_if_a_language_that_stands_apart_were_not_there(tmp_path):
    full, cut = [], []
    for name, seeds in (("erm", (1, 2)), ("ctc_dro", (1,))):
        for seed in seeds:
            generator = np.random.default_rng([seed, *name.encode()])
            texts = noisy_texts({"deu": 0.2, "kat": 0.4, "tok": 0.9}, 8, generator)
            without = {code: texts[code] for code in ("deu", "kat")}
            for runs, kept, place in ((full, texts, "full"), (cut, without, "cut")):
                runs.append(plant_run(tmp_path / place / name / f"{seed}", kept, name))

    def arms(runs: list[Path]) -> list[Arm]:
        return read_arms([f"erm={runs[0]},{runs[1]}", f"dro={runs[2]}"], "decode_test")

    whole, apart, gone = (
        compare_arms(arms(full)), compare_arms(arms(full), apart=["tok"]), compare_arms(arms(cut)),
    )  # fmt: skip
    assert whole.worst_of_runs["dro"] == ["tok"] and apart.worst_of_runs["dro"] == ["kat"]
    assert apart.codes == gone.codes and apart.cer == whole.cer
    written = [json.loads(json.dumps(one.as_record())) for one in (apart, gone)]
    assert written[0]["differences"] == written[1]["differences"]
    assert written[0]["n_utterances"] == written[1]["n_utterances"] == 16
    for name in ("measures", "worst_groups"):
        assert [a[name] for a in written[0]["arms"]] == [a[name] for a in written[1]["arms"]]
    said = [render_markdown("", "", sections(one)).partition("## dro against")[2]
            for one in (apart, gone)]  # fmt: skip
    assert said[0] == said[1] != ""
    rows, other = (rows_of(side_by_side(one)) for one in (apart, gone))
    label = whole.by.label_of("tok")
    assert rows[f"{label}, apart"][:2] == rows_of(side_by_side(whole))[label][:2]
    assert rows["**mean**"] == other["**mean**"] and rows["**worst**"] == other["**worst**"]
    assert written[0]["apart"] == ["tok"]


@pytest.mark.parametrize("typed", ["kat,tok", "deu,kat"])
def test_a_language_apart_must_be_one_of_several_of_the_split(two_runs, capsys, typed):
    said = error_of([*map(str, two_runs), "--apart", typed], capsys)
    assert typed in said and "deu, kat" in said
