"""Each alarm is raised by its cause, names it, and is silent otherwise."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fairseq_dro.dro.rules import make_rule
from fairseq_dro.report import alarms
from fairseq_dro.runs.history import count_falls


def only(found: alarms.Alarm | None) -> str:
    assert found is not None
    return found.sentence


def path_of(*steps: tuple[int, float]) -> list[tuple[int, dict[str, float]]]:
    """q of four languages of which deu holds the given share."""
    return [
        (update, {"deu": share, **dict.fromkeys(("ell", "fra", "kat"), (1 - share) / 3)})
        for update, share in steps
    ]


def test_q_on_one_language_for_long_is_said_with_share_and_length():
    sentence = only(alarms.q_collapsed(path_of((100, 0.25), (1000, 0.62), (2000, 0.7)), 3000))
    assert "German (deu), holds 62 % of q or more for 2,000 updates (1,000 to 3,000" in sentence


def test_a_collapse_that_is_over_is_told_as_past():
    sentence = only(alarms.q_collapsed(path_of((0, 0.25), (100, 0.9), (1100, 0.3)), 3000))
    assert "held 90 % of q or more for 1,000 updates (100 to 1,100)" in sentence


@pytest.mark.parametrize(
    ("objective", "smaller", "larger"),
    [
        ("ctc_dro", {"smoothing": 0.1}, {"smoothing": 1.0}),
        ("chi_square_dro", {"radius": 0.1}, {"radius": 1.0}),
    ],
)
def test_what_the_sentence_on_a_collapse_names_bounds_q(objective, smaller, larger):
    """Losses of 180 and 300 nats a batch, 1,000 moves: enough to come to rest."""
    losses, held = np.array([180.0] * 5 + [300.0]), []
    for options in (smaller, larger):
        rule = make_rule(objective, options, group_sizes=np.ones(6))
        q = rule.start(6)
        for _ in range(1000):
            q = rule.step(q, losses)
        held.append(q[-1])
    assert held[0] < 0.35 < 0.5 < held[1]


@pytest.mark.parametrize(
    "path",
    [
        [],
        path_of((100, 0.25), (2000, 0.4)),
        path_of((100, 0.25), (1000, 0.9), (1100, 0.3)),  # a thirtieth of the run
        [(0, {"deu": 0.6, "fra": 0.4})],  # of two languages one always has half
        [(0, {"deu": 1.0})],
    ],
)
def test_q_that_no_language_holds_for_long_is_no_alarm(path):
    assert alarms.q_collapsed(path, 3000) is None


def test_two_languages_that_take_turns_are_no_collapse():
    path = []
    for update in range(0, 3000, 200):
        path += path_of((update, 0.8))
        path.append((update + 100, {"deu": 0.1, "ell": 0.8, "fra": 0.05, "kat": 0.05}))
    assert alarms.q_collapsed(path, 3000) is None


def test_a_language_never_drawn_is_named():
    losses = {"deu": 3.0, "kat": None, "fra": 2.0}
    assert "Georgian (kat) was never drawn in 500" in only(alarms.never_sampled(losses, 500, None))
    counted = {"deu": 10.0, "kat": 5.0, "fra": 0.0}
    assert "French (fra) was never" in only(alarms.never_sampled(losses, 500, counted))
    assert alarms.never_sampled({"deu": 3.0}, 500, None) is None
    assert alarms.never_sampled(losses, 0, None) is None


def test_q_that_never_moved_is_told_from_a_language_that_was_never_drawn():
    found = alarms.never_sampled({"deu": None, "kat": None}, 500, None)
    assert found.kind == "q never moved" and "500 updates q has not moved once" in only(found)


def test_files_that_fall_back_more_often_than_the_run_was_started_are_of_two_writers(tmp_path):
    path = tmp_path / "history.jsonl"

    def write(*updates):
        lines = [json.dumps({"update": u, "subset": s}) for u in updates for s in ("a", "b")]
        path.write_text("\n".join(lines) + '\n{"update": 3')
        return count_falls(path)

    assert write(10, 20, 30) == 0
    assert write(10, 20, 10, 20, 20, 30) == 2  # two resumes
    assert write(10, 10, 20, 20, 30, 30) == 3
    assert alarms.interleaved(2, 3) is alarms.interleaved(0, 0) is None
    assert "fall back 3 times" in only(alarms.interleaved(3, 2))
    assert "started only 1 time:" in only(alarms.interleaved(1, 0))


def test_levelling_down_needs_a_falling_mean_and_a_rising_language():
    before = {"deu": 0.10, "kat": 0.50, "fra": 0.20}
    after = {"deu": 0.14, "kat": 0.30, "fra": 0.19}
    sentence = only(alarms.levelling_down(after, before, "erm", ["deu"]))
    assert "1 of 3 languages got worse (by a paired test" in sentence
    assert "German (deu) from 10.0 to 14.0 %" in sentence
    assert alarms.levelling_down(after, before, "erm", worse=[]) is None
    assert alarms.levelling_down(before, after, "dro", ["kat"]) is None  # the mean rose
    assert alarms.levelling_down({"deu": 0.1}, {"kat": 0.1}, "erm", []) is None


def test_a_worst_language_inside_the_null_band_is_not_to_be_called_worst():
    sentence = only(alarms.worst_within_null_band("kat", 0.289, 0.27, 0.31))
    assert "Georgian (kat) with 28.9 %, lies inside" in sentence and "27.0 to 31.0 %" in sentence
    assert alarms.worst_within_null_band("kat", 0.4, 0.27, 0.31) is None
    below = only(alarms.worst_within_null_band("kat", 0.2, 0.27, 0.31))
    assert "lies below the band" in below and "worse than this" in below


def test_an_objective_that_changed_is_told_with_where():
    assert alarms.objective_changed([("ctc_dro", 100)]) is alarms.objective_changed([]) is None
    sentence = only(alarms.objective_changed([("erm", 1500), ("ctc_dro", 2000)]))
    assert "erm to update 1,500, then ctc_dro to update 2,000: this run stands for none" in sentence


def test_few_utterances_and_single_speakers_are_named():
    found = alarms.too_few_utterances({"deu": 100, "kat": 19})
    assert found.kind == "too few test utterances" and "Georgian (kat) (19)" in only(found)
    found = alarms.too_few_speakers({"kat": 1}, 2)
    assert found.kind == "few test speakers"
    assert "1 of 2 " in only(found) and "(kat) (1)" in only(found)
    assert alarms.too_few_utterances({"deu": 20}) is alarms.too_few_speakers({}, 1) is None


def test_languages_without_references_are_named():
    assert only(alarms.without_references(["kat", "deu"])).startswith(
        "All references of German (deu), Georgian (kat) are empty"
    )
    assert alarms.without_references([]) is None


def test_many_names_are_cut_short():
    sentence = only(alarms.too_few_utterances({f"q{i:02d}": 1 for i in range(50)}))
    assert "50 of 50" in sentence and sentence.count("(1)") == 8
    assert "(1) and 42 more. Their" in sentence


def test_silence_is_told_from_errors():
    counts = {"deu": 10, "kat": 10}
    assert "Georgian (kat) (9 of 20" in only(alarms.says_nothing({"deu": 0, "kat": 9}, counts))
    assert "every language" in only(alarms.says_nothing({"deu": 10, "kat": 9}, counts))
    assert alarms.says_nothing({"deu": 5, "kat": 0}, counts) is None


def test_a_cer_no_lower_than_a_guess_is_said():
    guess = {"deu": 0.5, "kat": 0.6}
    found = alarms.not_better_than_a_guess({"deu": 0.1, "kat": 0.7}, guess)
    assert only(found).startswith("Georgian (kat): the CER is no lower")
    assert alarms.not_better_than_a_guess({"deu": 0.1, "kat": 0.5}, guess) is None


def test_texts_without_end_are_named_by_run_and_language():
    shares = {"deu": 0.01, "kat": 0.36, "ben": 0.05}
    found = only(alarms.looping("erm", shares))
    assert found.startswith("erm: hypotheses repeat themselves without end in Georgian (kat), Beng")
    assert "up to 36 %" in found and "German" not in found
    assert alarms.looping("erm", {"deu": 0.02}) is None
