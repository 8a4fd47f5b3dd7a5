"""Whisper from a batch of audio to text, with the language given or detected."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from fairseq_dro.decoding.beam import BeamSearch
from fairseq_dro.decoding.seq2seq import GreedySearch, TextSearch, detect_language
from fairseq_dro.languages import known_languages
from fairseq_dro.models.whisper.vocabulary import WhisperVocabulary

# Shapes: B utterances, S samples.


class RecognisedText(NamedTuple):
    """One utterance."""

    text: str
    tokens: list[int]
    score: float  # log probability of the text and its end, in nats
    stopped: str  # at its own END, at the LIMIT of tokens or at a LOOP (decoding.seq2seq)
    detected: str | None  # ISO 639-3, where the language was not given


class WhisperRecogniser:
    """Encodes, detects languages where they are not given, and searches.

    Attributes:
        seconds: wall time spent so far.
    """

    def __init__(
        self, vocabulary: WhisperVocabulary, sample_rate: int, *, stop_at_loops: bool = True
    ) -> None:
        self.vocabulary = vocabulary
        self.sample_rate = sample_rate
        self.seconds = 0.0
        self.stop_at_loops = stop_at_loops
        self.use_beam(1)
        self._language_of = _languages_of_tokens(vocabulary)

    def use_beam(self, beam: int) -> None:
        """Search greedily (1), or with a beam of this width from here on."""
        vocabulary = self.vocabulary
        rules = vocabulary.suppress, vocabulary.begin_suppress
        self.search: TextSearch = (
            BeamSearch(vocabulary.dictionary, beam, *rules, stop_at_loops=self.stop_at_loops)
            if beam > 1
            else GreedySearch(vocabulary.tokenizer.end, *rules, stop_at_loops=self.stop_at_loops)
        )

    @torch.no_grad()
    def recognise(
        self,
        model: Any,
        source: torch.Tensor,
        padding_mask: torch.Tensor | None,
        languages: Sequence[str | None],
    ) -> list[RecognisedText]:
        """Texts of a batch.

        Args:
            source: [B, S] audio, zeros behind each end.
            padding_mask: [B, S] True behind the end of an utterance.
            languages: B ISO 639-3 codes; None, or one without a token: to be detected.
        """
        started = time.perf_counter()
        encoder_out = model.encoder(source, padding_mask)
        tokens = [language and self.vocabulary.token_of(language) for language in languages]
        detected: list[str | None] = [None] * len(tokens)
        if None in tokens:
            known = list(self._language_of)
            scores = detect_language(
                model, encoder_out, self.vocabulary.tokenizer.start, known
            )
            for row, best in enumerate(scores.argmax(1).tolist()):
                if tokens[row] is None:
                    tokens[row], detected[row] = known[best], self._language_of[known[best]]
        start, task = self.vocabulary.tokenizer.start, self.vocabulary.tokenizer.task_tokens
        prompts = torch.tensor([[start, token, *task] for token in tokens], device=source.device)
        n_samples = [source.size(1)] * len(source)
        if padding_mask is not None:
            n_samples = (~padding_mask).sum(1).tolist()
        limits = torch.tensor(
            [
                self.vocabulary.token_limit(given or found, n / self.sample_rate)
                for given, found, n in zip(languages, detected, n_samples)
            ]
        )
        hypotheses = self.search.generate(model, encoder_out, prompts, limits)
        self.seconds += time.perf_counter() - started
        return [
            RecognisedText(
                self.vocabulary.tokenizer.decode(one.tokens),
                one.tokens, one.score, one.stopped, iso,
            )
            for one, iso in zip(hypotheses, detected)
        ]  # fmt: skip


def _languages_of_tokens(vocabulary: WhisperVocabulary) -> dict[int, str]:
    """ISO 639-3 code by language token: of the languages of training that whose own token it is,
    else one that was given it; of a token that training did not use, the first in the table.
    """
    of_training = vocabulary.language_codes
    codes = {code: language for language, code in of_training.items()}
    for language in known_languages().values():
        if language.whisper and of_training.get(language.code) == language.whisper:
            codes[language.whisper] = language.code
        elif language.whisper:
            codes.setdefault(language.whisper, language.code)
    return {
        token: codes.get(code, code) for code, token in vocabulary.tokenizer.languages.items()
    }
