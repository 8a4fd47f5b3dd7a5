"""Laws of the scoring layer, with jiwer and kaldialign as independent counts."""

from __future__ import annotations

import json
import random
import unicodedata

import jiwer
import kaldialign
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_dro.scoring.edits import EditCounts, count_edits, count_text_errors
from fairseq_dro.scoring.rates import Scores, sum_up
from fairseq_dro.scoring.records import Record
from fairseq_dro.scoring.text import (
    normalize,
    scored_characters,
    scored_words,
    split_language_token,
)
from fairseq_dro.scoring.utterances import score_utterance

# few symbols, so that random texts have much in common; combining marks, two scripts, one plane-1
SYMBOLS = "ab é́eñ́ß你界αभि𝄞|"
texts = st.text(alphabet=SYMBOLS, max_size=30)


def _edits(reference: str, hypothesis: str) -> EditCounts:
    return count_edits(scored_characters(reference), scored_characters(hypothesis))


@given(texts, texts)
def test_characters_are_counted_as_jiwer_counts_them(reference: str, hypothesis: str) -> None:
    reference, hypothesis = normalize(reference), normalize(hypothesis)
    if not reference:
        return  # jiwer has no rate for it; our definition has a test of its own
    theirs = jiwer.process_characters(reference, hypothesis)
    ours = _edits(reference, hypothesis)
    assert ours[:3] == (theirs.substitutions, theirs.deletions, theirs.insertions)
    assert ours.error_rate == pytest.approx(theirs.cer, abs=1e-12)


@given(texts, texts)
def test_words_are_counted_as_jiwer_counts_them(reference: str, hypothesis: str) -> None:
    if not normalize(reference):
        return
    theirs = jiwer.process_words(normalize(reference), normalize(hypothesis))
    ours = count_edits(scored_words(reference), scored_words(hypothesis))
    assert ours[:3] == (theirs.substitutions, theirs.deletions, theirs.insertions)
    assert ours.error_rate == pytest.approx(theirs.wer, abs=1e-12)


def test_ten_thousand_random_pairs_have_the_errors_kaldialign_finds() -> None:
    draw = random.Random(5)
    for _ in range(10_000):
        reference, hypothesis = (
            normalize("".join(draw.choices(SYMBOLS, k=draw.randrange(1, 25)))) for _ in range(2)
        )
        theirs = kaldialign.edit_distance(reference, hypothesis)
        ours = _edits(reference, hypothesis)
        assert ours.errors == theirs["total"]
        assert ours.deletions - ours.insertions == theirs["del"] - theirs["ins"]


@given(texts, texts)
def test_edits_add_up_to_the_lengths(reference: str, hypothesis: str) -> None:
    edits = count_edits(reference, hypothesis)
    assert len(reference) - edits.deletions + edits.insertions == len(hypothesis)
    assert edits.reference_length == len(reference)
    assert (edits.errors == 0) == (reference == hypothesis)


@given(texts, texts, st.sampled_from([None, "deu", "cmn"]))
def test_quick_and_full_counts_agree(reference: str, hypothesis: str, language: str) -> None:
    quick = count_text_errors(reference, hypothesis, language)
    full = score_utterance(reference, hypothesis, id="x", language=language, seconds=1.0)
    assert quick.char_errors == full.characters.errors
    assert quick.characters == full.characters.reference_length
    assert quick.word_errors == full.words.errors
    assert quick.words == full.words.reference_length


@given(texts, texts)
def test_composed_and_decomposed_text_score_alike(reference: str, hypothesis: str) -> None:
    decomposed = [unicodedata.normalize("NFD", text) for text in (reference, hypothesis)]
    assert count_text_errors(*decomposed) == count_text_errors(reference, hypothesis)


def test_an_accent_written_as_two_code_points_is_no_error() -> None:
    assert count_text_errors("caf\u00e9", "cafe\u0301").char_errors == 0


def test_an_empty_reference_has_insertions_but_no_rate() -> None:
    edits = count_edits("", "ab")
    assert edits == EditCounts(insertions=2)
    assert edits.error_rate is None


def test_an_empty_hypothesis_deletes_the_whole_reference() -> None:
    assert count_edits("ab", "") == EditCounts(deletions=2, reference_length=2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[deu]hallo welt", ("deu", "hallo welt")),
        (" [deu]  hallo", ("deu", "hallo")),
        ("[org_jpn]hai", ("org_jpn", "hai")),
        ("[deu]", ("deu", "")),
        ("[deu][fra]hallo", ("deu", "[fra]hallo")),
        ("hallo [deu]", (None, "hallo [deu]")),
        ("[noise] hallo", (None, "[noise] hallo")),
        ("[DEU] hallo", (None, "[DEU] hallo")),
        ("", (None, "")),
    ],
)
def test_only_a_leading_iso_token_is_taken_off(text: str, expected: tuple) -> None:
    assert split_language_token(text) == expected


def test_spaces_count_except_where_a_language_is_written_without_them() -> None:
    assert scored_characters(" a  b ", "deu") == "a b"
    for language in ("cmn", "jpn", "tha", "yue"):
        assert scored_characters("你 好", language) == "你好"
        assert count_text_errors("你 好", "你好", language).char_errors == 0
    assert count_text_errors("a b", "ab", "deu").char_errors == 1


def test_a_wrong_language_token_costs_identification_and_no_character() -> None:
    scored = score_utterance("[deu]ja", "[nld] ja", id="x", language="deu", seconds=1.0)
    assert (scored.characters.errors, scored.words.errors) == (0, 0)
    assert (scored.target_language, scored.predicted_language) == ("deu", "nld")
    assert sum_up([scored]).all.lid_accuracy == 0.0


def _utterances() -> list[Record]:
    pairs = [
        ("deu", "[deu]abcd", "[deu]abcd"),
        ("deu", "[deu]ab", "[fra]xy"),
        ("fra", "[fra]abcde fghi", "[fra]abcde fghj"),
        ("ell", "[ell]αβ", ""),
    ]
    return [
        score_utterance(reference, hypothesis, id=str(i), language=language, seconds=0.1 * (i + 1))
        for i, (language, reference, hypothesis) in enumerate(pairs)
    ]


def test_a_language_is_the_sum_of_its_utterances_and_the_mean_that_of_languages() -> None:
    scores = sum_up(_utterances())
    assert list(scores.languages) == ["deu", "ell", "fra"]
    assert scores.languages["deu"].cer == 2 / 6
    assert scores.languages["deu"].lid_accuracy == 0.5
    assert scores.languages["fra"].wer == 0.5
    assert scores.languages["ell"].n_empty_hypotheses == 1
    assert scores.mean("cer") == pytest.approx((2 / 6 + 1 / 10 + 2 / 2) / 3)
    assert scores.all.cer == pytest.approx(5 / 18)
    assert scores.worst_language() == "ell"


def test_the_order_of_utterances_changes_no_number() -> None:
    utterances = _utterances() * 50
    expected = sum_up(utterances).as_record()
    for seed in range(5):
        shuffled = random.Random(seed).sample(utterances, len(utterances))
        assert json.dumps(sum_up(shuffled).as_record()) == json.dumps(expected)


def test_a_language_without_reference_text_is_shown_but_in_no_mean() -> None:
    empty = score_utterance("", "abc", id="e", language="fin", seconds=1.0)
    scores = sum_up([*_utterances(), empty])
    assert scores.languages["fin"].cer is None
    assert scores.languages["fin"].characters.insertions == 3
    assert scores.mean("cer") == sum_up(_utterances()).mean("cer")
    assert scores.worst_language() == "ell"


def test_without_languages_there_is_one_line_for_all() -> None:
    scores = sum_up([score_utterance("ab", "ab", id="x", language=None, seconds=1.0)])
    record = scores.as_record()
    assert (record["languages"], record["mean"], record["worst"]) == ({}, None, None)
    assert record["all"]["cer"] == 0.0
    assert record["all"]["lid_accuracy"] is None


def test_no_utterance_at_all_has_no_rate() -> None:
    scores = sum_up([])
    assert isinstance(scores, Scores)
    assert json.loads(json.dumps(scores.as_record()))["all"]["cer"] is None


def test_among_equally_bad_languages_the_first_by_code_is_the_worst() -> None:
    utterances = [
        score_utterance("a", "b", id=code, language=code, seconds=1.0) for code in ("fra", "deu")
    ]
    assert sum_up(utterances).worst_language() == "deu"
