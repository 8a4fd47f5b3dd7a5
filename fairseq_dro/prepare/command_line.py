"""The words of ``fairseq-dro prepare`` that all readers share, as ``--help`` shows them."""

from __future__ import annotations

import argparse
from pathlib import Path

from fairseq_dro.errors import UserError
from fairseq_dro.group_by import is_column
from fairseq_dro.processes import n_cores
from fairseq_dro.text.profiles import PROFILES

TAGS = ("drop", "keep")
DIGITS = ("keep", "leave-out", "leave-out-of-training", "spell")
UNITS = ("characters", "graphemes", "sentencepiece")


class GivenOnce(argparse.Action):
    """Store a list; given again it is refused, where argparse would forget the first of them."""

    _is_given = False

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        if self._is_given:
            raise argparse.ArgumentError(self, "given twice: write one list, with commas")
        self._is_given = True
        setattr(namespace, self.dest, values)


class Columns(GivenOnce):
    """Store names of columns, parted by commas.

    Raises:
        UserError: one of them cannot be a column's name, or is written anyway.
    """

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        names = values.split(",")
        for name in names:
            if not is_column(name) or name in ("language", "speaker", "corpus"):
                raise UserError(
                    f"{option_string} {values}: {name!r} is not a column to keep; expected names "
                    "of letters, digits, _ and -, and none that is written anyway (language, "
                    "speaker, corpus, tsv, ltr, lang ...)."
                )
        super().__call__(parser, namespace, names, option_string)


def add_keep(parser: argparse.ArgumentParser) -> None:
    """Add ``--keep``, for a reader whose corpus has columns of its own."""
    parser.add_argument(
        "--keep", metavar="COLUMN,COLUMN", action=Columns,
        help="columns to write beside the others, {split}.COLUMN, such as accent,gender: groups "
        "for task.group_by",
    )  # fmt: skip


def add_options(parser: argparse.ArgumentParser, *, chooses_languages: bool) -> None:
    """Add them.

    Args:
        chooses_languages: False for a reader with a ``--languages`` of its own.
    """
    if chooses_languages:
        parser.add_argument(
            "--languages", metavar="FILE|CODES", action=GivenOnce,
            help="a language table of your own (columns of languages.tsv), or codes: deu,kat",
        )  # fmt: skip
        parser.add_argument(
            "--languages-set", metavar="NAME|FILE", action=GivenOnce,
            help="only the languages of a named set, such as fleurs_102, or of such a file",
        )  # fmt: skip
    parser.add_argument(
        "--skip-missing", action="store_true", help="continue where the corpus lacks a part"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace another data set in OUT")
    parser.add_argument(
        "--workers", type=int, default=n_cores(), help="processes (default: one per core)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of everything that is drawn")

    text = parser.add_argument_group("text and units")
    text.add_argument(
        "--text-profile", choices=sorted(PROFILES), help="rule for the text; default: the corpus's"
    )
    text.add_argument(
        "--tags", choices=TAGS,
        help="such as [noise]: drop them (default), or keep each as one symbol",
    )  # fmt: skip
    text.add_argument(
        "--digits", choices=DIGITS,
        help="keep them, leave utterances with digits out, or spell numbers in words, roughly; "
        "default: lower and keep_case drop digits, and such utterances are counted",
    )  # fmt: skip
    text.add_argument("--units", choices=UNITS, default="characters")
    text.add_argument(
        "--vocabulary-size", type=int, help="of a new sentencepiece model (default: 1000)"
    )
    text.add_argument("--sentencepiece-model", type=Path, help="use this one, train none")
    text.add_argument(
        "--dictionary", type=Path,
        help="use this dictionary; utterances with symbols outside it are rejected",
    )  # fmt: skip
    text.add_argument(
        "--language-tokens", action="store_true",
        help="append [iso] of each language to the dictionary, for task.language_token=true",
    )  # fmt: skip

    choice = parser.add_argument_group("which utterances, in which split (seconds of audio)")
    choice.add_argument(
        "--splits", choices=("corpus", "hash"),
        help="hash makes new ones; so it is anyway where the corpus has none (default: corpus)",
    )  # fmt: skip
    choice.add_argument(
        "--split-by", choices=("both", "speaker", "text"), default="both",
        help="by hash: what is kept on one side, speakers (or the parts of one file, where no "
        "speaker is known) and equal texts (default), or one of them",
    )  # fmt: skip
    for split in ("valid", "test"):
        choice.add_argument(f"--{split}-seconds", type=float, help="of each language, by hash")
        choice.add_argument(
            f"--{split}-fraction", type=float,
            help="of each language's seconds, by hash (default: 0.1)",
        )  # fmt: skip
    choice.add_argument("--min-seconds", type=float, default=0.0, help="reject what is shorter")
    choice.add_argument(
        "--max-seconds", type=float,
        help="reject what is longer, in train and valid; default: the corpus's own rule",
    )  # fmt: skip
    choice.add_argument(
        "--max-seconds-per-language", type=float, help="of training audio, drawn by hash"
    )
    choice.add_argument(
        "--few-shot", type=int, metavar="N", help="training utterances of few-shot languages"
    )
    choice.add_argument(
        "--few-shot-languages", metavar="SET|CODES", action=GivenOnce,
        help="which languages --few-shot is about (default: few_shot_20)",
    )  # fmt: skip
