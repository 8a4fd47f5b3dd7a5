"""All checks of one data folder, in order."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fairseq_dro import languages
from fairseq_dro.data.checks import sample_per_language
from fairseq_dro.data.groups import group_names
from fairseq_dro.data.lines import Categories
from fairseq_dro.data.manifest import Manifest, read_manifest, without_byte_order_mark
from fairseq_dro.doctor import (
    audio_checks,
    length_checks,
    split_checks,
    text_checks,
)
from fairseq_dro.doctor.finding import MOST_PLACES, Finding, Severity, listed, place
from fairseq_dro.doctor.language_table import LanguageRow, language_rows
from fairseq_dro.doctor.run_settings import RunSettings
from fairseq_dro.doctor.split_survey import SplitSurvey, survey
from fairseq_dro.errors import UserError

MOST_PAIRS = 1000  # likely copies whose files are compared without --all
SPECIAL_SYMBOLS = ("<s>", "<pad>", "</s>", "<unk>")  # fairseq's own (dictionary.py:37)
OVERWRITE = "#fairseq:overwrite"  # a line with it may name a unit again (dictionary.py:270)
MOST_FILES = 2000  # audio files of a split that are read without --all


@dataclass
class Examination:
    """What was found in a folder.

    Attributes:
        findings: errors first.
        rows: one a language of the training split; empty where it cannot be read.
    """

    folder: Path
    findings: list[Finding] = field(default_factory=list)
    rows: list[LanguageRow] = field(default_factory=list)
    other_splits: list[str] = field(default_factory=list)
    audio_files_read: int = 0
    audio_files: int = 0

    @property
    def spoils(self) -> bool:
        """Whether a finding would stop or spoil training."""
        return any(finding.severity is Severity.ERROR for finding in self.findings)


def examine(
    folder: Path,
    run: RunSettings,
    *,
    all_audio: bool = False,
    audio_per_language: int = 5,
    workers: int = 1,
) -> Examination:
    """Read the splits of a folder and check them.

    Args:
        all_audio: read every audio file instead of ``audio_per_language`` of each language.
        workers: processes that read audio.

    Raises:
        UserError: the folder does not exist or holds no split.
    """
    result = Examination(folder)
    manifests = _manifests(folder, run, result)
    symbols = _symbols(folder, run, result)
    surveys = {split: survey(manifest, symbols) for split, manifest in manifests.items()}
    training = surveys.get(run.train_subset)
    valid = [split for split in run.valid_subsets if split in surveys]
    for split, one in surveys.items():
        stops = split == run.train_subset or split in valid
        _check_split(one, run, symbols, result, stops_training=stops)
    if run.language_token and symbols is not None:
        result.findings += _tokens_lacking(manifests, symbols, run)
    result.findings += split_checks.shared_audio(list(manifests.values()))
    others = [one for split, one in surveys.items() if split != run.train_subset]
    result.other_splits = [one.manifest.split for one in others]
    for first, other in itertools.combinations(surveys.values(), 2):  # training comes first
        result.findings += split_checks.shared_text(first, other, is_trained=first is training)
        result.findings += _copies(first, other, all_audio)
    if training is not None:
        if symbols is not None and others:
            result.findings += text_checks.never_learnt(training, others, symbols)
        tested = [
            one.manifest
            for one in others
            if one.manifest.split not in valid and len(one.manifest.languages)
        ]
        if len(training.manifest.languages):
            result.findings += split_checks.languages_of_splits(
                training.manifest, [manifests[split] for split in valid], tested
            )
            _check_training(training, run, manifests, result)
    for manifest in manifests.values():
        rows = _rows_to_read(manifest, audio_per_language, all_audio)
        result.audio_files_read += len(rows)
        result.audio_files += len(manifest)
        result.findings += audio_checks.audio_findings(manifest, rows, run.sample_rate, workers)
    _sort(result.findings)
    return result


def _manifests(folder: Path, run: RunSettings, result: Examination) -> dict[str, Manifest]:
    if not folder.is_dir():
        raise UserError(
            f"{folder} does not exist: name a data folder made by `fairseq-dro prepare`."
        )
    present = {path.stem for path in folder.glob("*.tsv")}
    present = {split for split in present if (folder / f"{split}.{run.label_type}").exists()}
    known = [split for split in run.valid_subsets if split in present]
    wanted = [run.train_subset, *(run.valid_subsets if run.is_of_config else known)]
    if not run.is_of_config and not known:
        result.findings.append(
            Finding("no_validation", Severity.WARNING,
                    f"there is no validation split named {' or '.join(run.valid_subsets)}",
                    "name it with --valid, or make one: a checkpoint is chosen by it")
        )  # fmt: skip
    if not present:
        raise UserError(
            f"{folder} holds no split: expected {run.train_subset}.tsv and {run.train_subset}."
            f"{run.label_type}, as `fairseq-dro prepare` writes them."
        )
    found: dict[str, Manifest] = {}
    for split in (*wanted, *sorted(present - set(wanted))):
        try:
            # .lang may be missing in splits that are decoded only
            found[split] = read_manifest(
                folder, split, run.label_type, languages_required=split in wanted
            )
        except UserError as error:
            result.findings.append(
                Finding("unreadable_split", Severity.ERROR, str(error).rstrip("."), "")
            )
    for split in [split for split, manifest in found.items() if not len(manifest)]:
        del found[split]
        result.findings.append(
            Finding("empty_split", Severity.ERROR, f"{split}.tsv holds no utterance",
                    "write the split again, or remove its files")
        )  # fmt: skip
    return found


def _symbols(folder: Path, run: RunSettings, result: Examination) -> set[str] | None:
    path = folder / f"dict.{run.label_type}.txt"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        is_absent = isinstance(error, FileNotFoundError)
        why = "does not exist" if is_absent else f"is unreadable: {error}"
        result.findings.append(
            Finding("no_dictionary", Severity.ERROR, f"{path} {why}",
                    "write one line `unit count` for each unit, as `fairseq-dro prepare` does")
        )  # fmt: skip
        return None
    if lines and lines[0].startswith("\ufeff"):
        result.findings.append(
            Finding("bad_dictionary", Severity.ERROR,
                    f"{path.name}:1 begins with a byte order mark (U+FEFF), which would be read as "
                    "part of its unit", f"remove it with `{without_byte_order_mark(path)}`")
        )  # fmt: skip
        return None
    symbols, bad = set(), []
    for number, line in enumerate(lines, start=1):
        entry = line.rstrip().removesuffix(OVERWRITE).rstrip()
        unit, _, count = entry.rpartition(" ")
        is_twice = unit in symbols or unit in SPECIAL_SYMBOLS
        if not unit or not count.isdigit() or (is_twice and not line.rstrip().endswith(OVERWRITE)):
            bad.append(f"{path.name}:{number}: {line!r}")
        symbols.add(unit)
    if bad:
        result.findings.append(
            Finding("bad_dictionary", Severity.ERROR,
                    f"lines of {path.name} that are not `unit count`, or name a unit that an "
                    f"earlier line or fairseq ({', '.join(SPECIAL_SYMBOLS)}) has: {len(bad)}",
                    "remove or mend the lines, or write the dictionary again",
                    len(bad), tuple(bad[:MOST_PLACES]))
        )  # fmt: skip
    return symbols


def _check_split(
    one: SplitSurvey,
    run: RunSettings,
    symbols: set[str] | None,
    result: Examination,
    *,
    stops_training: bool,
) -> None:
    """Everything that needs one split alone."""
    manifest, findings = one.manifest, result.findings
    is_training = manifest.split == run.train_subset
    findings += _language_codes(manifest)
    if symbols is not None:
        findings += text_checks.outside_dictionary(one, symbols, stops_training=stops_training)
    findings += text_checks.normal_forms(one)
    findings += text_checks.look_alikes(one)
    findings += text_checks.disguised_words(one)
    findings += text_checks.references(one, stops_training=stops_training)
    findings += text_checks.language_tokens(one, adds_token=run.language_token)
    frames = length_checks.frames_of(manifest.n_samples, run.layers)
    findings += length_checks.infeasible(
        one, frames, adds_token=run.language_token,
        stops_training=is_training and not run.skip_infeasible,
    )
    seconds = manifest.n_samples / run.sample_rate
    findings += length_checks.duration_outliers(manifest, seconds)
    findings += length_checks.rate_outliers(one, seconds)
    findings += split_checks.ids_twice(manifest)
    findings += length_checks.shorter_than_least(manifest, run.min_samples)
    bound = run.max_samples if is_training else run.max_samples_valid
    if bound is not None and stops_training:
        findings += length_checks.longer_than_memory(
            manifest, bound, is_training=is_training, skips=run.skips_too_long
        )


def _tokens_lacking(
    manifests: dict[str, Manifest], symbols: set[str], run: RunSettings
) -> list[Finding]:
    used = {name for manifest in manifests.values() for name in manifest.languages.names}
    lacking = [f"[{name}]" for name in sorted(used) if f"[{name}]" not in symbols]
    if not lacking:
        return []
    return [
        Finding("token_not_in_dictionary", Severity.ERROR,
                f"task.language_token=true puts symbols before targets that dict.{run.label_type}"
                f".txt lacks: {listed(lacking)}",
                "make the folder again with `fairseq-dro prepare ... --language-tokens`, or add a "
                f"line `{lacking[0]} 1` to it, and so for each", len(lacking))
    ]  # fmt: skip


def _language_codes(manifest: Manifest) -> list[Finding]:
    told = []
    own_table = languages.own_table_of(manifest.folder)
    for name in manifest.languages.names:
        where = place(manifest, manifest.languages.index(name), "lang")
        try:
            languages.require_known(name, where, own_table)
        except UserError as error:
            told.append(str(error))
    if not told:
        return []
    return [
        Finding("unknown_language", Severity.ERROR,
                f"{len(told)} codes of {manifest.split}.lang are not in the language table",
                "write ISO 639-3 codes", len(told), tuple(told))
    ]  # fmt: skip


def _check_training(
    training: SplitSurvey, run: RunSettings, manifests: dict[str, Manifest], result: Examination
) -> None:
    """The planned batches: findings about them, and the table."""
    manifest = training.manifest
    seconds = manifest.n_samples / run.sample_rate
    try:
        groups = _groups(manifest, run)
        counts = {
            split: _counts(_groups(other, run))
            for split, other in manifests.items()
            if other is not manifest and len(other.languages)
        }
    except UserError as error:
        result.findings.append(Finding("no_corpora", Severity.ERROR, str(error), ""))
        return
    codes = groups.codes.astype(np.int64)

    def planned(batch_seconds: float) -> tuple[np.ndarray, dict[str, float]]:
        """[G] batches of an epoch, and how full they are by group."""
        plan = dataclasses.replace(run, batch_seconds=batch_seconds).planner().plan(
            manifest.n_samples, codes, epoch=1, multiple_of=run.multiple_of
        )
        if not plan.batches:  # all are longer than dataset.max_tokens
            return np.zeros(len(groups.names), np.int64), {}
        group_of_batch = codes[[batch[0] for batch in plan.batches]]
        n_batches = np.bincount(group_of_batch, minlength=len(groups.names))
        fill = plan.fill(manifest.n_samples, batch_seconds * run.sample_rate)
        filled = np.bincount(group_of_batch, fill, len(groups.names)) / np.maximum(n_batches, 1)
        return n_batches, {
            name: float(x) for name, x, n in zip(groups.names, filled, n_batches) if n
        }

    n_batches, fills = planned(run.batch_seconds)
    result.findings += length_checks.batches(
        manifest, seconds, fills, lambda tried: planned(tried)[1], batch_seconds=run.batch_seconds
    )
    result.other_splits = [split for split in result.other_splits if split in counts]
    result.rows = language_rows(
        training, groups, seconds, dict(zip(groups.names, n_batches.tolist())), counts,
        own_table=languages.own_table_of(manifest.folder),
    )


def _groups(manifest: Manifest, run: RunSettings) -> Categories:
    if run.group_by.value != "language":
        manifest.require_corpora()
    return group_names(manifest.languages, manifest.corpora, run.group_by)


def _counts(groups: Categories) -> dict[str, int]:
    counts = np.bincount(groups.codes, minlength=len(groups.names))
    return dict(zip(groups.names, counts.tolist()))


def _rows_to_read(manifest: Manifest, per_language: int, all_audio: bool) -> Sequence[int]:
    if all_audio:
        return range(len(manifest))
    if not len(manifest.languages):
        steps = np.linspace(0, len(manifest) - 1, min(len(manifest), 20 * per_language))
        return np.unique(steps.astype(int)).tolist()
    per_language = min(per_language, max(MOST_FILES // len(manifest.languages.names), 1))
    return sample_per_language(manifest, per_language)


def _copies(first: SplitSurvey, other: SplitSurvey, all_audio: bool) -> list[Finding]:
    """Audio that two splits have under two names; of one text only, without ``all_audio``."""
    if all_audio:
        rows = audio_checks.copies_of_any_text(first.manifest, other.manifest)
        return split_checks.copied_audio(first.manifest, other.manifest, rows)
    pairs = split_checks.likely_copies(first, other)
    pairs = [pair for pair in pairs if not _is_same_path(first, other, *pair)]
    rows = audio_checks.same_content(first.manifest, other.manifest, pairs[:MOST_PAIRS])
    findings = split_checks.copied_audio(first.manifest, other.manifest, rows)
    if len(pairs) > MOST_PAIRS:
        findings.append(
            Finding("copies_not_compared", Severity.NOTE,
                    f"audio of {first.manifest.split} and {other.manifest.split} of one text and "
                    f"one length that was not compared: {len(pairs) - MOST_PAIRS} of {len(pairs)} "
                    "pairs", "compare all with --all", len(pairs) - MOST_PAIRS)
        )  # fmt: skip
    return findings


def _is_same_path(first: SplitSurvey, other: SplitSurvey, ours: int, theirs: int) -> bool:
    """Whether a pair is one file under one name, which is reported already."""
    return first.manifest.audio_path(ours) == other.manifest.audio_path(theirs)


def _sort(findings: list[Finding]) -> None:
    order = list(Severity)
    findings.sort(key=lambda finding: order.index(finding.severity))
