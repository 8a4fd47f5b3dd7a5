"""The synthetic speech of the demo as a corpus: spoken while it is read; see ``spoken_corpus``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairseq_dro import languages as language_table
from fairseq_dro.demo import spoken_corpus, spoken_languages
from fairseq_dro.errors import UserError
from fairseq_dro.prepare.reader import Reader
from fairseq_dro.prepare.recording import Recording, Rejection
from fairseq_dro.progress import with_progress


class Espeak(Reader):
    name = "espeak"
    summary = "synthetic speech in up to 103 languages"
    text_profile = "as_is"
    chooses_languages = False

    def __init__(
        self, choice, missing, *, out: Path, languages: str, utterances: int, words: int,
        spread: float, noise_db: float, seed: int, workers: int,
    ) -> None:  # fmt: skip
        super().__init__(choice, missing)
        if not 4 <= words <= 12 or utterances < 1:
            raise UserError("prepare espeak: expected --words of 4 to 12 and --utterances above 0.")
        if spread < 1:
            raise UserError(
                f"prepare espeak: --spread {spread:g} is below 1: expected how many times the "
                "utterances of the last language the first has."
            )
        self.audio_root = out / "audio"
        chosen = spoken_languages.choose_languages(languages)
        self._n_languages = len(chosen)
        self._plan = spoken_corpus.plan_corpus(chosen, utterances, words, seed, spread, noise_db)
        self._workers = workers

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--languages", default="6", help="how many of the list, or codes: deu,kat (default: 6)"
        )
        parser.add_argument(
            "--utterances", type=int, default=1000,
            help="training utterances in all (default: 1000)",
        )  # fmt: skip
        parser.add_argument(
            "--words", type=int, default=10, help="words or phrases per language (default: 10)"
        )
        parser.add_argument(
            "--spread", type=float, default=3.0,
            help="the first language has so many times the utterances of the last (default: 3)",
        )  # fmt: skip
        parser.add_argument(
            "--noise-db", type=float, default=6.0,
            help="signal-to-noise ratio of the last language, in dB (default: 6)",
        )  # fmt: skip
        parser.add_argument("--list", action=ListLanguages, help="show the languages and stop")

    def source(self) -> dict[str, Any]:
        return {"plan": spoken_corpus.fingerprint(self._plan)}

    def recordings(self) -> Iterator[Recording | Rejection]:
        done = spoken_corpus.speak_corpus(self._plan, self.audio_root, self._workers)
        for spoken in with_progress(done, self._n_languages, "languages"):
            for utterance, path in spoken:
                yield Recording(
                    utterance_id=utterance.utterance_id,
                    language=utterance.language,
                    text=utterance.text,
                    audio=path,
                    where=utterance.utterance_id,
                    split=utterance.split,
                )


class ListLanguages(argparse.Action):
    """Write a line for each language with a voice, with some of its words, and end as --help."""

    def __init__(self, option_strings, dest, **options) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, **options)

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        for language in spoken_languages.spoken_languages().values():
            words = " ".join(spoken_languages.vocabulary(language)[:5])
            name = language_table.name_of(language.code)
            sys.stdout.write(f"{language.code}  {name:24s}  {words}\n")
        parser.exit()
