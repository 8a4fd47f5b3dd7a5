"""Findings about the text of one split."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection

import numpy as np

from fairseq_dro.doctor.finding import (
    SPOILS_FROM,
    Finding,
    Severity,
    languages_of,
    listed,
    number_of,
    places,
    shown_unit,
)
from fairseq_dro.doctor.scripts import alphabet_bits, is_in_disguise, strangers
from fairseq_dro.doctor.split_survey import TOKEN, WORD_END, SplitSurvey, script_bits
from fairseq_dro.languages import known_languages, own_table_of

ONE_CHARACTER_WORDS = frozenset(("Hani", "Hans", "Hant", "Jpan"))
"""Scripts in which one character can be a sentence's only word, as ISO 15924 names them."""
MOST_FOREIGN = 0.2
"""Share of a language's words in another alphabet up to which it is written in its own."""
EXAMPLES = 20  # findings whose details are worked out


def outside_dictionary(
    survey: SplitSurvey, symbols: Collection[str], *, stops_training: bool
) -> list[Finding]:
    """Units that the dictionary lacks."""
    missing = sorted(
        (unit for unit in survey.unit_counts if unit not in symbols),
        key=lambda unit: (-survey.unit_counts[unit], unit),
    )
    if not missing:
        return []
    manifest, rows = survey.manifest, np.flatnonzero(survey.unknown)
    shown = [
        unit if "U+" in unit else f"{unit} (U+{ord(unit[0]):04X})"
        for unit in map(shown_unit, missing)
    ]
    details = [
        listed(sorted({repr(u) for u in manifest.labels[row].split() if u not in symbols}), 3)
        for row in rows[:EXAMPLES]
    ]
    return [
        Finding(
            "outside_dictionary",
            Severity.ERROR if stops_training else Severity.WARNING,
            f"units that dict.{manifest.label_type}.txt lacks: {listed(shown)}; "
            f"{number_of(len(rows), 'utterance')} of {manifest.split}",
            "normalise the text to the dictionary's symbols, or make the dictionary from all "
            "splits with `fairseq-dro prepare`"
            + ("" if stops_training else "; decoded, they count as errors"),
            len(rows),
            places(manifest, rows, manifest.label_type, details),
        )
    ]


def never_learnt(
    training: SplitSurvey, others: Collection[SplitSurvey], symbols: Collection[str]
) -> list[Finding]:
    """Units of the dictionary that other splits have and training lacks."""
    elsewhere: dict[str, int] = {}
    for survey in others:
        for unit, count in survey.unit_counts.items():
            if unit in symbols and unit not in training.unit_counts:
                elsewhere[unit] = elsewhere.get(unit, 0) + count
    if not elsewhere:
        return []
    units = sorted(elsewhere, key=lambda unit: (-elsewhere[unit], unit))
    splits = " and ".join(survey.manifest.split for survey in others)
    return [
        Finding(
            "never_learnt",
            Severity.NOTE,
            f"{number_of(len(units), 'unit')} in {splits} and never in {training.manifest.split}, "
            f"so not to be learnt: {listed([shown_unit(unit) for unit in units], 12)}",
            "nothing need be done: each occurrence counts as an error in every run",
            sum(elsewhere.values()),
        )
    ]


def normal_forms(survey: SplitSurvey) -> list[Finding]:
    """Text that is not in Unicode's form NFC: one word, spelt with other units."""
    rows = np.flatnonzero(~survey.is_composed)
    if not len(rows):
        return []
    manifest = survey.manifest
    details = [_first_decomposed(survey.text(row)) for row in rows[:EXAMPLES]]
    return [
        Finding(
            "not_composed",
            _by_share(survey, rows),
            f"text that is not in Unicode form NFC: {number_of(len(rows), 'utterance')} of "
            f"{manifest.split}{_mixed_with(survey, rows)}",
            "write the labels again with unicodedata.normalize('NFC', text), as `fairseq-dro "
            "prepare` does, and the dictionary from them",
            len(rows),
            places(manifest, rows, manifest.label_type, details),
        )
    ]


def look_alikes(survey: SplitSurvey) -> list[Finding]:
    """Words with letters of two alphabets."""
    rows = np.flatnonzero(survey.is_mixed)
    if not len(rows):
        return []
    manifest = survey.manifest
    details = [_first_mixed_word(survey.text(row)) for row in rows[:EXAMPLES]]
    languages = languages_of(manifest, rows)
    return [
        Finding(
            "look_alikes",
            _by_share(survey, rows),
            f"words with letters of two alphabets: {number_of(len(rows), 'utterance')} of "
            f"{manifest.split}" + (f" ({listed(languages)})" if languages else ""),
            "replace the stray letters by those of the language's alphabet, in all splits",
            len(rows),
            places(manifest, rows, manifest.label_type, details),
        )
    ]


def disguised_words(survey: SplitSurvey) -> list[Finding]:
    """Whole words in look-alikes of another alphabet, in languages that are written in one."""
    manifest, languages = survey.manifest, survey.manifest.languages
    if not survey.has_foreign_word.any():
        return []
    scripts = script_bits(manifest)
    is_of_one = survey.n_foreign_words <= MOST_FOREIGN * survey.n_words
    rows, details = [], []
    for row in np.flatnonzero(survey.has_foreign_word & is_of_one[languages.codes]).tolist():
        script = int(scripts[languages.codes[row]])
        words = [word for word in survey.text(row).split() if is_in_disguise(word, script)]
        if words:
            rows.append(row)
            details.append(f"{words[0]!r} is {strangers(words[0])}")
    if not rows:
        return []
    return [
        Finding(
            "disguised_word",
            Severity.WARNING,
            "words all in look-alikes of another alphabet than the language's: "
            f"{number_of(len(rows), 'utterance')} of {manifest.split} "
            f"({listed(languages_of(manifest, rows))})",
            "replace their letters by those of the language's alphabet, in all splits",
            len(rows),
            places(manifest, rows, manifest.label_type, details),
        )
    ]


def references(survey: SplitSurvey, *, stops_training: bool) -> list[Finding]:
    """Targets without text, or with one character where that is no word."""
    manifest = survey.manifest
    findings = []
    empty = np.flatnonzero(survey.n_characters == 0)
    if len(empty):
        findings.append(
            Finding(
                "empty_reference",
                Severity.ERROR if stops_training else Severity.WARNING,
                f"empty references: {number_of(len(empty), 'utterance')} of {manifest.split}",
                "write their text, or remove the utterances from all files of the split",
                len(empty),
                places(manifest, empty, manifest.label_type),
            )
        )
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
                f"references of one character: {number_of(len(rows), 'utterance')} of "
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
    tokens = [number for number, name in numbers.items() if TOKEN.fullmatch(name)]
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
                    f"{number_of(len(wrong), 'utterance')} of {manifest.split}",
                    f"mend {manifest.split}.lang or {manifest.split}.{manifest.label_type}: write "
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
                f"puts another: {number_of(len(rows), 'utterance')} of {manifest.split}",
                "set task.language_token=false",
                len(rows), places(manifest, rows, manifest.label_type),
            )
        )  # fmt: skip
    lacking = np.flatnonzero(~has_token & (survey.n_units > 0))
    if len(lacking):
        findings.append(
            Finding(
                "token_on_some_lines", Severity.ERROR,
                "targets without a language token, where others have one: "
                f"{number_of(len(lacking), 'utterance')} of {manifest.split}",
                "write the labels of all utterances with it, or of none",
                len(lacking), places(manifest, lacking, manifest.label_type),
            )
        )  # fmt: skip
    return findings


def _by_share(survey: SplitSurvey, rows: np.ndarray) -> Severity:
    """An error where a language has many of them, else a warning."""
    languages = survey.manifest.languages
    if not len(languages):
        spoils = len(rows) >= SPOILS_FROM * len(survey.n_units)
        return Severity.ERROR if spoils else Severity.WARNING
    n_names = len(languages.names)
    share = np.bincount(languages.codes[rows], minlength=n_names) / np.maximum(
        np.bincount(languages.codes, minlength=n_names), 1
    )
    return Severity.ERROR if share.max() >= SPOILS_FROM else Severity.WARNING


def _mixed_with(survey: SplitSurvey, rows: np.ndarray) -> str:
    languages = survey.manifest.languages
    if not len(languages):
        return ""
    counts = np.bincount(languages.codes[rows], minlength=len(languages.names))
    totals = np.bincount(languages.codes, minlength=len(languages.names))
    mixed = [
        f"{languages.names[code]} {counts[code]} of {totals[code]}"
        for code in np.argsort(-counts, kind="stable").tolist()
        if counts[code]
    ]
    return f" ({listed(mixed)})"


def _first_decomposed(text: str) -> str:
    for word in text.split():
        composed = unicodedata.normalize("NFC", word)
        if composed != word:
            codes = " ".join(f"U+{ord(letter):04X}" for letter in word)
            return f"{word!r} is {codes}"
    return repr(text)


def _first_mixed_word(text: str) -> str:
    for word in text.split():
        bits = alphabet_bits(word)
        if bits & (bits - 1):
            return f"in {word!r}, {strangers(word)}"
    return repr(text.replace(WORD_END, " "))
