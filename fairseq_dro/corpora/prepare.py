"""``fairseq-dro prepare``: make a data folder from synthetic speech or a table of recordings."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from fairseq_dro import languages
from fairseq_dro.corpora import speech_table, spoken_corpus, spoken_languages
from fairseq_dro.data.manifest_writer import SAMPLE_RATE, Utterance, write_data_folder
from fairseq_dro.errors import UserError

logger = logging.getLogger(__name__)

RECEIPT = "prepared.json"  # written last: says what the folder was made from


def add_arguments(parser: argparse.ArgumentParser) -> None:
    sources = parser.add_subparsers(dest="source", required=True, metavar="SOURCE")

    espeak = sources.add_parser("espeak", help="synthetic speech in up to 103 languages")
    espeak.add_argument("out", nargs="?", type=Path, help="data folder to make")
    espeak.add_argument(
        "--languages", default="6", help="how many of the list, or codes: deu,kat (default: 6)"
    )
    espeak.add_argument(
        "--utterances", type=int, default=1000, help="training utterances in all (default: 1000)"
    )
    espeak.add_argument(
        "--words", type=int, default=10, help="words or phrases per language (default: 10)"
    )
    espeak.add_argument("--seed", type=int, default=1)
    espeak.add_argument("--workers", type=int, help="processes (default: one per core)")
    espeak.add_argument("--list", action="store_true", help="show the languages and stop")

    table = sources.add_parser("table", help="recordings listed in a tab-separated table")
    table.add_argument("out", type=Path, help="data folder to make")
    table.add_argument("--table", type=Path, required=True, help="such as corpus.tsv")
    table.add_argument("--audio-root", type=Path, help="default: the table's folder")


def run(args: argparse.Namespace) -> int:
    """Make the folder, or say that the same call has made it before.

    Raises:
        UserError: see the readers; or the folder was made from something else.
    """
    if args.source == "espeak":
        return _espeak(args)
    return _table(args)


def _espeak(args: argparse.Namespace) -> int:
    if args.list:
        for language in spoken_languages.spoken_languages().values():
            words = " ".join(spoken_languages.vocabulary(language)[:5])
            name = languages.name_of(language.code)
            sys.stdout.write(f"{language.code}  {name:24s}  {words}\n")
        return 0
    if args.out is None:
        raise UserError("prepare espeak: name the data folder to make.")
    if not 4 <= args.words <= 12 or args.utterances < 1:
        raise UserError("prepare espeak: expected --words of 4 to 12 and --utterances above 0.")
    chosen = spoken_languages.choose_languages(args.languages)
    plan = spoken_corpus.plan_corpus(chosen, args.utterances, args.words, args.seed)
    receipt = {"source": "espeak", "plan": spoken_corpus.fingerprint(plan)}
    if _is_prepared(args.out, receipt):
        return 0
    audio = args.out / "audio"
    utterances: list[Utterance] = []
    done = spoken_corpus.speak_corpus(plan, audio, args.workers)
    for spoken in _with_progress(done, len(chosen), "languages"):
        utterances += spoken
    return _finish(args.out, utterances, audio, receipt)


def _table(args: argparse.Namespace) -> int:
    root = args.audio_root or args.table.parent
    try:
        status = args.table.stat()
    except FileNotFoundError:
        status = None  # the reader says it better
    receipt = {
        "source": str(args.table.resolve()),
        "audio_root": str(root.resolve()),
        "table_bytes": status.st_size if status else 0,
        "table_modified": status.st_mtime if status else 0,
    }
    if _is_prepared(args.out, receipt):
        return 0
    rows = speech_table.read_speech_table(args.table, root)
    utterances = list(_with_progress(rows, None, "utterances"))
    for utterance in {u.language: u for u in utterances}.values():
        languages.require_known(utterance.language, str(args.table))
    return _finish(args.out, utterances, root, receipt)


def _finish(folder: Path, utterances: list[Utterance], root: Path, receipt: dict) -> int:
    sizes = write_data_folder(folder, utterances, root)
    (folder / RECEIPT).write_text(json.dumps(receipt), encoding="utf-8")
    seconds: Counter[str] = Counter()
    for utterance in utterances:
        if utterance.split == "train":
            seconds[utterance.language] += utterance.n_samples / SAMPLE_RATE
    most, least = seconds.most_common()[0], seconds.most_common()[-1]
    sys.stdout.write(
        f"{folder}: {len(seconds)} languages, "
        + ", ".join(f"{count} utterances to {split}" for split, count in sizes.items())
        + f"; {sum(seconds.values()) / 60:.1f} minutes of training speech, from {least[1]:.0f} s "
        f"({least[0]}) to {most[1]:.0f} s ({most[0]}).\n"
    )
    return 0


def _is_prepared(folder: Path, receipt: dict) -> bool:
    path = folder / RECEIPT
    if not path.exists():
        if any(folder.glob("*.tsv")):
            logger.info("%s holds an unfinished preparation: starting it again", folder)
        return False
    try:
        same = json.loads(path.read_text(encoding="utf-8")) == receipt
    except json.JSONDecodeError:
        return False
    if not same:
        raise UserError(
            f"{folder} was made from other options or another table: choose another folder, or "
            f"delete {folder} to make it again."
        )
    sys.stdout.write(f"{folder} is there already, made by the same command.\n")
    return True


def _with_progress(items: Iterable, total: int | None, unit: str) -> Iterable:
    from tqdm import tqdm

    return tqdm(items, total=total, unit=f" {unit}", leave=False, disable=not sys.stderr.isatty())
