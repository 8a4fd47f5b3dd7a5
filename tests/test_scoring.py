"""Laws of the scoring layer, with jiwer and kaldialign as independent counts."""

from __future__ import annotations

import json
import random
import statistics
import unicodedata
from collections.abc import Iterator

import jiwer
import kaldialign
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_dro.language_sets import FEW_SHOT, read_set
from fairseq_dro.scoring.convention import Convention, ml_superb_text
from fairseq_dro.scoring.edits import EditCounts, count_edits, count_sclite_edits
from fairseq_dro.scoring.rates import Scores, sum_up
from fairseq_dro.scoring.records import Record
from fairseq_dro.scoring.summary import summarise
from fairseq_dro.scoring.text import (
    normalize,
    scored_characters,
    scored_words,
    split_language_token,
)
from fairseq_dro.scoring.utterances import count_text_errors, score_utterance

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


def _random_pairs(n: int) -> Iterator[tuple[str, str]]:
    draw = random.Random(5)
    for _ in range(n):
        yield tuple(
            normalize("".join(draw.choices(SYMBOLS, k=draw.randrange(0, 25)))) for _ in range(2)
        )


def test_ten_thousand_random_pairs_have_the_errors_jiwer_and_kaldialign_find() -> None:
    for reference, hypothesis in _random_pairs(10_000):
        ours = _edits(reference, hypothesis)
        theirs = kaldialign.edit_distance(reference, hypothesis)
        assert ours.errors == theirs["total"]
        assert ours.deletions - ours.insertions == theirs["del"] - theirs["ins"]
        if reference:
            theirs = jiwer.process_characters(reference, hypothesis)
            assert ours[:3] == (theirs.substitutions, theirs.deletions, theirs.insertions)


def test_sclites_costs_can_find_more_errors() -> None:
    assert count_sclite_edits("", "") == EditCounts()
    assert count_sclite_edits("abcx", "xabc") == EditCounts(0, 1, 1, 4)
    words = ["ein", "zwei", "drei"]
    assert count_sclite_edits(words, ["ein", "drei", "vier"]) == EditCounts(0, 1, 1, 3)


@given(texts, texts)
def test_edits_add_up_to_the_lengths(reference: str, hypothesis: str) -> None:
    edits = count_edits(reference, hypothesis)
    assert len(reference) - edits.deletions + edits.insertions == len(hypothesis)
    assert edits.reference_length == len(reference)
    assert (edits.errors == 0) == (reference == hypothesis)


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
        ("[hes] hallo", (None, "[hes] hallo")),
        ("[spn]", (None, "[spn]")),
        ("[DEU] hallo", (None, "[DEU] hallo")),
        ("", (None, "")),
    ],
)
def test_only_a_leading_iso_token_is_taken_off(text: str, expected: tuple) -> None:
    assert split_language_token(text) == expected


def test_a_word_in_brackets_is_text_and_no_language() -> None:
    scored = score_utterance("[hes] ja", "[hes] ja", id="x", language="deu")
    assert (scored.target_language, scored.predicted_language) == (None, None)
    assert scored.reference == "[hes] ja" and scored.characters.reference_length == 8
    missed = score_utterance("ja", "[hes] ja", id="x", language="deu")
    assert missed.predicted_language is None and missed.characters.insertions == 6
    assert count_text_errors("ja", "[hes] ja", "deu").char_errors == 6


def test_codes_of_a_table_of_ones_own_are_language_tokens() -> None:
    right = score_utterance("[xqa_b] ja", "[xqa_b] ja", id="x", language="xqa_b")
    assert (right.target_language, right.predicted_language) == ("xqa_b", "xqa_b")
    assert right.reference == right.hypothesis == "ja"
    taken_for_another = score_utterance("[xqa] ja", "[xqb] ja", id="x", language="xqa")
    assert taken_for_another.predicted_language == "xqb"
    assert taken_for_another.characters.errors == 0
    other = score_utterance("[deu] ja", "[hes] ja", id="x", language="deu")  # a wrong guess
    assert other.predicted_language == "hes" and other.characters.errors == 0


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


# --- conventions ---


def test_a_grapheme_cluster_is_one_character_however_many_code_points_it_has() -> None:
    record = score_utterance("किताब", "कताब", id="x", language="hin")
    assert record.characters == EditCounts(deletions=1, reference_length=5)
    by_cluster = Convention(unit="grapheme").score(record)
    assert by_cluster.characters == EditCounts(substitutions=1, reference_length=3)
    assert by_cluster.words == record.words
    flags = score_utterance("\U0001f1e9\U0001f1ea", "", id="x", language=None)
    assert Convention(unit="grapheme").score(flags).characters.reference_length == 1


@given(texts, texts, st.sampled_from([None, "deu", "cmn"]))
def test_the_default_convention_changes_no_count(
    reference: str, hypothesis: str, language: str | None
) -> None:
    record = score_utterance(reference, hypothesis, id="x", language=language)
    assert Convention().score(record) == record


def test_hypotheses_in_nfd_are_counted_as_in_nfc_also_in_records_of_others() -> None:
    wrong = EditCounts(3, 3, 3, 3)
    texts = ("é ü 가", unicodedata.normalize("NFD", "é ü 가"))
    record = Record("x", "deu", 1.0, *texts, None, None, wrong, wrong)
    for convention in (Convention(), Convention("ml_superb"), Convention(unit="grapheme")):
        assert convention.score(record).characters.errors == 0


def test_ml_superb_text_is_upper_case_without_any_punctuation() -> None:
    assert ml_superb_text("I'll be – “here”, ok?", "eng") == "ILL BE  HERE OK"
    assert ml_superb_text("我 想去。餐厅", "cmn") == "我想去餐厅"
    assert ml_superb_text("straße", "deu") == "STRASSE"
    assert ml_superb_text("…", "deu") == ""


def _superb_cer(reference: str, hypothesis: str, language: str) -> float | None:
    """By the description of ESPnet's ml_superb2 scoring, with jiwer."""
    texts = []
    for text in (reference, hypothesis):
        if language in ("cmn", "jpn", "tha", "yue"):
            text = "".join(text.split())
        text = "".join(c for c in text if not unicodedata.category(c).startswith("P"))
        texts.append(text.upper())
    return jiwer.cer(*texts) if texts[0] else None


def test_the_profile_ml_superb_gives_the_challenges_numbers() -> None:
    draw = random.Random(3)
    codes = [*read_set(FEW_SHOT)[:3], "deu", "cmn", "tha", "ell", "fra", "fin", "est", "ita",
             "spa", "por", "nld", "pol", "rus", "swe", "hun"]  # fmt: skip
    letters = "abcdeéß你界 .,'"
    lines = []
    for number in range(600):
        code = codes[number % len(codes)]
        reference = normalize("".join(draw.choices(letters, k=draw.randrange(1, 30))))
        hypothesis = normalize("".join(c for c in reference if draw.random() > 0.3) + "x")
        token = f"[{draw.choice(codes)}] " if draw.random() < 0.5 else f"[{code}] "
        token = "" if draw.random() < 0.1 else token  # forgot the token: five characters are lost
        lines.append((code, f"[{code}] {reference}", token + hypothesis))
    cers: dict[str, list[float]] = {}
    right: dict[str, list[bool]] = {}
    for code, reference, hypothesis in lines:
        cer = _superb_cer(reference[5:].strip(), hypothesis[5:].strip(), code)
        if cer is not None:
            cers.setdefault(code, []).append(cer)
            right.setdefault(code, []).append(hypothesis[:5] == f"[{code}]")

    def expected(chosen: list[str]) -> dict[str, float]:
        means = sorted((statistics.fmean(cers[code]) for code in chosen), reverse=True)
        return {
            "n_languages": len(chosen),
            "cer": statistics.fmean(means),
            "cer_sd": statistics.stdev(means),
            "worst_15_cer": statistics.fmean(means[:15]),
            "lid_accuracy": statistics.fmean(statistics.fmean(right[code]) for code in chosen),
        }

    convention = Convention("ml_superb")
    scored = (
        convention.score(score_utterance(reference, hypothesis, id=str(i), language=code))
        for i, (code, reference, hypothesis) in enumerate(lines)
    )
    found = summarise(sum_up(scored, convention), n_replicates=200)["ml_superb"]
    sets = {"all": codes, "few_shot": codes[:3], "normal": codes[3:]}
    assert len(cers) == len(codes)
    for name, chosen in sets.items():
        for key, value in expected(chosen).items():
            assert found[name][key] == pytest.approx(value, abs=1e-9), (name, key)


def test_empty_hypotheses_and_confused_languages_are_counted() -> None:
    records = [
        score_utterance("[deu] ja", "[deu] ja", id="a", language="deu"),
        score_utterance("[deu] ja", "[nld] ja", id="b", language="deu"),
        score_utterance("[deu] ja", "", id="c", language="deu"),
        score_utterance("[fra] oui", "[fra]", id="d", language="fra"),
    ]
    record = sum_up(records).as_record()
    assert record["lid_confusion"] == {
        "deu": {"deu": 1, "nld": 1, "none": 1}, "fra": {"fra": 1}
    }  # fmt: skip
    assert record["languages"]["deu"]["empty_hypothesis_rate"] == pytest.approx(1 / 3)
    assert record["languages"]["fra"]["empty_hypothesis_rate"] == 1.0
    assert record["all"]["n_empty_hypotheses"] == 2
