"""The batches that training would make of a split: findings about them, and the table.

Shapes: G groups.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from fairseq_dro import languages
from fairseq_dro.checks import batch_fill, lengths
from fairseq_dro.checks.finding import Finding, Severity
from fairseq_dro.checks.groups import not_trained
from fairseq_dro.checks.split_survey import SplitSurvey
from fairseq_dro.data.groups import groups_of
from fairseq_dro.data.lines import Categories
from fairseq_dro.data.manifest import Manifest
from fairseq_dro.doctor.language_table import LanguageRow, language_rows
from fairseq_dro.doctor.run_settings import RunSettings
from fairseq_dro.errors import UserError
from fairseq_dro.group_by import BY_LANGUAGE


def planned_batches(
    training: SplitSurvey, run: RunSettings, others: Sequence[Manifest]
) -> tuple[list[Finding], list[LanguageRow]]:
    """Findings about groups and the batches of an epoch, and the table; none without groups.

    Args:
        others: the other splits, counted where they have languages.
    """
    manifest = training.manifest
    seconds = manifest.n_samples / run.sample_rate
    findings, by_split = _groups(run, [manifest, *others])
    groups = by_split.pop(manifest.split, None)
    if groups is None:
        return findings, []
    if run.group_by != BY_LANGUAGE:
        findings += _groups_not_trained(run, groups, by_split, others)
    counts = {split: _counts(names) for split, names in by_split.items()}
    codes = groups.codes.astype(np.int64)

    def planned(
        batch_seconds: float, micro_batches: int
    ) -> tuple[np.ndarray, dict[str, float]]:
        """[G] batches of an epoch, and how full they are by group."""
        planner = dataclasses.replace(run, batch_seconds=batch_seconds).planner()
        plan, _ = planner.plan_of_updates(
            manifest.n_samples, codes, epoch=1, workers=run.workers, micro_batches=[micro_batches]
        )
        if not plan.batches:  # all are longer than dataset.max_tokens
            return np.zeros(len(groups.names), np.int64), {}
        n_batches = np.bincount(plan.group_of_batch(codes), minlength=len(groups.names))
        filled = plan.mean_fills(manifest.n_samples, codes, planner.batch_samples)
        return n_batches, {groups.names[group]: x for group, x in filled.items()}

    n_batches, fills = planned(run.batch_seconds, run.micro_batches)
    findings += [
        *batch_fill.not_filled(
            manifest.split, float(seconds.sum()), fills, lambda *tried: planned(*tried)[1],
            batch_fill.Update(run.batch_seconds, run.workers, run.micro_batches),
            compares_sums=run.compares_sums,
        ),
        *lengths.longer_than_batch(manifest, seconds, run.batch_seconds),
    ]
    rows = language_rows(
        training, groups, seconds, dict(zip(groups.names, n_batches.tolist())), counts,
        by=run.group_by, own_table=languages.own_table_of(manifest.folder),
    )  # fmt: skip
    return findings, rows


def _groups(
    run: RunSettings, manifests: Sequence[Manifest]
) -> tuple[list[Finding], dict[str, Categories]]:
    """Groups of each split that has languages, and what is wrong with a column of them.

    Args:
        manifests: the training split first; without its groups no other is looked at.
    """
    findings, found = [], {}
    for manifest in manifests:
        if not len(manifest.languages):
            continue
        try:
            found[manifest.split] = groups_of(manifest, run.group_by)
        except UserError as error:
            stops = manifest.split in (run.train_subset, *run.valid_subsets)
            severity = Severity.ERROR if stops else Severity.WARNING
            findings.append(Finding("no_column", severity, str(error).rstrip("."), ""))
            if manifest is manifests[0]:
                break
    return findings, found


def _groups_not_trained(
    run: RunSettings,
    trained: Categories,
    by_split: Mapping[str, Categories],
    manifests: Sequence[Manifest],
) -> list[Finding]:
    """As ``splits.languages_of_splits``, where groups are no languages."""
    return [
        finding
        for manifest in manifests
        if manifest.split in by_split
        for finding in not_trained(
            manifest, by_split[manifest.split], trained.names, run.group_by, run.train_subset,
            stops=manifest.split in run.valid_subsets,
        )
    ]  # fmt: skip


def _counts(groups: Categories) -> dict[str, int]:
    counts = np.bincount(groups.codes, minlength=len(groups.names))
    return dict(zip(groups.names, counts.tolist()))
