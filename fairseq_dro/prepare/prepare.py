"""``fairseq-dro prepare``: from a corpus as downloaded to a folder that trains.

Read, normalise, look at the headers, split and select, convert what needs it, write. The same
command resumes after a kill; ``dataset.json`` says what the folder was made from.
``common.user_dir=FOLDER`` adds readers of your own (docs/extend.md).
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from fairseq_dro.errors import UserError
from fairseq_dro.language_sets import FEW_SHOT
from fairseq_dro.prepare import (
    audio_pool,
    conversion,
    data_set,
    dataset_record,
    labelling,
    losses,
    selection,
    shared_options,
)
from fairseq_dro.prepare.audio_files import require_decoders
from fairseq_dro.prepare.candidate import Candidate
from fairseq_dro.prepare.data_folder import DataFolder
from fairseq_dro.prepare.descriptions import named_list
from fairseq_dro.prepare.language_choice import (
    LanguageChoice,
    choose,
    codes_or_set,
    describe_set,
)
from fairseq_dro.prepare.reader import MissingParts, Reader
from fairseq_dro.prepare.readers import READERS
from fairseq_dro.prepare.readers.espeak import Espeak, list_spoken_languages
from fairseq_dro.prepare.recording import SPLITS, Rejection
from fairseq_dro.prepare.rejected import count_rejected, write_rejected
from fairseq_dro.prepare.text_census import TextCensus
from fairseq_dro.progress import with_progress
from fairseq_dro.text import RULES_VERSION
from fairseq_dro.text.profiles import PROFILES

logger = logging.getLogger(__name__)

USER_DIR = "common.user_dir"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    corpora = parser.add_subparsers(dest="source", required=True, metavar="CORPUS")
    for reader in READERS:
        one = corpora.add_parser(reader.name, help=reader.summary, description=reader.summary)
        is_espeak = reader is Espeak
        one.add_argument("out", nargs="?" if is_espeak else None, type=Path,
                         help="data folder to make")  # fmt: skip
        reader.add_arguments(one)
        shared_options.add_options(one, chooses_languages=not is_espeak)
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
        return _prepare(args)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError(
            f"{error.filename or args.out}: {error.strerror or error}: see to it and give the same "
            "command again."
        ) from None


def _prepare(args: argparse.Namespace) -> int:
    if getattr(args, "list", False):
        return list_spoken_languages()
    if args.out is None:
        raise UserError(f"prepare {args.source}: name the data folder to make.")
    shared_options.check(args)
    is_espeak = args.reader is Espeak
    choice = LanguageChoice() if is_espeak else choose(args.languages, args.languages_set)
    missing = MissingParts(args.skip_missing)
    reader = args.reader(args, choice, missing)
    request = {
        "reader": reader.name, "options": shared_options.as_request(args), "source": reader.source()
    }  # fmt: skip
    profile = args.text_profile or reader.text_profile
    shared_options.check_text(args, profile)
    if PROFILES[profile].has_version:
        request["text_rules"] = RULES_VERSION
    few_shot: list[str] = []
    if args.few_shot is not None:
        asked = args.few_shot_languages or FEW_SHOT
        few_shot = codes_or_set(asked, "--few-shot-languages", choice.own_table)
        request["few_shot_languages"] = describe_set(asked, few_shot)
    if choice.wanted is not None:
        asked = " ".join(filter(None, (args.languages_set, args.languages)))
        request["languages"] = describe_set(asked, choice.wanted)
    folder = DataFolder(args.out, request)
    folder.refuse_inputs([*reader.input_files(), *shared_options.input_files(args)])
    if folder.is_prepared(args.overwrite):
        sys.stdout.write(f"{args.out} is there already, made by the same command.\n")
        return 0
    rejected: list[Rejection] = []
    census = TextCensus(profile, args)
    candidates = _choose(reader, args, few_shot, census, rejected)
    _report_absent_languages(candidates, rejected, choice, reader)
    folder.refuse_converted(
        c.recording.audio for c in candidates if isinstance(c.recording.audio, Path)
    )
    symbols = set(labelling.symbols_of(args.dictionary)) if args.dictionary else None
    tokens = labelling.tokens_of(args, symbols, candidates)
    try:
        _require_training((c.split for c in candidates), rejected, args, folder)
        looked_for = {one.language for one in rejected}
        chosen = {c.recording.language for c in candidates}
        _require_languages(looked_for, chosen, rejected, reader, folder)
        folder.begin()
        encoder = labelling.units_of(args, candidates)
        labelled = labelling.label(candidates, encoder, symbols, rejected)
        utterances, adjusted = conversion.converted(labelled, args, rejected)
        _require_training((u.split for u in utterances), rejected, args, folder)
        left = {u.language for u in utterances}
        _require_languages(chosen, left, rejected, reader, folder)
        if symbols is None:
            units = dataset_record.units_beyond_training(utterances)
        else:  # of what was left out for it, too: of the rest it has everything
            units = dataset_record.units_beyond(
                symbols, ((c.recording.language, c.label) for c in candidates)
            )
        census.add_numbers(labelled)
        data_set.write(
            folder, utterances, encoder, tokens, units, reader, args, census, rejected, adjusted
        )
        return 0
    except BrokenPipeError:  # `fairseq-dro prepare ... | head`
        raise
    except OSError as error:
        raise UserError(
            f"{error.filename or args.out} cannot be written ({error.strerror}): make room or "
            "choose another folder; the same command resumes where it stopped."
        ) from None


def _choose(
    reader: Reader, args: argparse.Namespace, few_shot: list[str], census: TextCensus,
    rejected: list[Rejection],
) -> list[Candidate]:  # fmt: skip
    items = with_progress(reader.recordings(), None, "utterances so far")
    candidates = selection.normalise(items, census.profile, args, census, rejected)
    if candidates:
        shared_options.refuse_idle_shares(args, all(candidate.split for candidate in candidates))
    require_decoders([c.recording.audio for c in candidates])
    jobs = [candidate.job() for candidate in candidates]
    candidates = selection.with_audio(candidates, audio_pool.probe(jobs, args.workers), rejected)
    candidates = selection.assign_splits(candidates, args, rejected)
    candidates = selection.select(
        candidates, reader.longest_seconds, args, few_shot, rejected
    )
    for sentence in _what_splits_lack(candidates, args):
        logger.info(sentence)
    return candidates


def _what_splits_lack(candidates: list[Candidate], args: argparse.Namespace) -> list[str]:
    """A sentence for each reason why languages have nothing in a split."""
    told = []
    lacking = {split: selection.languages_without(candidates, split) for split in SPLITS}
    by_hash = any(candidate.split != candidate.recording.split for candidate in candidates)
    alone = set()
    if by_hash and args.split_by != "text":
        both = set(lacking["valid"]) & set(lacking["test"])
        alone = both & selection.languages_of_one_speaker(candidates)
    if alone:
        have = "has one speaker" if len(alone) == 1 else "have one speaker each"
        told.append(
            f"{named_list(sorted(alone))} {have}, so no valid and test: add --split-by text"
        )
    for split, advice in (
        ("train", ", so training will refuse them: get training audio or leave them out"),
        *((split, " (by hash: see --split-by)" if by_hash else "") for split in ("valid", "test")),
    ):
        without = [code for code in lacking[split] if code not in alone]
        if without:
            told.append(f"languages with nothing in {split}{advice}: {' '.join(without)}")
    return told


def _report_absent_languages(candidates, rejected, choice: LanguageChoice, reader: Reader) -> None:
    found = {c.recording.language for c in candidates} | {one.language for one in rejected}
    absent = sorted(choice.wanted - found) if choice.wanted else []
    if absent:
        reader.missing.report(
            f"{reader.audio_root} holds no utterance of {' '.join(absent)}", "download them"
        )


def _require_languages(
    wanted: set[str], left: set[str], rejected: list[Rejection], reader: Reader,
    folder: DataFolder,
) -> None:  # fmt: skip
    """Raises UserError where nothing is left of a wanted language, unless that is skipped."""
    lost = losses.gone(wanted - left, rejected)
    if lost and not reader.missing.skip and not folder.is_replaced:
        folder.begin()
        write_rejected(folder.path, rejected)
    losses.report_gone(lost, reader.missing)


def _require_training(
    splits: Iterable[str], rejected: list[Rejection], args: argparse.Namespace, folder: DataFolder
) -> None:
    """Raises UserError where no utterance is left to train on; leaves another data set alone."""
    if "train" in splits:
        return
    counts = count_rejected(rejected)
    if counts:
        reason, by_language = next(iter(counts.items()))
        example = next(one for one in rejected if one.reason == reason)
        why = (
            f"{len(rejected)} were left out, most often because of: {reason} "
            f"({sum(by_language.values())} times; first {example.where} {example.detail}".rstrip()
            + ")"
        )
        if not folder.is_replaced:
            folder.begin()
            write_rejected(args.out, rejected)
            why += f"; all are in {args.out / 'rejected.tsv'}"
    elif args.languages or getattr(args, "languages_set", None):
        why = "the corpus has none in the languages that were asked for"
    else:
        why = "the corpus has none"
    raise UserError(f"No utterance is left in the split 'train': {why}.")
