"""Error rates per group, their mean, the worst, and all utterances together.

Groups are languages unless ``Scores.by`` says otherwise, and are called so here. A language's rate
is the sum of its errors over the sum of its reference units (not a mean of utterances' rates), so a
long utterance weighs more than a short one, and an utterance with an empty reference adds its
insertions and nothing else. The *mean* gives every language the same weight (macro), *all together*
every unit (micro). All rates are fractions.

Sums are whole numbers, so that no number depends on the order of the utterances.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from fairseq_dro.group_by import BY_LANGUAGE, LANGUAGE, GroupBy
from fairseq_dro.scoring.as_written import WrittenSums, summarise_as_written
from fairseq_dro.scoring.convention import Convention
from fairseq_dro.scoring.edits import EditCounts
from fairseq_dro.scoring.language_blocks import WITHOUT_LANGUAGE, LanguageBlocks
from fairseq_dro.scoring.records import Record

FORMAT = 1
_PARTS = 10**12  # of an utterance's CER, in which utterance means are summed
NO_LANGUAGE = "none"  # in the confusion table: a hypothesis without language token


@dataclass
class Sums:
    """Sums over the utterances of one language, or of any other group."""

    utterance_mean: bool = False  # is CER the mean over utterances? (Convention.utterance_mean)
    n_utterances: int = 0
    n_empty_hypotheses: int = 0
    characters: EditCounts = EditCounts()
    words: EditCounts = EditCounts()
    n_with_language_token: int = 0  # references that begin with [iso]
    n_language_correct: int = 0  # of these, hypotheses that begin with the same [iso]
    n_rated: int = 0  # utterances with a reference character
    cer_parts: int = 0  # sum of their CERs
    microseconds: int = 0
    n_timed: int = 0  # utterances whose duration is known

    def add(self, utterance: Record) -> None:
        """Count one more utterance."""
        characters = utterance.characters
        self.n_utterances += 1
        self.n_empty_hypotheses += not utterance.hypothesis
        self.characters = self.characters.plus(characters)
        self.words = self.words.plus(utterance.words)
        if utterance.target_language is not None:
            self.n_with_language_token += 1
            self.n_language_correct += utterance.predicted_language == utterance.target_language
        if characters.reference_length:
            self.n_rated += 1
            self.cer_parts += characters.errors * _PARTS // characters.reference_length
        if utterance.seconds is not None:
            self.n_timed += 1
            self.microseconds += round(utterance.seconds * 1e6)

    @property
    def audio_seconds(self) -> float | None:
        """None where no utterance's duration is known."""
        return self.microseconds / 1e6 if self.n_timed else None

    @property
    def cer(self) -> float | None:
        """Character error rate, a fraction; None without any reference character."""
        if self.utterance_mean:
            return self.cer_parts / _PARTS / self.n_rated if self.n_rated else None
        return self.characters.error_rate

    @property
    def wer(self) -> float | None:
        """Word error rate, a fraction; None without any reference word."""
        return self.words.error_rate

    @property
    def lid_accuracy(self) -> float | None:
        """Share of language tokens that were recognised; None where no reference has one."""
        if not self.n_with_language_token:
            return None
        return self.n_language_correct / self.n_with_language_token

    def as_record(self) -> dict[str, Any]:
        """JSON-ready numbers; S, D and I are those of CER."""
        seconds = self.audio_seconds
        return {
            "n_utterances": self.n_utterances,
            "audio_seconds": None if seconds is None else round(seconds, 3),
            "cer": self.cer,
            "wer": self.wer,
            "lid_accuracy": self.lid_accuracy,
            "substitutions": self.characters.substitutions,
            "deletions": self.characters.deletions,
            "insertions": self.characters.insertions,
            "reference_characters": self.characters.reference_length,
            "word_substitutions": self.words.substitutions,
            "word_deletions": self.words.deletions,
            "word_insertions": self.words.insertions,
            "reference_words": self.words.reference_length,
            "n_empty_hypotheses": self.n_empty_hypotheses,
            "empty_hypothesis_rate": self.n_empty_hypotheses / max(1, self.n_utterances),
        }


@dataclass
class Scores:
    """Sums per group, corpus, speaker and further column, and over everything.

    Utterances are added one by one. Names are in alphabetical order in
    ``as_record``. Speakers, corpora and columns are there where the utterances know theirs.

    Attributes:
        by: what a group is.
        group_of: the group of an utterance, None where it has none; by default that of ``by``.
        languages: by group.
        columns: by column, then by value; the languages are among them where groups are others.
        written: by group, of utterances whose texts are known as written.
    """

    convention: Convention = Convention()
    by: GroupBy = BY_LANGUAGE
    languages: dict[str, Sums] = field(default_factory=dict)
    corpora: dict[str, Sums] = field(default_factory=dict)
    language_corpora: dict[str, Sums] = field(default_factory=dict)  # deu/mls
    speakers: dict[str, Sums] = field(default_factory=dict)  # deu/speaker
    columns: dict[str, dict[str, Sums]] = field(default_factory=dict)
    written: dict[str, WrittenSums] = field(default_factory=dict)
    all: Sums = field(init=False)
    confusion: Counter = field(default_factory=Counter)  # (spoken, recognised) languages
    blocks: LanguageBlocks = field(default_factory=LanguageBlocks)
    word_blocks: LanguageBlocks = field(default_factory=LanguageBlocks)
    group_of: Callable[[Record], str | None] | None = None

    def __post_init__(self) -> None:
        self.all = self._new()
        self.group_of = self.group_of or self.by.group_of

    def _new(self) -> Sums:
        return Sums(self.convention.utterance_mean)

    def add(self, utterance: Record) -> None:
        """Count one more utterance, as it is: its texts are not compared anew."""
        self.all.add(utterance)
        language, corpus, speaker = utterance.language, utterance.corpus, utterance.speaker
        group = self.group_of(utterance)
        name, is_mean = group or WITHOUT_LANGUAGE, self.convention.utterance_mean
        self.blocks.add(name, speaker, utterance.characters, is_mean)
        self.word_blocks.add(name, speaker, utterance.words, False)
        if group is not None:
            self._sums(self.languages, group).add(utterance)
        if utterance.as_written is not None:
            self.written.setdefault(group or WITHOUT_LANGUAGE, WrittenSums()).add(utterance)
        columns = dict(utterance.columns)
        if self.by != BY_LANGUAGE and language is not None:
            columns[LANGUAGE] = language
        for name, value in columns.items():
            self._sums(self.columns.setdefault(name, {}), value).add(utterance)
        if corpus is not None:
            self._sums(self.corpora, corpus).add(utterance)
            if language is not None:
                self._sums(self.language_corpora, f"{language}/{corpus}").add(utterance)
        if speaker is not None:
            name = speaker if language is None else f"{language}/{speaker}"
            self._sums(self.speakers, name).add(utterance)
        if utterance.target_language is not None:
            recognised = utterance.predicted_language or NO_LANGUAGE
            self.confusion[utterance.target_language, recognised] += 1

    def _sums(self, groups: dict[str, Sums], name: str) -> Sums:
        sums = groups.get(name)
        if sums is None:
            sums = groups[name] = self._new()
        return sums

    def mean(self, rate: str) -> float | None:
        """Unweighted mean of ``cer``, ``wer`` or ``lid_accuracy``, over languages that have it."""
        rates = [getattr(sums, rate) for sums in self.languages.values()]
        rates = [value for value in rates if value is not None]
        return math.fsum(rates) / len(rates) if rates else None

    @property
    def cer(self) -> dict[str, float]:
        """By group, without those that have no reference character."""
        return {code: sums.cer for code, sums in self.languages.items() if sums.cer is not None}

    def worst_language(self) -> str | None:
        """The language of the highest CER, the first by code among equals."""
        return max(sorted(self.cer), key=lambda code: self.cer[code], default=None)

    def as_record(self) -> dict[str, Any]:
        """The sums part of ``scores.json``.

        ``group_by``: what groups are. ``languages`` by group, ``mean`` over those that have a
        rate, ``worst`` (name and rates of the one of the highest CER) and ``all`` utterances
        together. ``mean`` and ``worst`` are null where the utterances have no group. ``corpora``,
        ``language_corpora``, ``speakers`` and ``columns`` are empty where they are not known.
        ``lid_confusion``: spoken language -> recognised language -> utterances. ``as_written`` is
        there where texts are known with case and punctuation.
        """
        code = self.worst_language()
        record: dict[str, Any] = {
            "format": FORMAT,
            "group_by": str(self.by),
            "languages": _records(self.languages),
            "mean": None,
            "worst": None,
            "all": self.all.as_record(),
            "corpora": _records(self.corpora),
            "language_corpora": _records(self.language_corpora),
            "speakers": _records(self.speakers),
            "columns": {name: _records(found) for name, found in sorted(self.columns.items())},
            "lid_confusion": {},
        }
        for (spoken, recognised), count in sorted(self.confusion.items()):
            record["lid_confusion"].setdefault(spoken, {})[recognised] = count
        if self.languages:
            record["mean"] = {
                "n_languages": len(self.cer),
                **{rate: self.mean(rate) for rate in ("cer", "wer", "lid_accuracy")},
            }
        if code is not None:
            worst = self.languages[code]
            record["worst"] = {
                "language": code,
                "cer": worst.cer,
                "wer": worst.wer,
                "lid_accuracy": worst.lid_accuracy,
            }
        if self.written:
            record["as_written"] = summarise_as_written(self.written)
        return record


def sum_up(
    utterances: Iterable[Record],
    convention: Convention | None = None,
    by: GroupBy = BY_LANGUAGE,
    group_of: Callable[[Record], str | None] | None = None,
) -> Scores:
    """Add utterances up; those without a group count in ``all`` only."""
    scores = Scores(convention or Convention(), by, group_of=group_of)
    for utterance in utterances:
        scores.add(utterance)
    scores.languages = dict(sorted(scores.languages.items()))
    return scores


def _records(groups: dict[str, Sums]) -> dict[str, Any]:
    return {name: sums.as_record() for name, sums in sorted(groups.items())}
