"""Whisper is the function that transformers computes, on OpenAI's base weights and real speech."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fairseq_dro.convert.pretrained_whisper import PretrainedWhisper
from fairseq_dro.convert.whisper import read_whisper
from fairseq_dro.decoding.repetition import ends_in_loop
from fairseq_dro.decoding.seq2seq import GreedySearch, detect_language
from fairseq_dro.models.whisper.dims import WhisperDims
from fairseq_dro.models.whisper.log_mel import log_mel, n_frames
from fairseq_dro.models.whisper.model import WhisperModel
from fairseq_dro.models.whisper.tokenizer import WhisperTokenizer
from tests.real_speech import Utterance, transcripts, utterances
from tests.whisper_files import config, real_or_random_folder, transformers_model

# ISO 639-3 and openai's codes
LANGUAGES = {
    "eng": "en", "deu": "de", "fra": "fr", "spa": "es", "pol": "pl", "rus": "ru", "ita": "it",
    "nld": "nl", "cmn": "zh", "ell": "el",
}  # fmt: skip
MOST_TOKENS = 40


class Loaded(NamedTuple):
    pretrained: PretrainedWhisper
    tokenizer: WhisperTokenizer
    padded: WhisperModel  # to 30 s
    true_length: WhisperModel
    theirs: Any  # of transformers


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder, _ = real_or_random_folder(tmp_path_factory.mktemp("whisper"))
    pretrained = read_whisper(str(folder))
    theirs = transformers_model(WhisperDims.of(pretrained.dims), pretrained.weights)
    models = [
        WhisperModel.of_pretrained(config(pad_to_seconds=seconds), pretrained).eval()
        for seconds in (30, 0)
    ]
    return Loaded(pretrained, WhisperTokenizer(pretrained.tokenizer), *models, theirs)


@pytest.fixture(scope="module")
def speech() -> list[Utterance]:
    """An utterance in each of ten languages."""
    return [one for language in LANGUAGES for one in utterances(language, "test", 4, 5)]


def batch_of(audio: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Samples [B, S] and the padding mask."""
    lengths = torch.tensor([len(one) for one in audio])
    source = torch.zeros(len(audio), int(lengths.max()))
    for row, one in enumerate(audio):
        source[row, : len(one)] = torch.from_numpy(one)
    return source, torch.arange(source.size(1)) >= lengths.unsqueeze(1)


def their_features(audio: list[np.ndarray], n_mels: int) -> torch.Tensor:
    from transformers import WhisperFeatureExtractor

    extractor = WhisperFeatureExtractor(feature_size=n_mels)
    return extractor(audio, sampling_rate=16_000, return_tensors="pt").input_features


@pytest.mark.parametrize("n_mels", [80, 128])
def test_log_mel_equals_that_of_transformers(speech: list[Utterance], n_mels: int) -> None:
    audio = [one.audio for one in speech[:6]]
    source, padding = batch_of(audio)
    ours, inside = log_mel(source, (~padding).sum(1), n_mels, pad_to_seconds=30)
    assert inside is None
    torch.testing.assert_close(ours, their_features(audio, n_mels), atol=1e-4, rtol=0)


def test_logits_equal_those_of_transformers(loaded: Loaded, speech: list[Utterance]) -> None:
    for language, audio, text in speech[:2]:
        tokens = loaded.tokenizer.prompt(LANGUAGES[language]) + loaded.tokenizer.encode(text)
        tokens = torch.tensor([tokens])
        with torch.no_grad():
            ours, _ = loaded.padded(torch.from_numpy(audio)[None], tokens)
            theirs = loaded.theirs(their_features([audio], 80), decoder_input_ids=tokens).logits
        assert theirs.std() > 0.1
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-5)


def test_greedy_text_and_detected_language_equal_those_of_transformers(
    loaded: Loaded, speech: list[Utterance]
) -> None:
    """Token for token, the suppress lists as the weights' own configuration has them."""
    from transformers import GenerationConfig

    pretrained, tokenizer = loaded.pretrained, loaded.tokenizer
    audio = [one.audio for one in speech]
    codes = [LANGUAGES[one.language] for one in speech]
    features = their_features(audio, 80)
    codes_of_all = list(tokenizer.languages)
    with torch.no_grad():
        states = loaded.theirs.model.encoder(features)
    common = dict(
        decoder_start_token_id=tokenizer.start, eos_token_id=tokenizer.end,
        pad_token_id=tokenizer.end, is_multilingual=True,
        lang_to_id={f"<|{code}|>": token for code, token in tokenizer.languages.items()},
        task_to_id={"transcribe": tokenizer.task_tokens[0]},
        no_timestamps_token_id=tokenizer.task_tokens[1],
    )  # fmt: skip
    loaded.theirs.generation_config = GenerationConfig(
        suppress_tokens=list(pretrained.suppress),
        begin_suppress_tokens=list(pretrained.begin_suppress), **common,
    )  # fmt: skip
    theirs = loaded.theirs.generate(
        encoder_outputs=states, language=codes, task="transcribe", max_new_tokens=MOST_TOKENS
    )
    their_languages = loaded.theirs.detect_language(
        encoder_outputs=states, generation_config=loaded.theirs.generation_config
    )

    source, padding = batch_of(audio)
    with torch.no_grad():
        encoder_out = loaded.padded.encoder(source, padding)
    search = GreedySearch(
        tokenizer.end, pretrained.suppress, pretrained.begin_suppress, stop_at_loops=False
    )
    ours = search.generate(
        loaded.padded, encoder_out, torch.tensor([tokenizer.prompt(code) for code in codes]),
        torch.full((len(codes),), MOST_TOKENS),
    )  # fmt: skip
    for one, their_tokens in zip(ours, theirs.tolist()):
        text = [token for token in their_tokens if token < tokenizer.end]
        assert one.tokens == text
        has_ended = tokenizer.end in their_tokens[-1:] or len(text) < MOST_TOKENS
        assert one.stopped == ("end" if has_ended else "limit")
    assert sum(len(one.tokens) for one in ours) > 30

    detected = detect_language(
        loaded.padded, encoder_out, tokenizer.start, list(tokenizer.languages.values())
    ).argmax(1)
    expected = [tokenizer.name_of(token)[2:-2] for token in their_languages.tolist()]
    assert [codes_of_all[index] for index in detected.tolist()] == expected


def test_no_text_that_was_really_said_is_taken_for_a_loop(loaded: Loaded) -> None:
    for text, tokens in zip(transcripts(), loaded.tokenizer.encode_all(transcripts())):
        assert not any(ends_in_loop(tokens[:n]) for n in range(len(tokens) + 1)), text


def test_at_true_length_an_utterance_alone_has_its_loss_in_a_batch(
    loaded: Loaded, speech: list[Utterance]
) -> None:
    chosen = speech[::3]  # of lengths from a word to a sentence
    tokenizer = loaded.tokenizer

    def nats(batch: list[Utterance]) -> list[float]:
        source, padding = batch_of([one.audio for one in batch])
        targets = [
            tokenizer.prompt(LANGUAGES[one.language]) + tokenizer.encode(one.text) + [tokenizer.end]
            for one in batch
        ]
        longest = max(map(len, targets))
        rows = torch.tensor([t + [tokenizer.end] * (longest - len(t)) for t in targets])
        with torch.no_grad():
            logits, _ = loaded.true_length(source, rows[:, :-1], padding)
        losses = F.cross_entropy(logits.transpose(1, 2), rows[:, 1:], reduction="none")
        return [float(loss[3 : len(t) - 1].sum()) for loss, t in zip(losses, targets)]

    alone = [nats([one])[0] for one in chosen]
    assert {n_frames(len(one.audio)) % 2 for one in chosen} == {0, 1}  # even and odd
    np.testing.assert_allclose(nats(chosen), alone, rtol=1e-4, atol=1e-4)
