"""Scores on a report's page: counts, blocks, and the interval of all utterances together."""

from __future__ import annotations

import dataclasses
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from fairseq_dro.report.arms import Arm
from fairseq_dro.report.paired_records import pair
from fairseq_dro.report.run_scores import RunScores
from fairseq_dro.runs.training_run import TrainingRun
from fairseq_dro.scoring.as_written import as_written_note
from fairseq_dro.scoring.bootstrap import make_blocks
from fairseq_dro.scoring.edits import EditCounts
from fairseq_dro.scoring.intervals import language_intervals
from fairseq_dro.scoring.micro import micro_interval
from fairseq_dro.scoring.rates import sum_up
from fairseq_dro.scoring.records import Record
from fairseq_dro.scoring.summary import summarise
from fairseq_dro.scoring.utterances import score_utterance


def records(n: int = 40, speakers: dict[str, list[str | None]] | None = None) -> list[Record]:
    rng = np.random.default_rng(0)
    made = []
    for code, wrong in (("deu", 1), ("ell", 3), ("kat", 6)):
        for index in range(n):
            reference = "".join(rng.choice(list("abcdéö "), 12)).strip() or "a"
            hypothesis = reference[: max(0, len(reference) - int(rng.integers(0, 2 * wrong)))]
            names = (speakers or {}).get(code, [None])
            made.append(
                score_utterance(
                    reference, hypothesis, id=f"{code}{index}", language=code,
                    speaker=names[index % len(names)],
                )
            )  # fmt: skip
    return made


def test_counts_and_normal_form_of_the_records_do_not_matter():
    own = records()
    foreign = [
        dataclasses.replace(
            record, hypothesis=unicodedata.normalize("NFD", record.hypothesis),
            characters=EditCounts(9, 9, 9, 9), words=EditCounts(),
        )
        for record in own
    ]  # fmt: skip
    assert RunScores(foreign).numbers == RunScores(own).numbers == summarise(sum_up(own))


def test_compare_counts_what_the_page_counts():
    """Also where a text, its token taken off, still begins with what could be one."""
    texts, counts = ("[ell] gut", "[ell] gur", "deu", "deu"), (EditCounts(), EditCounts())
    own = [*records(), Record("odd", "deu", None, *texts, *counts)]
    arms = [Arm(name, [TrainingRun(Path(name), name, utterances=own)]) for name in "ab"]
    paired = pair(arms).characters
    page = RunScores(own)
    for index, code in enumerate(paired.languages):
        own_blocks = paired.language == index
        length = page.groups[code]["reference_characters"]
        assert paired.lengths[own_blocks].sum() == length
        assert paired.errors[1][0][own_blocks].sum() == pytest.approx(page.cer[code] * length)


def test_what_languages_differ_by_is_no_uncertainty_of_all_together():
    names = np.repeat(["deu", "ell", "kat"], 50)
    lengths = np.full(150, 20)
    errors = np.repeat([1, 6, 15], 50)  # no utterance differs from the others of its language
    stratified = micro_interval(make_blocks(names, errors, lengths))
    assert stratified.high - stratified.low < 0.002
    as_one = language_intervals(make_blocks(["all"] * 150, errors, lengths))["all"]
    assert as_one.high - as_one.low > 0.05


@pytest.mark.parametrize("n", [5, 12, 30])
def test_all_together_of_one_language_has_its_interval(n):
    rng = np.random.default_rng(1)
    blocks = make_blocks(["deu"] * n, rng.integers(0, 9, n), rng.integers(9, 30, n))
    assert micro_interval(blocks) == pytest.approx(language_intervals(blocks)["deu"])


def test_all_together_has_an_interval_where_single_languages_have_none():
    blocks = make_blocks(["deu"] * 3 + ["ell"] * 3, [1, 2, 3, 4, 5, 6], [9] * 6)
    assert language_intervals(blocks)["deu"].low is None
    low, high = micro_interval(blocks)[1:]
    assert 0 < low < 21 / 54 < high
    alone = make_blocks(list("abcdef"), [1, 2, 3, 4, 5, 6], [9] * 6)
    assert micro_interval(alone) == (21 / 54, None, None)
    assert micro_interval(make_blocks(["deu"] * 6, [0] * 6, [9] * 6)).high > 0


def test_nine_in_ten_intervals_of_all_together_hold_the_truth():
    rng, held = np.random.default_rng(3), 0
    truth = np.array([0.05, 0.2, 0.5])
    for trial in range(100):
        lengths = rng.integers(20, 60, (3, 12))
        blocks = make_blocks(
            np.repeat(list("abc"), 12), rng.binomial(lengths, truth[:, None]).ravel(),
            lengths.ravel(),
        )  # fmt: skip
        low, high = micro_interval(blocks, seed=trial, n_replicates=500)[1:]
        held += low <= float((truth * lengths.sum(axis=1)).sum() / lengths.sum()) <= high
    assert 90 <= held <= 99


def test_utterances_without_a_language_count_in_the_interval_of_all_together():
    named = [dataclasses.replace(record, language="deu") for record in records()]
    nameless = [dataclasses.replace(record, language=None) for record in records()]
    mixed = summarise(sum_up(nameless[:1] + named[1:]), n_replicates=100)
    assert list(mixed["languages"]) == ["deu"] and mixed["all"]["cer_low"] is not None
    one, none = (summarise(sum_up(own), n_replicates=100) for own in (named, nameless))
    assert none["languages"] == {} and none["all"] == one["all"]
    assert none["all"]["cer_low"] < none["all"]["cer"] < none["all"]["cer_high"]


@pytest.mark.parametrize(
    ("names", "few"),
    [
        ([None], None),  # nothing is known of any speaker
        (["a"], 1),
        (list("abcd"), 4),
        (list("abcde"), None),  # enough to draw from
        (["a", None], None),  # half of the utterances are each drawn by themselves
        ([f"s{i}" for i in range(40)], None),  # as many speakers as utterances
    ],
)
def test_languages_of_few_speakers_are_those_whose_blocks_are_not_speakers(names, few):
    scores = RunScores(records(speakers={"deu": names}))
    assert scores.few_speakers == ({"deu": few} if few else {})
    grouped = len(set(names) - {None}) < 40 and names != [None]
    assert (scores.groups["deu"]["block"] == "speaker") == (grouped and not few)


def test_the_number_of_blocks_is_that_of_the_split_however_many_are_drawn_together():
    many = [dataclasses.replace(record, language="deu") for record in records(300)]
    groups = summarise(sum_up(many), n_replicates=100)["languages"]
    assert groups["deu"]["n_blocks"] == groups["deu"]["n_utterances"] == 900


def test_the_mean_counts_languages_that_have_a_rate_and_no_utterances_without_a_language():
    written = {"lowers": True, "seconds": 1.0}
    own = [
        score_utterance("Ab, cd.", "Ab, ce.", id="a", language="deu", **written),
        score_utterance("", "Ab", id="b", language="kat", **written),
        score_utterance("Ab, cd.", "xy", id="c", language=None, **written),
    ]
    found = summarise(sum_up(own), n_replicates=100)
    assert found["mean"]["n_languages"] == 1 and found["mean"]["cer"] == 0.2
    assert found["as_written"]["mean"]["cer"] == 1 / 7
    none = summarise(sum_up(own[2:]), n_replicates=100)
    assert none["as_written"]["mean"]["cer"] == 1.0
    assert "most in  (" not in as_written_note(none["as_written"])


def test_one_text_among_empty_references_has_no_interval():
    """Twenty blocks, of which nineteen say nothing: the interval was the rate itself."""
    blocks = make_blocks(["deu"] * 20, [4] + [0] * 19, [20] + [0] * 19)
    assert language_intervals(blocks)["deu"] == (0.2, None, None)
