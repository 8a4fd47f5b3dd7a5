"""All checks of one data folder, in order."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fairseq_dro.checks import (
    audio,
    dictionary,
    groups,
    lengths,
    letter_case,
    references,
    spelling,
    splits,
)
from fairseq_dro.checks.finding import Finding, Severity
from fairseq_dro.checks.split_survey import SplitSurvey, survey
from fairseq_dro.data.manifest import Manifest, other_label_files, read_manifest
from fairseq_dro.doctor import copies, prepared_text
from fairseq_dro.doctor.language_table import LanguageRow
from fairseq_dro.doctor.planned_batches import planned_batches
from fairseq_dro.doctor.run_settings import RunSettings
from fairseq_dro.errors import UserError
from fairseq_dro.group_by import BY_LANGUAGE, GroupBy
from fairseq_dro.models.family import least_samples

MOST_FILES = 2000  # audio files of a split that are read without --all


@dataclass
class Examination:
    """What was found in a folder.

    Attributes:
        findings: in the order of the checks.
        by: what a group is.
        rows: one a group of the training split; empty where it cannot be read.
    """

    folder: Path
    by: GroupBy = BY_LANGUAGE
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
        UserError: the folder holds no split.
    """
    result = Examination(folder, run.group_by)
    manifests = _manifests(folder, run, result)
    symbols = tokenizer = None
    if run.is_whisper:
        from fairseq_dro.doctor import whisper_folder  # needs fairseq, which takes seconds

        tokenizer = whisper_folder.tokenizer_of(run)
    else:
        symbols, findings = dictionary.read_symbols(folder / f"dict.{run.label_type}.txt")
        result.findings += findings
        if symbols is not None and run.post_process is not None:
            result.findings += dictionary.joined_wrongly(symbols, run.post_process)
    surveys = {split: survey(manifest, symbols) for split, manifest in manifests.items()}
    training = surveys.get(run.train_subset)
    valid = [split for split in run.valid_subsets if split in surveys]
    for split, one in surveys.items():
        stops = split == run.train_subset or split in valid
        _check_split(one, run, symbols, result, stops_training=stops)
        if run.is_whisper:
            result.findings += whisper_folder.whisper_findings(
                one.manifest, run, tokenizer, stops_training=stops
            )
    if run.language_token and symbols is not None:
        result.findings += dictionary.tokens_lacking(
            manifests.values(), symbols, run.label_type
        )
    result.findings += letter_case.two_cases(list(surveys.values()))
    result.findings += prepared_text.what_prepare_did(folder)
    result.findings += splits.shared_audio(list(manifests.values()))
    others = [one for split, one in surveys.items() if split != run.train_subset]
    result.other_splits = [one.manifest.split for one in others]
    digests: dict[str, bytes] = {}
    for first, other in itertools.combinations(surveys.values(), 2):  # training comes first
        result.findings += splits.shared_text(first, other, is_trained=first is training)
        result.findings += copies.copies(first, other, all_audio, digests)
    if training is not None:
        result.findings += splits.shared_speakers(
            training.manifest, [one.manifest for one in others]
        )
        if symbols is not None and others:
            result.findings += dictionary.never_learnt(
                training.labels, [one.labels for one in others], symbols
            )
        tested = [
            one.manifest
            for one in others
            if one.manifest.split not in valid and len(one.manifest.languages)
        ]
        if len(training.manifest.languages):
            result.findings += splits.languages_of_splits(
                training.manifest, [manifests[split] for split in valid], tested,
                makes_groups=run.group_by == BY_LANGUAGE,
            )
            validated = [manifests[split] for split in valid]
            result.findings += splits.little_validation(
                training.manifest, validated, run.sample_rate
            )
            if run.plans_batches:
                findings, result.rows = planned_batches(
                    training, run, [one.manifest for one in others]
                )
                result.findings += findings
            if result.rows:
                counted = result.rows[0].utterances_of_others
                result.other_splits = [one for one in result.other_splits if one in counted]
    chosen = [
        (manifest, _rows_to_read(manifest, audio_per_language, all_audio))
        for manifest in manifests.values()
    ]
    result.audio_files_read = sum(len(rows) for _, rows in chosen)
    result.audio_files = sum(len(manifest) for manifest in manifests.values())
    result.findings += audio.audio_findings(chosen, run.sample_rate, workers)
    return result


def _manifests(folder: Path, run: RunSettings, result: Examination) -> dict[str, Manifest]:
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
            f"{run.label_type}, as `fairseq-dro prepare` writes them"
            f"{other_label_files(folder, '*', run.label_type)}."
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
    findings += groups.unknown_languages(manifest)
    if symbols is not None:
        findings += dictionary.outside_dictionary(
            one.labels, symbols, stops_training=stops_training
        )
    findings += spelling.normal_forms(one)
    findings += spelling.look_alikes(one)
    findings += spelling.two_encodings(one)
    findings += references.references(one, stops_training=stops_training)
    findings += references.language_tokens(one, adds_token=run.language_token)
    if not run.is_whisper:
        frames = run.frames_of(manifest.n_samples)
        needed = one.labels.needed + run.language_token
        findings += lengths.infeasible(
            manifest, np.flatnonzero((needed > frames) & (frames > 0)), needed, frames,
            stops_training=is_training and not run.skip_infeasible,
        )
        findings += lengths.without_frame(
            manifest, run.min_samples, least_samples(run.frames_of),
            stops_training=stops_training and not (is_training and run.skip_infeasible),
        )
    seconds = manifest.n_samples / run.sample_rate
    findings += lengths.duration_outliers(manifest, seconds)
    findings += lengths.rate_outliers(one, seconds)
    findings += splits.ids_twice(manifest)
    findings += lengths.shorter_than_least(manifest, run.min_samples)
    bound = run.max_samples if is_training else run.max_samples_valid
    if bound is not None and stops_training:
        option = "dataset.max_tokens" if is_training else "dataset.max_tokens_valid"
        findings += lengths.longer_than_memory(
            manifest, np.flatnonzero(manifest.n_samples > bound), bound, option,
            stops=not is_training and not run.skips_too_long,
        )
        if is_training:
            findings += lengths.languages_without_room(manifest, bound, option)


def _rows_to_read(manifest: Manifest, per_language: int, all_audio: bool) -> Sequence[int]:
    if all_audio:
        return range(len(manifest))
    if not len(manifest.languages):
        steps = np.linspace(0, len(manifest) - 1, min(len(manifest), 20 * per_language))
        return np.unique(steps.astype(int)).tolist()
    per_language = min(per_language, max(MOST_FILES // len(manifest.languages.names), 1))
    return audio.sample_per_language(manifest, per_language)
