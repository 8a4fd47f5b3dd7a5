"""``fairseq-dro doctor``: what would stop or spoil training, before a GPU is touched.

Reads all splits of a data folder, a sample of its audio (all of it with --all) and, where one is
named, a configuration as `fairseq-dro train` would compose it. Ends with status 1 where a finding
would stop or spoil training.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import unicodedata
from pathlib import Path

from fairseq_dro.checks.finding import Finding, Severity
from fairseq_dro.doctor.examination import Examination, examine
from fairseq_dro.doctor.language_table import table_text
from fairseq_dro.doctor.option_names import (
    in_source,
    read_recipe,
    require_one_data_folder,
    unknown_keys,
    user_dir_of,
)
from fairseq_dro.doctor.run_settings import RunSettings
from fairseq_dro.errors import UserError
from fairseq_dro.hydra_words import readable
from fairseq_dro.input_paths import require_data_folder
from fairseq_dro.processes import n_cores
from fairseq_dro.recipes import shipped_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", nargs="*", help="data folder, as `fairseq-dro prepare` makes it"
    )
    parser.add_argument(
        "--config-name", nargs="+", default=[], metavar=("NAME", "OVERRIDE"),
        help="check a recipe, or a file of yours, with the options that will be typed: "
        "--config-name finetune model.w2v_path=xlsr2_300m.pt task.language_token=true",
    )  # fmt: skip
    parser.add_argument(
        "--config-dir", type=Path, default=shipped_folder(),
        help="where NAME.yaml is (default: the recipes of this package)",
    )  # fmt: skip
    parser.add_argument("--all", action="store_true", help="read every audio file")
    parser.add_argument(
        "--audio-per-language", type=int, default=5, metavar="N",
        help="audio files to read of each language and split without --all (default: 5)",
    )  # fmt: skip
    parser.add_argument(
        "--labels", help="suffix of the label files (default: ltr, or that of the one dictionary)"
    )
    parser.add_argument("--train", default="train", help="training split (default: train)")
    parser.add_argument(
        "--valid", help="validation splits, with commas (default: valid, or dev where there is one)"
    )
    parser.add_argument(
        "--show", type=int, default=3, metavar="N", help="places shown of a finding (default: 3)"
    )
    parser.add_argument("--all-languages", action="store_true", help="show every row of the table")
    parser.add_argument("--json", action="store_true", help="write all that was found as JSON")
    parser.add_argument(
        "--workers", type=int, default=n_cores(),
        help="processes that read audio (default: one per core)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """1 where a finding would stop or spoil training, else 0.

    Raises:
        UserError: the folder or the configuration's file is missing, or options make no sense.
    """
    if not args.folder and len(args.config_name) > 1 and "=" not in args.config_name[-1]:
        args.folder = [args.config_name.pop()]  # --config-name NAME FOLDER
    if not args.folder:
        raise UserError("doctor: name the data folder, as in `fairseq-dro doctor data/mine`.")
    if args.folder[1:]:
        recipe = "RECIPE " if "=" in args.folder[1] else ""
        raise UserError(
            f"doctor: {args.folder[1]} is one word too many: write --config-name "
            f"{recipe}{args.folder[1]}."
        )
    if args.audio_per_language < 0 or args.show < 0 or args.workers < 1:
        raise UserError(
            "doctor: --audio-per-language and --show must be at least 0, --workers at least 1."
        )
    folder = Path(args.folder[0])
    require_data_folder(folder, str(folder))
    settings, findings = _settings(args, folder)
    result = examine(
        folder, settings, all_audio=args.all, audio_per_language=args.audio_per_language,
        workers=args.workers,
    )  # fmt: skip
    result.findings = sorted(
        [*findings, *result.findings], key=lambda found: list(Severity).index(found.severity)
    )
    if args.json:
        is_utf8 = str(sys.stdout.encoding).lower().startswith("utf")
        record = json.dumps(as_record(result), ensure_ascii=not is_utf8, indent=1)
        sys.stdout.write(record + "\n")
    else:
        sys.stdout.write(as_text(result, args.show, whole=args.all_languages) + "\n")
    return 1 if result.spoils else 0


def as_record(result: Examination) -> dict:
    """Everything that was found, in plain values."""
    return {
        "folder": str(result.folder),
        "spoils_training": result.spoils,
        "audio_files": result.audio_files,
        "audio_files_read": result.audio_files_read,
        "languages": [row.as_record() for row in result.rows],
        "findings": [finding.as_record() for finding in result.findings],
    }


def as_text(result: Examination, n_shown: int, *, whole: bool) -> str:
    """Table, findings with their first places, and last lines that count them and sum up errors."""
    lines = []
    if result.rows:
        lines += [table_text(result.rows, result.other_splits, whole=whole, by=result.by), ""]
    for finding in result.findings:
        lines += [*_finding_lines(finding, n_shown), ""]
    counts = [
        f"{n} {severity.value}{'s' if n != 1 else ''}"
        for severity in Severity
        if (n := sum(finding.severity is severity for finding in result.findings))
    ]
    read = f"{result.audio_files_read} of {result.audio_files} audio files read"
    if result.audio_files_read < result.audio_files:
        read += ", all with --all"
    lines += _what_next(result)
    lines.append(f"{result.folder}: {', '.join(counts) or 'nothing found'} ({read})")
    return _printable("\n".join(lines))


def _what_next(result: Examination) -> list[str]:
    """Each error in a line with what puts it right; none where nothing would stop training."""
    errors = [one for one in result.findings if one.severity is Severity.ERROR]
    if not errors:
        return []
    lines = ["Before training, put right:"]
    for number, one in enumerate(errors, start=1):
        times = f" ({one.count})" if one.count > 1 else ""
        lines.append(f"  {number}. {one.kind}{times}: {one.fix or one.what}")
    return [*lines, "and run this command again."]


def _finding_lines(finding: Finding, n_shown: int) -> list[str]:
    lines = [f"{finding.severity.value}: {finding.what}"]
    lines += [f"    {place}" for place in finding.places[:n_shown]]
    if n_shown and finding.count > n_shown and finding.places:
        lines.append(f"    ... {finding.count - n_shown} more")
    if finding.fix:
        lines.append(f"    -> {finding.fix}")
    return lines


def _printable(text: str) -> str:
    """Control characters from a file, which would reach the terminal, as ``\\x00``."""
    return "".join(
        repr(one)[1:-1] if unicodedata.category(one) == "Cc" and one != "\n" else one
        for one in text
    )


def _label_type(folder: Path) -> str:
    """``ltr``, or what a folder with one dictionary has in its place."""
    found = [path.name.split(".")[1] for path in folder.glob("dict.*.txt")]
    return found[0] if len(found) == 1 else "ltr"


def _settings(args: argparse.Namespace, folder: Path) -> tuple[RunSettings, list[Finding]]:
    """What a run would do, and what is wrong with its configuration."""
    has_dev = (folder / "dev.tsv").exists() and not (folder / "valid.tsv").exists()
    valid = args.valid or ("dev" if has_dev else "valid")
    plain = RunSettings(
        train_subset=args.train,
        valid_subsets=tuple(valid.split(",")),
        label_type=args.labels or _label_type(folder),
    )
    if not args.config_name:
        return plain, []
    name, *overrides = args.config_name
    file = Path(name) if name.endswith(".yaml") and Path(name).is_file() else None
    config_dir = file.parent if file else args.config_dir
    name = file.stem if file else name.removesuffix(".yaml")  # as hydra
    path = config_dir / f"{name}.yaml"
    recipe, findings = read_recipe(path), []
    if user_dir_of(recipe, overrides) is None:
        findings = unknown_keys(recipe, overrides, path.name, in_source())
    if findings:
        return dataclasses.replace(plain, plans_batches=False), findings
    require_one_data_folder(folder, overrides)
    from fairseq_dro.doctor import configuration  # imports fairseq and torch: seconds

    overrides = [readable(word) for word in overrides]  # as `fairseq-dro train`
    found, findings = configuration.examine_configuration(folder, config_dir, name, overrides)
    return found or dataclasses.replace(plain, plans_batches=False), findings
