"""Which utterances get into which split, in which spelling and in which units."""

from __future__ import annotations

import unicodedata
from collections import defaultdict

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_dro.errors import UserError
from fairseq_dro.prepare.recording import SPLITS
from fairseq_dro.prepare.splits import (
    Item,
    Share,
    few_shot,
    follow_given,
    split_by_hash,
    within_seconds,
)
from fairseq_dro.prepare.units import Characters, Graphemes, Sentencepiece, train_sentencepiece
from fairseq_dro.text.profiles import PROFILES

ITEMS = st.lists(
    st.tuples(
        st.sampled_from(["deu", "nld"]), st.integers(0, 30), st.integers(0, 12),
        st.floats(0.5, 20),
    ),
    min_size=1, max_size=60,
)  # fmt: skip


def items_of(rows) -> list[Item]:
    """A speaker of 0 is unknown; texts and speakers repeat."""
    return [
        Item(f"u{index}", language, f"text {text}", f"s{speaker}" if speaker else "", seconds)
        for index, (language, text, speaker, seconds) in enumerate(rows)
    ]


@given(
    ITEMS, st.floats(0, 0.5), st.floats(0, 0.5),
    st.sampled_from([("speaker", "text"), ("speaker",), ("text",)]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_no_speaker_and_no_text_of_a_language_is_on_two_sides(rows, valid, test, together):
    items = items_of(rows)
    splits = split_by_hash(items, Share(None, valid), Share(None, test), 1, together)
    sides = defaultdict(set)
    seconds = defaultdict(float)
    for item, split in zip(items, splits):
        for kind in together:
            if getattr(item, kind):
                sides[item.language, kind, getattr(item, kind)].add(split)
        seconds[item.language, split] += item.seconds
        seconds[item.language] += item.seconds
    assert all(len(found) == 1 for found in sides.values())
    for language in {item.language for item in items}:
        total = seconds[language]
        assert seconds[language, "test"] <= 1.5 * test * total + 1e-6
        assert seconds[language, "valid"] <= 1.5 * valid * total + 1e-6
        assert seconds[language, "train"] >= 0.5 * total - 1e-6


@given(ITEMS, st.data(), st.sampled_from([("speaker", "text"), ("speaker",), ("text",)]))
@settings(max_examples=100, deadline=None)
def test_what_has_no_split_follows_its_speaker_and_its_text_or_is_left_out(rows, data, together):
    items = items_of(rows)
    given_splits = [data.draw(st.sampled_from(["", "", "train", "valid", "test"])) for _ in items]
    found = follow_given(items, given_splits, together)
    sides = defaultdict(set)
    for item, was, split in zip(items, given_splits, found):
        for kind in together if was else ():
            sides[item.language, kind, getattr(item, kind)].add(was)
        assert not was or split == was
    followed = defaultdict(set)
    for item, was, split in zip(items, given_splits, found):
        keys = [(item.language, kind, getattr(item, kind)) for kind in together]
        keys = [key for key in keys if key[2]]
        own = [sides[key] for key in keys if key in sides]
        if was:
            continue
        if split == "":
            assert not own
        elif split is None:
            assert len(set().union(*own) | {"train"}) > 1
        else:
            assert all(split in one and split == min(one, key=SPLITS.index) for one in own)
        for key in keys if split is not None else ():
            followed[key].add(split)
    assert all(len(splits) == 1 for splits in followed.values())


def test_few_rows_without_a_split_are_left_out_rather_than_heard_on_two_sides():
    items = items_of([("deu", 1, 1, 1.0), ("deu", 2, 2, 1.0), ("deu", 1, 2, 1.0),
                      ("deu", 2, 3, 1.0), ("deu", 3, 2, 1.0), ("nld", 1, 1, 1.0)])  # fmt: skip
    found = follow_given(items, ["test", "train", "", "", "", ""])
    assert found == ["test", "train", None, "train", "train", ""]
    assert follow_given(items, ["test", "train", "", "", "", ""], ["text"])[2] == "test"


@given(ITEMS, st.randoms())
@settings(max_examples=30, deadline=None)
def test_a_split_does_not_depend_on_the_order_of_the_corpus_or_on_other_languages(rows, random):
    items = items_of(rows)
    share = Share(None, 0.2)
    by_id = dict(zip((i.utterance_id for i in items), split_by_hash(items, share, share, 1)))
    shuffled = list(items)
    random.shuffle(shuffled)
    german = [item for item in shuffled if item.language == "deu"]
    for part in (shuffled, german):
        splits = split_by_hash(part, share, share, 1)
        assert {i.utterance_id: s for i, s in zip(part, splits)}.items() <= by_id.items()


def test_shares_in_seconds_are_met_and_another_seed_draws_others():
    items = items_of([("deu", n, 0, 2.0) for n in range(200)])
    splits = {seed: split_by_hash(items, Share(20.0), Share(40.0), seed) for seed in (1, 2)}
    assert (splits[1].count("valid"), splits[1].count("test")) == (10, 20)
    assert splits[1] != splits[2] and splits[2].count("test") == 20


def test_a_language_with_one_speaker_stays_whole_unless_only_texts_are_kept_together():
    items = items_of([("deu", n, 7, 1.0) for n in range(50)])
    assert set(split_by_hash(items, Share(None, 0.1), Share(None, 0.1), 1)) == {"train"}
    split = split_by_hash(items, Share(None, 0.1), Share(None, 0.1), 1, ["text"])
    assert (split.count("valid"), split.count("test")) == (5, 5)


def test_speakers_of_the_same_few_words_can_be_told_apart_by_speaker_alone():
    items = items_of([("deu", n % 4, 1 + n // 4, 1.0) for n in range(80)])
    assert set(split_by_hash(items, Share(None, 0.1), Share(None, 0.1), 1)) == {"train"}
    split = split_by_hash(items, Share(None, 0.1), Share(None, 0.1), 1, ["speaker"])
    assert (split.count("valid"), split.count("test")) == (8, 8)


def test_few_shot_keeps_the_same_n_of_the_chosen_languages_and_all_of_the_others():
    ids = [f"u{n}" for n in range(40)]
    languages = ["deu", "nld"] * 20
    stays = few_shot(ids, languages, {"nld"}, 5, seed=1)
    assert sum(s for s, c in zip(stays, languages) if c == "nld") == 5
    assert all(s for s, c in zip(stays, languages) if c == "deu")
    drawn = {one for one, s in zip(ids, stays) if s}
    back = few_shot(ids[::-1], languages[::-1], {"nld"}, 5, seed=1)
    assert {one for one, s in zip(ids[::-1], back) if s} == drawn


@given(st.lists(st.floats(0.1, 15), min_size=1, max_size=50), st.floats(0, 60))
@settings(max_examples=50, deadline=None)
def test_a_language_keeps_as_many_seconds_as_allowed_and_no_more(seconds, most):
    ids = [f"u{n}" for n in range(len(seconds))]
    stays = within_seconds(ids, ["deu"] * len(ids), seconds, most, seed=1)
    kept = sum(s for s, stay in zip(seconds, stays) if stay)
    assert kept <= most + 1e-9
    assert all(kept + s > most - 1e-9 for s, stay in zip(seconds, stays) if not stay)


@pytest.mark.parametrize(
    "profile, published, target",
    [
        ("ml_superb", "Ja, [lacht] gut! [Ende]", "JA GUT"),
        ("ml_superb", "grün 3 ¿qué?", "GRÜN 3 ¿QUÉ"),
        ("ml_superb", "[deu]", ""),
        ("keep_case", "Grün, d'Accord 3!", "Grün d'Accord"),
        ("lower", "Grün, d’Accord 3!", "grün d'accord"),
        ("as_is", "  Grün,\t3  ! ", "Grün, 3 !"),
        ("as_is", "e\u0301", "é"),
    ],
)
def test_a_profile_spells_as_it_is_stated(profile, published, target):
    assert PROFILES[profile](published) == target


@pytest.mark.parametrize("profile", sorted(PROFILES))
@given(st.text(max_size=40))
@settings(max_examples=60, deadline=None)
def test_every_profile_ends_in_nfc_with_single_spaces(profile, text):
    spelled = PROFILES[profile](text)
    assert unicodedata.is_normalized("NFC", spelled)
    assert spelled == " ".join(spelled.split())
    if profile != "ml_superb":  # upper-casing twice is another thing for a few letters
        assert PROFILES[profile](spelled) == spelled


@given(st.lists(st.text("aé\u0301ক্ষিกำ한", min_size=1), min_size=1))
@settings(max_examples=60, deadline=None)
def test_graphemes_join_to_the_words_and_never_begin_with_a_mark_that_could_be_joined(words):
    text = " ".join(words)
    labels = Graphemes().labels(text)
    assert labels.replace(" ", "").replace("|", " ").strip() == text
    clusters = [c for word in words for c in regex.findall(r"\X", word)]
    assert [unit for unit in labels.split() if unit != "|"] == clusters


def test_a_grapheme_is_one_unit_where_characters_are_several():
    assert Characters().labels("ক্ষি") == "ক ্ ষ ি |"
    assert len(Graphemes().labels("ক্ষি").split()) < 5


def test_sentencepiece_trained_twice_is_the_same_and_gives_the_text_back(tmp_path):
    texts = [f"{a}{b}l {b}{a}m" for a in "abcdefgh" for b in "aeiou"] * 3
    for name in ("a.model", "b.model"):
        train_sentencepiece(texts, 28, tmp_path / name)
    assert (tmp_path / "a.model").read_bytes() == (tmp_path / "b.model").read_bytes()
    units = Sentencepiece(tmp_path / "a.model")
    for text in texts[:5]:
        assert units.labels(text).replace(" ", "").replace("\u2581", " ").strip() == text
    with pytest.raises(UserError, match="--vocabulary-size 5000 does not suit"):
        train_sentencepiece(texts, 5000, tmp_path / "c.model")
    (tmp_path / "bad.model").write_bytes(b"no model")
    with pytest.raises(UserError, match="is not a sentencepiece model"):
        Sentencepiece(tmp_path / "bad.model")
