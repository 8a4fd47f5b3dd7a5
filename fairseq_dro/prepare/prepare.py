"""``fairseq-dro prepare``: from a corpus as downloaded to a folder that trains.

Read, normalise, look at the headers, split and select, convert what needs it, write. The same
command resumes after a kill; ``dataset.json`` says what the folder was made from.
``common.user_dir=FOLDER`` adds readers of your own (docs/extend.md).
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fairseq_dro.errors import UserError
from fairseq_dro.language_sets import FEW_SHOT
from fairseq_dro.prepare import command_line, shared_options
from fairseq_dro.prepare.data_folder import DataFolder
from fairseq_dro.prepare.language_choice import (
    LanguageChoice,
    choose,
    codes_or_set,
    describe_set,
)
from fairseq_dro.prepare.preparation import Preparation
from fairseq_dro.prepare.reader import MissingParts, Reader
from fairseq_dro.prepare.readers import READERS
from fairseq_dro.prepare.shared_options import SharedOptions
from fairseq_dro.text import RULES_VERSION

USER_DIR = "common.user_dir"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    corpora = parser.add_subparsers(dest="source", required=True, metavar="CORPUS")
    for reader in READERS:
        one = corpora.add_parser(reader.name, help=reader.summary, description=reader.summary)
        one.add_argument("out", type=Path, help="data folder to make")
        reader.add_arguments(one)
        command_line.add_options(one, chooses_languages=reader.chooses_languages)
        one.set_defaults(reader=reader)


def import_user_dir(words: Sequence[str]) -> list[str]:
    """The words without ``common.user_dir=FOLDER``, whose readers are known from now on.

    Raises:
        UserError: there is no such folder with a Python package.
    """
    for word in words:
        option, _, folder = word.partition("=")
        if option == USER_DIR:
            package = Path(folder).resolve()
            if not (package / "__init__.py").is_file():
                raise UserError(f"{word}: {package}/__init__.py does not exist: name its folder.")
            sys.path.insert(0, str(package.parent))
            importlib.import_module(package.name)
    return [word for word in words if not word.startswith(f"{USER_DIR}=")]


def run(args: argparse.Namespace) -> int:
    """Make the folder, or say that the same call has made it before.

    Raises:
        UserError: see the readers; or an option is out of range, the folder holds another data
            set, nothing is left to train on, the corpus cannot be read, or the disk is full.
    """
    try:
        return _prepare(args.reader, vars(args))
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError(
            f"{error.filename or args.out}: {error.strerror or error}: fix that and run the same "
            "command again."
        ) from None


def _prepare(reader_class: type[Reader], given: Mapping[str, Any]) -> int:
    choice = LanguageChoice()
    if reader_class.chooses_languages:
        choice = choose(given["languages"], given["languages_set"])
    reader = reader_class.of(given, choice, MissingParts(given["skip_missing"]))
    options = SharedOptions.of(given, reader.text_profile)
    request = {
        "reader": reader.name, "options": shared_options.as_request(given),
        "source": reader.source(),
    }  # fmt: skip
    if options.profile.has_version:
        request["text_rules"] = RULES_VERSION
    few_shot: list[str] = []
    if options.few_shot is not None:
        asked = options.few_shot_languages or FEW_SHOT
        few_shot = codes_or_set(asked, "--few-shot-languages", choice.own_table)
        request["few_shot_languages"] = describe_set(asked, few_shot)
    if choice.wanted is not None:
        asked = " ".join(filter(None, (given["languages_set"], given["languages"])))
        request["languages"] = describe_set(asked, choice.wanted)
    folder = DataFolder(options.out, request)
    folder.refuse_inputs([*reader.input_files(), *shared_options.input_files(given)])
    if folder.is_prepared(options.overwrite):
        sys.stdout.write(
            f"{options.out} is there already, made by the same command; where audio has changed "
            "since, --overwrite makes it again.\n"
        )
        return 0
    preparation = Preparation(reader, options, folder, few_shot)
    candidates = preparation.choose()
    try:
        preparation.write(candidates)
    except BrokenPipeError:  # `fairseq-dro prepare ... | head`
        raise
    except OSError as error:
        raise UserError(
            f"{error.filename or options.out} cannot be written ({error.strerror}): make room or "
            "choose another folder; the same command resumes where it stopped."
        ) from None
    return 0
