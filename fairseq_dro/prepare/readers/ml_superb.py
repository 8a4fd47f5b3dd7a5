"""ML-SUPERB as folders: 143 languages in 14 corpora, ten minutes or one hour of training each.

Layout and rules are those that ESPnet's ``egs2/ml_superb/asr1/local/data_prep.py`` reads::

    <root>/<corpus>/<language>/wav/<utterance id>.wav
    <root>/<corpus>/<language>/transcript_{10min,1h}_train.txt
    <root>/<corpus>/<language>/transcript_10min_{dev,test}.txt

A transcript line is ``id field text``, split at white space into three; the second field is of no
use here. Utterances over 20 s are dropped, in training by that file and in dev by the recipe that
calls it (``asr.sh``, ``max_wav_duration``); test is not filtered. Of 20 few-shot languages only
five published utterances each are trained on (``ml_superb_few_shot.tsv``). The text rule is
``ml_superb`` of ``text/profiles.py``. dev and test are those of ``10min`` for both sizes. The
folder ``org_jpn`` holds Japanese, ``lga`` Luganda. Speakers are not known.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from fairseq_dro.errors import UserError
from fairseq_dro.prepare.command_line import GivenOnce
from fairseq_dro.prepare.reader import Reader, require_folder
from fairseq_dro.prepare.recording import Recording, Rejection
from fairseq_dro.text_lines import lines_of

CORPORA = (
    "ALFFA", "LAD", "M-AILABS", "NST", "commonvoice", "fleurs", "googlei18n_asr",
    "googlei18n_tts", "mexico-el", "mls", "nchlt", "swc", "voxforge", "voxpopuli",
)
NOT_FEW_SHOT = "not one of the five training utterances of a few-shot language"
NO_TRANSCRIPT = "audio without a transcript line"


class MlSuperb(Reader):
    name = "ml-superb"
    summary = "ML-SUPERB's folders"
    text_profile = "ml_superb"
    longest_seconds = {"train": 20.0, "valid": 20.0}
    rules = (NOT_FEW_SHOT,)

    def __init__(
        self, languages, missing, *, root: Path, size: str, corpora: str | None, no_few_shot: bool
    ) -> None:
        super().__init__(languages, missing)
        self._size, self._takes_few_shot_only = size, not no_few_shot
        self.audio_root = require_folder(
            root, "the unpacked ML-SUPERB, with folders such as commonvoice/deu"
        )
        self._corpora = _names(corpora) or list(CORPORA)

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--root", type=Path, required=True, help="the unpacked corpus")
        parser.add_argument("--size", choices=("10min", "1h"), default="10min")
        parser.add_argument(
            "--corpora", action=GivenOnce,
            help=f"such as mls,fleurs (default: all of {', '.join(CORPORA)})",
        )  # fmt: skip
        parser.add_argument(
            "--no-few-shot", action="store_true",
            help="train on everything of the 20 few-shot languages",
        )  # fmt: skip

    def input_files(self) -> list[Path]:
        return list(self.audio_root.glob("*/*/transcript_*.txt"))

    def recordings(self) -> Iterator[Recording | Rejection]:
        for corpus in self._corpora:
            folder = self.audio_root / corpus
            if not folder.is_dir():
                self.missing.report(
                    f"{self.audio_root} lacks the corpus {corpus}",
                    "unpack it, or name those you have by --corpora",
                )
                continue
            for language_folder in sorted(path for path in folder.iterdir() if path.is_dir()):
                code = self.languages.code_of(
                    language_folder.name, "ml_superb", str(language_folder)
                )
                if self.languages.takes(code):
                    yield from self._language(corpus, language_folder, code)

    def _language(self, corpus: str, folder: Path, code: str) -> Iterator[Recording | Rejection]:
        if not (folder / "wav").is_dir():
            self.missing.report(f"{folder} lacks the folder wav", "unpack the corpus again")
            return
        for split, name in (
            ("train", f"transcript_{self._size}_train.txt"),
            ("valid", "transcript_10min_dev.txt"),
            ("test", "transcript_10min_test.txt"),
        ):
            if not (folder / name).is_file():
                self.missing.report(f"{folder} lacks {name}", "unpack the corpus again")
                continue
            for number, line in lines_of(folder / name):
                if line.strip():
                    yield self._utterance(line, split, f"{folder / name}:{number}", corpus, folder,
                                          code)  # fmt: skip
        # An hour's transcript may name what ten minutes leave out: only what none names is odd.
        named = {
            line.split(maxsplit=1)[0]
            for path in folder.glob("transcript_*.txt")
            for _, line in lines_of(path)
            if line.strip()
        }
        for path in sorted((folder / "wav").iterdir()):
            if path.suffix == ".wav" and path.stem not in named:
                yield Rejection(path.stem, code, "", NO_TRANSCRIPT, str(path))

    def _utterance(
        self, line: str, split: str, where: str, corpus: str, folder: Path, code: str
    ) -> Recording | Rejection:
        fields = line.split(maxsplit=2)
        utterance_id = fields[0]
        if len(fields) < 3:
            return Rejection(utterance_id, code, split, "transcript line without text", where)
        if split == "train" and self._takes_few_shot_only:
            trained = few_shot_utterances().get(code)
            if trained is not None and utterance_id not in trained:
                return Rejection(utterance_id, code, split, NOT_FEW_SHOT, where)
        return Recording(
            utterance_id=utterance_id,
            language=code,
            text=fields[2],
            audio=folder / "wav" / f"{utterance_id}.wav",
            where=where,
            split=split,
            corpus=corpus,
        )


def _names(option: str | None) -> list[str]:
    names = [name for name in (option or "").split(",") if name]
    unknown = sorted(set(names) - set(CORPORA))
    if unknown:
        raise UserError(
            f"--corpora: {unknown[0]!r} is not a corpus of ML-SUPERB: expected names among "
            f"{', '.join(CORPORA)}."
        )
    return names


@lru_cache(maxsize=1)
def few_shot_utterances() -> dict[str, frozenset[str]]:
    """Training utterances of the 20 few-shot languages: five ids by ISO 639-3 code."""
    table = files("fairseq_dro.prepare.readers").joinpath("ml_superb_few_shot.tsv")
    lines = table.read_text("utf-8").splitlines()
    rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    return {row["language"]: frozenset(row["utterances"].split()) for row in rows}
