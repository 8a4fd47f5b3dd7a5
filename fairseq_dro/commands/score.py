"""``fairseq-dro score RECORDS ...`` or ``fairseq-dro score --ref FILE --hyp FILE``: error rates.

RECORDS are record files of fairseq-dro-infer (utterances.jsonl), results folders or run folders.
Prints tables of error rates by language or other groups (with intervals of the CER), by corpus,
speaker and further columns, and of how unequally groups are served; with --out it also writes
scores.json and scores.md. Texts are compared anew, whatever counts the records hold.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fairseq_dro.errors import UserError
from fairseq_dro.report.score.notation import NAMES
from fairseq_dro.text_lines import lines_of

if TYPE_CHECKING:  # imported where it is used, so that other sub-commands start without it
    from collections.abc import Iterator

    from fairseq_dro.group_by import GroupBy
    from fairseq_dro.scoring.records import Record


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("records", nargs="*", type=Path, metavar="RECORDS")
    texts = parser.add_argument_group("pairs of text files, also of other toolkits")
    texts.add_argument("--ref", type=Path, metavar="FILE", help="references")
    texts.add_argument("--hyp", type=Path, metavar="FILE", help="hypotheses")
    for name, what in (
        ("lang", "language of each utterance; without it that of the reference's [iso], if any"),
        ("speaker", "speaker of each utterance (Kaldi's utt2spk)"),
        ("corpus", "corpus of each utterance"),
    ):
        texts.add_argument(f"--{name}", type=Path, metavar="FILE", help=what)
    texts.add_argument(
        "--format", choices=("trn", "kaldi", "plain"), default="trn",
        help="trn: `text (id)` (default); kaldi: `id text`; plain: `text`, same order",
    )  # fmt: skip
    texts.add_argument(
        "--post-process", choices=("none", *NAMES),
        help="join a model's units to words in both files, as fairseq's post_process of that name "
        "does; none: texts are words, whatever they look like (default: words, units are refused)",
    )  # fmt: skip
    parser.add_argument(
        "--group-by", metavar="COLUMN+COLUMN",
        help="what a group is: language, corpus, speaker or a column of the records, or several "
        "joined by + (default: as the records were decoded, else language)",
    )  # fmt: skip
    how = parser.add_argument_group("how texts are compared")
    how.add_argument(
        "--profile", choices=("default", "ml_superb"), default="default",
        help="ml_superb: upper-case, without punctuation, a language's CER the mean over its "
        "utterances, worst 15, few-shot languages apart",
    )  # fmt: skip
    how.add_argument(
        "--unit", choices=("codepoint", "grapheme"), default="codepoint",
        help="what a character is: a code point after NFC (default) or a grapheme cluster",
    )  # fmt: skip
    how.add_argument(
        "--alignment", choices=("shortest", "sclite"), default="shortest",
        help="shortest: fewest errors (default); sclite: its costs 4, 3, 3 (needs kaldialign)",
    )  # fmt: skip
    how.add_argument(
        "--few-shot", type=Path, metavar="FILE",
        help="languages that ml_superb sets apart, one a line (default: its 20)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="for scores.json and scores.md")
    parser.add_argument("--json", action="store_true", help="print scores.json, no tables")
    parser.add_argument("--title", help="headline of the tables")
    parser.add_argument("--results", default="decode_test", help="sub-folder of a run folder")
    parser.add_argument("--replicates", type=int, default=10_000, help="of numbers over languages")
    parser.add_argument("--seed", type=int, default=0, help="of all intervals")


def run(args: argparse.Namespace) -> int:
    """Print the scores; write them with --out.

    Raises:
        UserError: see ``record_file``, ``text_files`` and ``counting.count``; or
            options that do not go together.
    """
    from fairseq_dro.report.score.counting import count
    from fairseq_dro.report.score_tables import scores_text
    from fairseq_dro.report.writing import write_files
    from fairseq_dro.scoring.convention import Convention
    from fairseq_dro.scoring.summary import summarise

    if args.replicates < 100:
        raise UserError(f"--replicates {args.replicates} is too few: type 1000 or more.")
    convention = Convention(args.profile, args.unit, args.alignment)
    few_shot = _language_set(args.few_shot) if args.few_shot else None
    scores = count(_records(args), convention, _group_by(args))
    if not scores.languages and args.group_by:
        raise UserError(
            f"--group-by {args.group_by}: no utterance has a {scores.by.columns[0]}; decode a data "
            "folder that has the column, or name another."
        )
    record = summarise(
        scores, few_shot=few_shot, seed=args.seed, n_replicates=args.replicates
    )
    scored = ", ".join(map(str, args.records)) or args.hyp
    table = scores_text(record, args.title or f"Scores of {scored}")
    if args.ref is not None:
        record["texts"] = {
            "reference": str(args.ref), "hypothesis": str(args.hyp), "format": args.format,
            "post_process": args.post_process,
        }  # fmt: skip
    content = json.dumps(record, ensure_ascii=False, indent=1) + "\n"
    sys.stdout.write(content if args.json else table)
    if args.out is not None:
        write_files(args.out, {"scores.json": content, "scores.md": table})
    return 0


def _records(args: argparse.Namespace) -> Iterator[tuple[Record, str]]:
    """Each utterance with its place."""
    from fairseq_dro.report.score.counting import records_of_files, records_of_texts
    from fairseq_dro.runs.record_file import find_records

    sides = {"language": args.lang, "speaker": args.speaker, "corpus": args.corpus}
    sides = {name: path for name, path in sides.items() if path is not None}
    if bool(args.records) == bool(args.ref or args.hyp):
        raise UserError(
            "score: give either record files, results or run folders, or --ref FILE --hyp FILE."
        )
    if args.records:
        if sides:
            raise UserError(
                f"score: a file of {next(iter(sides))}s goes with --ref and --hyp; records know "
                "their own."
            )
        return records_of_files([find_records(path, args.results) for path in args.records])
    if args.ref is None or args.hyp is None:
        missing = "--ref" if args.ref is None else "--hyp"
        raise UserError(f"score: {missing} is missing: references and hypotheses go together.")
    return records_of_texts(args.ref, args.hyp, sides, args.format, args.post_process)


def _group_by(args: argparse.Namespace) -> GroupBy:
    """As typed, else as the scores beside the first file of records say."""
    from fairseq_dro.group_by import BY_LANGUAGE, GroupBy
    from fairseq_dro.runs.decoding_source import decoding_source
    from fairseq_dro.runs.record_file import find_records

    if args.group_by is not None:
        return GroupBy.parse(args.group_by, "--group-by ")
    if not args.records:
        return BY_LANGUAGE
    return decoding_source(find_records(args.records[0], args.results).parent).group_by


def _language_set(path: Path) -> list[str]:
    lines = (line for _, line in lines_of(path))
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
