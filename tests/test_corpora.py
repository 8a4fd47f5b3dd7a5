"""Synthetic speech: which languages, which sentences, which samples."""

from __future__ import annotations

import unicodedata
from collections import Counter

import numpy as np
import pytest
import soundfile
from fairseq.data.data_utils import post_process
from hypothesis import given
from hypothesis import strategies as st

from fairseq_dro.demo.espeak import synthesiser
from fairseq_dro.demo.spoken_corpus import (
    SpokenUtterance,
    add_noise,
    noise_levels,
    plan_corpus,
    speak_corpus,
    synthesise,
    train_counts,
)
from fairseq_dro.demo.spoken_languages import choose_languages, spoken_languages, vocabulary
from fairseq_dro.errors import UserError
from fairseq_dro.languages import require_known
from fairseq_dro.prepare.units import Characters
from fairseq_dro.text.profiles import PROFILES

ALL = tuple(spoken_languages().values())


def test_a_hundred_languages_are_known_by_their_code_and_have_seven_words_of_their_own():
    assert len(ALL) >= 100
    for language in ALL:
        require_known(language.code, "spoken_languages.tsv")
        words = vocabulary(language)
        assert len(words) >= 7, language
        assert len(set(words)) == len(words)
        assert all(word == PROFILES["lower"](word, language.code) for word in words)
    # Babel falls back to another language's names where CLDR has none: no two may be alike
    spellings = {}
    for language in ALL:
        spellings.setdefault(vocabulary(language), []).append(language.code)
    assert [codes for codes in spellings.values() if len(codes) > 1] == []


def test_the_six_languages_of_the_demo_are_written_in_six_scripts():
    scripts = set()
    for language in choose_languages("6"):
        names = {unicodedata.name(c).split()[0] for c in "".join(vocabulary(language)[:7])}
        assert len(names - {"SPACE"}) == 1
        scripts |= names - {"SPACE"}
    assert scripts == {"LATIN", "GREEK", "CYRILLIC", "ARABIC", "DEVANAGARI", "GEORGIAN"}


def test_every_language_is_audible_and_its_words_sound_different():
    silent, alike = [], []
    for language in ALL:
        spoken = [synthesiser().speak(word, language.voice) for word in vocabulary(language)[:4]]
        if any(len(samples) < 2000 or np.abs(samples).max() < 0.01 for samples in spoken):
            silent.append(language.code)
        if len({samples.tobytes() for samples in spoken}) < len(spoken):
            alike.append(language.code)
    assert (silent, alike) == ([], [])


def test_the_same_seed_speaks_the_same_samples_on_any_number_of_workers(tmp_path):
    plan = plan_corpus(choose_languages("deu,kat,arb"), n_utterances=36, n_words=10, seed=3)
    written = {}
    for workers in (1, 3):
        folder = tmp_path / str(workers)
        paths = [path for spoken in speak_corpus(plan, folder, workers) for _, path in spoken]
        written[workers] = [(path.name, path.read_bytes()) for path in paths]
        assert soundfile.info(paths[0]).samplerate == 16_000
    assert written[1] == written[3]


def test_the_plan_depends_on_the_seed_alone():
    chosen = choose_languages("6")
    assert plan_corpus(chosen, 100, 10, seed=1) == plan_corpus(chosen, 100, 10, seed=1)
    texts = [[u.text for u in plan_corpus(chosen, 100, 10, seed=seed)] for seed in (1, 2)]
    assert texts[0] != texts[1]


@pytest.mark.parametrize("choice, n_utterances", [("6", 1000), ("100", 3000)])
def test_no_sentence_of_valid_or_test_is_heard_in_training_but_all_its_symbols_are(
    choice, n_utterances
):
    plan = plan_corpus(choose_languages(choice), n_utterances, n_words=10, seed=1)
    for code in {u.language for u in plan}:
        texts = {
            split: [u.text for u in plan if (u.language, u.split) == (code, split)]
            for split in ("train", "valid", "test")
        }
        held_out = texts["valid"] + texts["test"]
        assert len(set(held_out)) == len(held_out)
        assert not set(held_out) & set(texts["train"])
        assert set("".join(held_out)) <= set("".join(texts["train"]))


def test_the_last_language_has_fewest_utterances_and_most_noise():
    counts, levels = train_counts(6, 1000), noise_levels(6)
    assert counts == sorted(counts, reverse=True)
    for spread in (3.0, 6.0):
        first, *_, last = train_counts(4, 1000, spread)
        assert first / last == pytest.approx(spread, rel=0.02)
    assert min(level for level in levels if level is not None) == levels[-1]
    assert 0 < sum(level is not None for level in levels) < 6
    assert noise_levels(1) == [levels[-1]] and noise_levels(1, noise_db=0.0) == [0.0]


def test_every_language_has_as_many_utterances_to_test_however_few_to_train():
    plan = plan_corpus(choose_languages("4"), 400, 7, seed=1, spread=6.0, noise_db=0.0)
    for split in ("valid", "test"):
        counts = Counter(u.language for u in plan if u.split == split)
        assert set(counts.values()) == {20}
    assert {u.noise_db for u in plan if u.language == plan[-1].language} == {0.0}


def test_noise_has_the_ratio_it_is_said_to_have():
    speech = np.sin(np.arange(16_000) / 7).astype(np.float32)
    noise = add_noise(speech, 6.0, seed=5) - speech
    ratio_db = 10 * np.log10(np.mean(speech**2) / np.mean(noise**2))
    assert ratio_db == pytest.approx(6.0, abs=0.3)
    assert np.array_equal(add_noise(speech, 6.0, seed=5), add_noise(speech, 6.0, seed=5))


def test_a_script_that_the_voice_cannot_read_is_refused_by_utterance():
    monday = "\u13a4\u13be\u13d9\u13d3\u13c9\u13c5\u13af"
    cherokee = SpokenUtterance("chr_1", "test", "chr", monday, "chr", 160, 50, None, 5)
    with pytest.raises(UserError, match="stays silent.*chr_1.*leave chr out"):
        synthesise(cherokee)
    with pytest.raises(UserError, match="no voice 'xx-nothing'"):
        synthesiser().speak("a", "xx-nothing")


@pytest.mark.parametrize(
    "choice, message",
    [
        ("0", "1 to 1"),
        ("999", "1 to 1"),
        ("deu,klingon", "'klingon' is not a language that can be synthesised"),
        ("deu,deu", "each once"),
        (",", "one or more codes"),
    ],
)
def test_a_wrong_choice_of_languages_is_refused_by_name(choice, message):
    with pytest.raises(UserError, match=message):
        choose_languages(choice)


def test_too_small_a_vocabulary_is_refused_by_language():
    with pytest.raises(UserError, match="deu: 4 words do not make"):
        plan_corpus(choose_languages("deu"), 1000, n_words=4, seed=1)


@given(st.lists(st.text("abcდეé'", min_size=1), min_size=1))
def test_fairseq_reads_the_letters_back_as_the_text(words):
    text = " ".join(words)
    assert post_process(Characters().labels(text), "letter") == text
