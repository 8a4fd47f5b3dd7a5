"""What is shown of a difference: verdicts, the gap, how many, and pictures."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes

from fairseq_dro.report.compare.difference_blocks import (
    difference_table,
    groups_table,
    notes,
    summary,
    verdict_sentence,
)
from fairseq_dro.report.comparison import Comparison, Verdict
from fairseq_dro.report.figures.intervals import draw_differences
from fairseq_dro.report.figures.over_updates import draw_arms
from fairseq_dro.report.figures.pareto import draw_pareto, pareto_front
from fairseq_dro.scoring.levelling import GapVerdict, gap_change
from fairseq_dro.scoring.paired import Difference
from tests.compared_runs import (
    compared,
    noisy_texts,
    plant_history,
    plant_run,
    rows_of,
    utterances,
)


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
    worst = one.measures["worst"]  # kat: 1 of 21 characters wrong or 1, taken to vary as deu does
    assert worst.low < worst.estimate < worst.high
    assert "taken to vary as the others do: kat" in " ".join(notes(comparison, one))


def test_where_each_language_has_one_utterance_nothing_is_called_shown(tmp_path):
    runs = [
        plant_run(tmp_path / name, {code: utterances(code, 1, n) for code in ("deu", "kat")})
        for name, n in (("erm", 10), ("ctc_dro", 1))
    ]
    comparison = compared(*runs)
    (one,) = comparison.differences
    assert all(np.isnan(value.p) for value in one.measures.values())
    assert verdict_sentence(comparison, one).startswith("ctc_dro made no difference that is shown")
    assert "(not shown: too few utterances for an interval)" in summary(comparison, one)
    rows = rows_of(difference_table(comparison, one))
    assert rows["gap: highest less lowest CER"][-2:] == ["", ""]


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
    assert "Of fewer than 5 speakers each" in said
    assert "over speakers where a language has 5 or more" in said


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


def test_a_gap_that_closed_is_not_said_to_have_no_end_that_moved_where_one_did(tmp_path):
    runs = [
        plant_run(tmp_path / name, {"deu": utterances("deu", 10, best),
                                    "kat": utterances("kat", 10, worst)})
        for name, best, worst in (
            ("erm", [1] * 10, [9] * 10), ("ctc_dro", [0] * 6 + [6] * 4, [8] * 10)
        )
    ]  # fmt: skip
    comparison = compared(*runs)
    (one,) = comparison.differences
    assert one.gap.verdict is GapVerdict.CLOSED and one.measures["worst"].high < 0
    said = summary(comparison, one)
    assert "a move is shown only of the end that moved less" in said and "neither" not in said


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
    ends = map(np.float64, (0.1, 0.05, 0.4, 0.01, 0.05, np.nan, 0.2))  # shown, and corrected by 0.2
    (one,) = comparison.differences
    one = replace(one, measures={**one.measures, "worst": Difference(*ends)})
    assert "CER rose by 10.0 points (doubtful)" in verdict_sentence(comparison, one)


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
    labels = {code: f"{code} <&>" for code in comparison.codes}
    pictures = draw_differences(comparison.differences[0], "erm", labels, tmp_path / "d")
    drawn = "".join(pictures)
    assert len(pictures) == 3 and all(f">{code} &lt;" in drawn for code in comparison.codes)
    assert sorted(path.name for path in tmp_path.glob("d*.png")) == ["d.png", "d_2.png", "d_3.png"]
    ticks = [re.findall(r">([−\d.]+)</text>", picture) for picture in pictures]
    assert ticks[0] == ticks[1] == ticks[2]


def test_pictures_against_two_baselines_share_no_id(two_runs):
    (one,) = compared(*two_runs).differences
    labels = {code: code for code in one.codes}
    pictures = (draw_differences(one, name, labels)[0] for name in ("erm", "dro"))
    ids = [set(re.findall(r' id="([^"]+)"', picture)) for picture in pictures]
    assert ids[0] and not ids[0] & ids[1]


def test_equal_runs_draw_equal_files(two_runs, tmp_path):
    comparison = compared(*two_runs)
    stems = [tmp_path / "a", tmp_path / "b"]
    assert len({draw_pareto(comparison, stem) for stem in stems}) == 1
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_the_front_holds_what_no_other_beats_in_both():
    points = [(3.0, 9.0), (1.0, 9.0), (2.0, 5.0), (2.0, 6.0), (4.0, 1.0), (5.0, 1.0)]
    assert pareto_front(points) == [1, 2, 4]
    assert pareto_front([(1.0, 1.0), (1.0, 1.0)]) == [0, 1]


def test_the_table_of_languages_is_sorted_by_numbers(tmp_path):
    runs = [
        plant_run(tmp_path / name, {"deu": utterances("deu", 9, errors),
                                    "kat": utterances("kat", 10, errors), "fin": texts})
        for name, errors, texts in (("erm", 40, utterances("fin", 1, 3)),
                                    ("ctc_dro", 1, utterances("fin", 1, 2)))
    ]  # fmt: skip
    comparison = compared(*runs)
    table = groups_table(comparison, comparison.differences[0])
    unsorted = {column.title for row in table.rows for column, cell in zip(table.columns, row)
                if cell.sort is None}  # fmt: skip
    assert unsorted == {"language", "verdict"}
    assert sorted(row[1].sort for row in table.rows) == [1, 9, 10]


def test_the_dotted_line_of_q_is_that_of_the_languages_trained_on(tmp_path, monkeypatch):
    q = {"deu": 0.5, "kat": 0.3, "fin": 0.1, "ell": 0.1}
    runs = [plant_run(tmp_path / name, {"deu": utterances("deu", 5, 5)}, name, q=q)
            for name in ("erm", "ctc_dro")]  # fmt: skip
    for run in runs:
        rows = {code: {"q": weight, "cer": 0.5} for code, weight in q.items()}
        plant_history(run, [{"update": n, "objective": "x", "languages": rows} for n in (1, 2)])
    heights = []
    monkeypatch.setattr(Axes, "axhline", lambda self, y, **style: heights.append(y))
    draw_arms(compared(*runs))
    assert heights == [0.25, 0.25]
