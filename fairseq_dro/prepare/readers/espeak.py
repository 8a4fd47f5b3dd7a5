"""The synthetic speech of the demo as a corpus: spoken while it is read; see ``spoken_corpus``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
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

    def __init__(self, args, languages, missing) -> None:
        super().__init__(args, languages, missing)
        if not 4 <= args.words <= 12 or args.utterances < 1:
            raise UserError("prepare espeak: expected --words of 4 to 12 and --utterances above 0.")
        self.audio_root = args.out / "audio"
        chosen = spoken_languages.choose_languages(args.languages)
        self._n_languages = len(chosen)
        self._plan = spoken_corpus.plan_corpus(chosen, args.utterances, args.words, args.seed)

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
        parser.add_argument("--list", action="store_true", help="show the languages and stop")

    def source(self) -> dict[str, Any]:
        return {"plan": spoken_corpus.fingerprint(self._plan)}

    def recordings(self) -> Iterator[Recording | Rejection]:
        done = spoken_corpus.speak_corpus(self._plan, self.audio_root, self.args.workers)
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


def list_spoken_languages() -> int:
    """Write a line for each language with a voice, with some of its words."""
    for language in spoken_languages.spoken_languages().values():
        words = " ".join(spoken_languages.vocabulary(language)[:5])
        name = language_table.name_of(language.code)
        sys.stdout.write(f"{language.code}  {name:24s}  {words}\n")
    return 0
