"""Findings about languages that nobody knows, and groups that training does not have."""

from __future__ import annotations

from collections.abc import Collection

from fairseq_dro import languages
from fairseq_dro.checks.finding import Finding, Severity, place, places
from fairseq_dro.data.lines import Categories
from fairseq_dro.data.manifest import Manifest
from fairseq_dro.errors import UserError
from fairseq_dro.group_by import BY_LANGUAGE, GroupBy, suffix_of
from fairseq_dro.wording import counted, listed


def unknown_languages(manifest: Manifest) -> list[Finding]:
    """Codes that neither ``languages.tsv`` nor the folder's own table has, with the nearest."""
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


def not_trained(
    manifest: Manifest, groups: Categories, trained: Collection[str], by: GroupBy, training: str,
    *, stops: bool,
) -> list[Finding]:  # fmt: skip
    """Groups of a split that the training split lacks.

    Args:
        groups: N names, one an utterance.
        training: name of the training split.
        stops: training stops at one; else it is decoded all the same.
    """
    unseen = sorted(set(groups.names) - set(trained))
    if not unseen:
        return []
    known = [set(values) for values in zip(*map(by.values_of, trained))]
    values = zip(by.columns, by.values_of(unseen[0]), known)
    new = [column for column, value, seen in values if value not in seen]
    column = new[0] if new else by.columns[-1]
    kind = "language_not_trained" if by == BY_LANGUAGE else "group_not_trained"
    of = "" if by == BY_LANGUAGE else f" by {by}"
    fix = f"add training data for them, or remove them from {manifest.split}"
    return [
        Finding(
            kind, Severity.ERROR if stops else Severity.WARNING,
            f"in {manifest.split} and not in {training}: "
            f"{counted(len(unseen), by.noun)}{of} ({listed(unseen)})",
            fix + ("" if stops else "; decoding accepts them"),
            len(unseen),
            places(manifest, [groups.index(name) for name in unseen], suffix_of(column)),
        )
    ]  # fmt: skip
