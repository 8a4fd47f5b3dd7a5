"""Options that every reader of ``fairseq-dro prepare`` shares."""

from __future__ import annotations

import argparse
import hashlib
import os
from pathlib import Path

from fairseq_dro.errors import UserError
from fairseq_dro.group_by import is_column
from fairseq_dro.prepare.numerals import require_num2words
from fairseq_dro.processes import n_cores
from fairseq_dro.text.profiles import PROFILES

FILE_OPTIONS = (
    "dictionary", "sentencepiece_model", "languages", "languages_set", "few_shot_languages"
)  # fmt: skip
VOCABULARY_SIZE = 1000
HELD_OUT_FRACTION = 0.1
TAGS = ("drop", "keep")
DIGITS = ("keep", "leave-out", "leave-out-of-training", "spell")
UNITS = ("characters", "graphemes", "sentencepiece")
NO_INFLUENCE = ("workers", "overwrite", "command", "run", "reader", "out", "list")
"""Arguments that do not change what is prepared."""


class GivenOnce(argparse.Action):
    """Store a list; given again it is refused, where argparse would forget the first of them."""

    _is_given = False

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        if self._is_given:
            raise argparse.ArgumentError(self, "given twice: write one list, with commas")
        self._is_given = True
        setattr(namespace, self.dest, values)


def add_keep(parser: argparse.ArgumentParser) -> None:
    """Add ``--keep``, for a reader whose corpus has columns of its own."""
    parser.add_argument(
        "--keep", metavar="COLUMN,COLUMN", action=GivenOnce, type=lambda names: names.split(","),
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
        help="by hash: what is kept on one side, speakers and equal texts (default) or one of them",
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


def check(args: argparse.Namespace) -> None:
    """Values are in range, and no option contradicts or idles beside another.

    Raises:
        UserError: with the option's name.
    """
    for name in ("valid_fraction", "test_fraction"):
        value = getattr(args, name)
        if value is not None and not 0 <= value <= 0.5:
            raise UserError(f"{_option(name)}: expected 0 to 0.5, found {value:g}.")
    for name in ("valid", "test"):
        if None not in (getattr(args, f"{name}_fraction"), getattr(args, f"{name}_seconds")):
            raise UserError(
                f"--{name}-fraction and --{name}-seconds contradict each other: leave one out."
            )
    if args.few_shot_languages is not None and args.few_shot is None:
        raise UserError("--few-shot-languages needs --few-shot N, how many utterances to keep.")
    if getattr(args, "validated", False) and args.splits == "corpus":
        raise UserError(
            "--validated and --splits corpus contradict each other: validated.tsv has no splits; "
            "leave one out."
        )
    for name in (
        "valid_seconds", "test_seconds", "min_seconds", "max_seconds", "max_seconds_per_language",
        "few_shot",
    ):  # fmt: skip
        value = getattr(args, name)
        if value is not None and not value >= 0:
            raise UserError(f"{_option(name)}: expected 0 or more, found {value:g}.")
    for name in getattr(args, "keep", None) or ():
        if not is_column(name) or name in ("language", "speaker", "corpus"):
            raise UserError(
                f"--keep {','.join(args.keep)}: {name!r} is no column to keep; expected names of "
                "letters, digits, _ and -, and none that is written anyway (language, speaker, "
                "corpus, tsv, ltr, lang ...)."
            )
    for name in ("workers", "vocabulary_size"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise UserError(f"{_option(name)}: expected 1 or more, found {getattr(args, name)}.")
    for name in ("dictionary", "sentencepiece_model"):
        path = getattr(args, name)
        if path is not None and not path.is_file():
            raise UserError(f"{_option(name)}: {path} does not exist.")
    if args.vocabulary_size is not None and (
        args.units != "sentencepiece" or args.sentencepiece_model is not None
    ):
        raise UserError(
            "--vocabulary-size is of a new sentencepiece model: it needs --units sentencepiece, "
            "and no --sentencepiece-model."
        )
    if args.sentencepiece_model is not None and args.units != "sentencepiece":
        raise UserError("--sentencepiece-model needs --units sentencepiece.")
    if args.units == "sentencepiece" and args.dictionary and not args.sentencepiece_model:
        raise UserError(
            "--dictionary with --units sentencepiece needs the model that the dictionary was made "
            "with: add --sentencepiece-model."
        )


def check_text(args: argparse.Namespace, name: str) -> None:
    """``--tags`` and ``--digits`` are something that the text profile can do.

    Raises:
        UserError: they are not; or what spells numbers is not installed.
    """
    profile = PROFILES[name]
    if args.tags is not None and not profile.knows_tags:
        raise UserError(
            f"--tags {args.tags} is not for the text profile {name}, which has a rule of its own "
            "for brackets: leave it out, or add --text-profile lower."
        )
    if args.digits == "keep" and not profile.drops_numbers:
        raise UserError(
            f"--digits keep has no effect, because the text profile {name} keeps digits: leave it "
            "out."
        )
    if args.digits == "spell":
        require_num2words()


def refuse_idle_shares(args: argparse.Namespace, all_have_splits: bool) -> None:
    """Shares of valid and test are not asked for where nothing is split by hash.

    Raises:
        UserError: they are.
    """
    names = ("valid_fraction", "test_fraction", "valid_seconds", "test_seconds")
    given = [_option(name) for name in names if getattr(args, name) is not None]
    if given and all_have_splits and args.splits != "hash":
        raise UserError(
            f"{given[0]} has no effect, because the corpus has a split for every utterance: add "
            "--splits hash for new ones, or leave it out."
        )


def as_request(args: argparse.Namespace) -> dict[str, object]:
    """The options that decide what is prepared, for JSON; paths are absolute, files have a sum."""
    sums = {
        f"{name}_sha256": hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in _named_files(args).items()
    }
    return sums | {
        name: str(value.resolve()) if isinstance(value, Path) else value
        for name, value in sorted(vars(args).items())
        if name not in NO_INFLUENCE
    }


def input_files(args: argparse.Namespace) -> list[Path]:
    """Files that options name and the preparation reads."""
    return list(_named_files(args).values())


def _named_files(args: argparse.Namespace) -> dict[str, Path]:
    named = {name: getattr(args, name, None) for name in FILE_OPTIONS}
    # os.path's isfile, for Path's stops at a long list of codes
    return {name: Path(value) for name, value in named.items() if value and os.path.isfile(value)}


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
