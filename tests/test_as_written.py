"""Scores of texts with case and punctuation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fairseq_dro.report.score_tables import scores_text
from fairseq_dro.scoring.as_written import compression_ratio
from fairseq_dro.scoring.lower import lower_form
from fairseq_dro.scoring.rates import sum_up
from fairseq_dro.scoring.records import format_line, parse_line
from fairseq_dro.scoring.utterances import score_utterance


def record(reference: str, hypothesis: str, language: str = "deu"):
    return score_utterance(reference, hypothesis, id="a", language=language, lowers=True)


def as_written(records) -> dict:
    return sum_up(records).as_record()["as_written"]


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Guten Tag, Welt!", "deu", "guten tag welt"),
        ("It's 5 o'clock.", "eng", "it's 5 o'clock"),
        ("IŞIK İyi", "tur", "ışık iyi"),
        ("ΟΔΟΣ", "ell", "οδος"),
    ],
)
def test_the_lower_form_has_words_alone(text, language, expected):
    assert lower_form(text, language) == expected


def test_case_and_punctuation_are_errors_only_as_written():
    records = [record("Guten Tag, Welt!", "guten tag welt"), record("Ja.", "Ja.")]
    assert sum(one.characters.errors for one in records) == 0
    summary = as_written(records)
    assert summary["languages"]["deu"]["cer"] == pytest.approx(5 / 19)
    assert summary["languages"]["deu"]["wer"] == pytest.approx(3 / 4)
    assert summary["mean"]["share_looping"] == 0
    table = scores_text(sum_up(records).as_record(), "Test")
    assert "CER 26.32 %" in table


def test_a_record_keeps_both_texts():
    one = record("Guten Tag!", "guten Tag")
    again = parse_line(format_line(one), "x:1")
    assert again == one
    assert again.as_written == ("Guten Tag!", "guten Tag") and again.reference == "guten tag"


def test_a_text_that_repeats_itself_is_a_loop():
    loop = "und dann " * 30
    assert compression_ratio(loop) > 2.4 > compression_ratio("Das ist ein gewöhnlicher Satz.")
    assert compression_ratio("") == 0
    bengali = "আমার একটি ছবি তুলে দেবেন? "
    assert compression_ratio(12 * bengali) > 2.4 > compression_ratio(2 * bengali)
    assert compression_ratio("a" * 26) < 2.4 < compression_ratio("a" * 27)
    records = [record("Ja.", loop), record("Ja.", "Ja."), record("a", "a", "eng")]
    assert as_written(records)["languages"]["deu"]["share_looping"] == 0.5
    table = scores_text(sum_up(records).as_record(), "Test")
    assert "25.0 %, most in deu (50.0 %)" in table


def test_a_text_that_decoding_stopped_is_counted_however_short_it_is():
    looping = replace(record("Ja.", "jaja"), stopped="loop")
    cut = replace(record("a", "ab", "eng"), stopped="limit")
    assert parse_line(format_line(looping), "x:1") == looping
    summary = as_written([looping, cut, record("Ja.", "Ja.")])
    deu, eng = summary["languages"]["deu"], summary["languages"]["eng"]
    assert (deu["share_looping"], deu["share_at_limit"]) == (0.5, 0)
    assert (eng["share_looping"], eng["share_at_limit"]) == (0, 1)


def test_records_of_other_models_have_none():
    plain = score_utterance("a", "b", id="a", language="deu")
    assert "as_written" not in sum_up([plain]).as_record()
