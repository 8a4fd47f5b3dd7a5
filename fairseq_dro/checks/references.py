"""Findings about the text of one split."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from fairseq_dro.checks.finding import EXAMPLES, Finding, Severity, places
from fairseq_dro.checks.split_survey import SplitSurvey
from fairseq_dro.data.manifest import Manifest
from fairseq_dro.languages import is_code, known_languages, own_table_of
from fairseq_dro.text.tags import LANGUAGE_TOKEN
from fairseq_dro.wording import counted

ONE_CHARACTER_WORDS = frozenset(("Hani", "Hans", "Hant", "Jpan"))
"""Scripts in which one character can be a sentence's only word, as ISO 15924 names them."""


def empty(manifest: Manifest, sizes: np.ndarray, *, stops_training: bool) -> list[Finding]:
    """Targets without text.

    Args:
        sizes: [N] of each; 0 is empty.
    """
    rows = np.flatnonzero(sizes == 0)
    if not len(rows):
        return []
    return [
        Finding(
            "empty_reference",
            Severity.ERROR if stops_training else Severity.WARNING,
            f"empty references: {counted(len(rows), 'utterance')} of {manifest.split}",
            "write their text, or remove the utterances from all files of the split",
            len(rows),
            places(manifest, rows, manifest.label_type),
        )
    ]


def references(survey: SplitSurvey, *, stops_training: bool) -> list[Finding]:
    """Targets without text, or with one character where that is no word."""
    manifest = survey.manifest
    findings = empty(manifest, survey.n_characters, stops_training=stops_training)
    known = known_languages(own_table_of(manifest.folder))
    is_rare = np.array(
        [name in known and known[name].script not in ONE_CHARACTER_WORDS
         for name in manifest.languages.names] or [True]
    )  # fmt: skip
    one = survey.n_characters == 1
    if len(manifest.languages):
        one &= is_rare[manifest.languages.codes]
    rows = np.flatnonzero(one)
    if len(rows):
        findings.append(
            Finding(
                "one_character_reference",
                Severity.NOTE,
                f"references of one character: {counted(len(rows), 'utterance')} of "
                f"{manifest.split}",
                "listen to some: a cut transcript looks like this",
                len(rows),
                places(manifest, rows, manifest.label_type,
                       [repr(survey.text(row)) for row in rows[:EXAMPLES]]),
            )
        )  # fmt: skip
    return findings


def language_tokens(survey: SplitSurvey, *, adds_token: bool) -> list[Finding]:
    """Tokens such as ``[deu]`` that contradict ``.lang``, stand twice, or stand on some lines only.

    Args:
        adds_token: the run has ``task.language_token=true``.
    """
    manifest = survey.manifest
    numbers = {
        int(number): survey.numbers.name(int(number))
        for number in np.unique(survey.first_unit[survey.first_unit >= 0])
    }
    names = manifest.languages.names if len(manifest.languages) else ()
    tokens = [number for number, name in numbers.items() if _is_token(name, names)]
    has_token = np.isin(survey.first_unit, tokens)
    if not has_token.any():
        return []
    findings = []
    if len(manifest.languages):
        expected = np.array(
            [survey.numbers.number(f"[{name}]") for name in manifest.languages.names]
        )
        wrong = np.flatnonzero(
            has_token & (survey.first_unit != expected[manifest.languages.codes])
        )
        if len(wrong):
            details = [
                f"{survey.token_of(row)}, and .lang says {manifest.languages[row]}"
                for row in wrong[:EXAMPLES]
            ]
            findings.append(
                Finding(
                    "token_contradicts_lang", Severity.ERROR,
                    "language tokens that contradict .lang: "
                    f"{counted(len(wrong), 'utterance')} of {manifest.split}",
                    f"fix {manifest.split}.lang or {manifest.split}.{manifest.label_type}: write "
                    "both from one list",
                    len(wrong), places(manifest, wrong, manifest.label_type, details),
                )
            )  # fmt: skip
    if adds_token:
        rows = np.flatnonzero(has_token)
        findings.append(
            Finding(
                "token_twice", Severity.ERROR,
                "targets that begin with a language token, before which task.language_token=true "
                f"puts another: {counted(len(rows), 'utterance')} of {manifest.split}",
                "set task.language_token=false",
                len(rows), places(manifest, rows, manifest.label_type),
            )
        )  # fmt: skip
    lacking = np.flatnonzero(~has_token & (survey.labels.n_units > 0))
    if len(lacking):
        findings.append(
            Finding(
                "token_on_some_lines", Severity.ERROR,
                "targets without a language token, where others have one: "
                f"{counted(len(lacking), 'utterance')} of {manifest.split}",
                "write the labels of all utterances with it, or of none",
                len(lacking), places(manifest, lacking, manifest.label_type),
            )
        )  # fmt: skip
    return findings


def _is_token(unit: str, names: Collection[str]) -> bool:
    """Whether a unit is the token of a language, and no other tag of three letters."""
    match = LANGUAGE_TOKEN.fullmatch(unit)
    return match is not None and (match[1] in names or is_code(match[1]))
