"""The batches that training would make of a split: findings about them, and the table.

Shapes: G groups.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from fairseq_dro import languages
from fairseq_dro.data.groups import groups_of
from fairseq_dro.data.lines import Categories
from fairseq_dro.data.manifest import Manifest
from fairseq_dro.doctor import length_checks
from fairseq_dro.doctor.finding import Finding, Severity
from fairseq_dro.doctor.language_table import LanguageRow, language_rows
from fairseq_dro.doctor.run_settings import RunSettings
from fairseq_dro.doctor.split_survey import SplitSurvey
from fairseq_dro.doctor.unfilled_batches import unfilled
from fairseq_dro.errors import UserError


def planned_batches(
    training: SplitSurvey, run: RunSettings, others: Sequence[Manifest]
) -> tuple[list[Finding], list[LanguageRow]]:
    """Findings about the batches of an epoch, and the table; no table where there are no groups.

    Args:
        others: the other splits, counted where they have languages.
    """
    manifest = training.manifest
    seconds = manifest.n_samples / run.sample_rate
    try:
        groups = _groups(manifest, run)
        counts = {
            other.split: _counts(_groups(other, run)) for other in others if len(other.languages)
        }
    except UserError as error:
        return [Finding("no_column", Severity.ERROR, str(error), "")], []
    codes = groups.codes.astype(np.int64)

    def planned(
        batch_seconds: float, micro_batches: int
    ) -> tuple[np.ndarray, dict[str, float]]:
        """[G] batches of an epoch, and how full they are by group."""
        planner = dataclasses.replace(run, batch_seconds=batch_seconds).planner()
        for multiple_of in (run.workers * micro_batches, run.workers):  # as TrainingPlan
            plan = planner.plan(manifest.n_samples, codes, epoch=1, multiple_of=multiple_of)
            if len(plan.batches) % multiple_of == 0:
                break
        if not plan.batches:  # all are longer than dataset.max_tokens
            return np.zeros(len(groups.names), np.int64), {}
        n_batches = np.bincount(plan.group_of_batch(codes), minlength=len(groups.names))
        filled = plan.mean_fills(manifest.n_samples, codes, planner.batch_samples)
        return n_batches, {groups.names[group]: x for group, x in filled.items()}

    n_batches, fills = planned(run.batch_seconds, run.micro_batches)
    findings = [
        *unfilled(
            manifest.split, float(seconds.sum()), fills, lambda *tried: planned(*tried)[1], run
        ),
        *length_checks.longer_than_batch(manifest, seconds, run.batch_seconds),
    ]
    rows = language_rows(
        training, groups, seconds, dict(zip(groups.names, n_batches.tolist())), counts,
        own_table=languages.own_table_of(manifest.folder),
    )
    return findings, rows


def _groups(manifest: Manifest, run: RunSettings) -> Categories:
    return groups_of(manifest, run.group_by)


def _counts(groups: Categories) -> dict[str, int]:
    counts = np.bincount(groups.codes, minlength=len(groups.names))
    return dict(zip(groups.names, counts.tolist()))
