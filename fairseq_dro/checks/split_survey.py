"""One pass over the text of a split: what the checks ask, as arrays of one value an utterance.

Shapes: N utterances, U units, G languages, K kinds of letters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from fairseq_dro.checks.label_tally import LabelTally
from fairseq_dro.checks.letter_encodings import N_KINDS, kinds_of_code_points
from fairseq_dro.checks.scripts import BREAK, AlphabetBits, bits_of_units, has_several
from fairseq_dro.data.manifest import Manifest
from fairseq_dro.data.units import N_CODE_POINTS, UnitChunk, UnitNumbers
from fairseq_dro.text.tags import LANGUAGE_TOKEN, is_tag

WORD_END = "|"
PIECE_START = "\u2581"  # with which sentencepiece begins a word
WORDS = "wrd"  # suffix of the files whose units are words, as Whisper's


@dataclass(frozen=True)
class SplitSurvey:
    """What one pass found.

    Attributes:
        labels: units, the frames they need and what the dictionary lacks.
        n_characters: [N] characters of the text, without spaces and language tokens.
        first_unit: [N] number of the first unit, -1 in an empty line.
        text_hash: [N] int64, equal for equal text of one language (in this process).
        is_composed: [N] bool, the text is in Unicode's form NFC.
        is_mixed: [N] bool, a word has letters of two alphabets.
        letter_kinds: [G, K] how often each language has letters of ``letter_encodings``.
    """

    manifest: Manifest
    numbers: UnitNumbers
    labels: LabelTally
    n_characters: np.ndarray
    first_unit: np.ndarray
    text_hash: np.ndarray
    is_composed: np.ndarray
    is_mixed: np.ndarray
    letter_kinds: np.ndarray

    def token_of(self, row: int) -> str | None:
        """The language token with which a target begins."""
        number = int(self.first_unit[row])
        name = self.numbers.name(number) if number >= 0 else ""
        return name if LANGUAGE_TOKEN.fullmatch(name) else None

    def text(self, row: int) -> str:
        """The sentence as it is written, without language token."""
        units = self.manifest.labels[row].split()
        if units and LANGUAGE_TOKEN.fullmatch(units[0]):
            units = units[1:]
        return _written((" " if self.manifest.label_type == WORDS else "").join(units))


def survey(manifest: Manifest, symbols: Collection[str] | None) -> SplitSurvey:
    """Look at every unit of a split once.

    Args:
        symbols: units of the dictionary; None where there is none to compare with.
    """
    n = len(manifest)
    numbers, alphabets = UnitNumbers(), AlphabetBits()
    labels = LabelTally(manifest, symbols, numbers)
    longer = _LongerUnits(numbers, alphabets)
    found = SplitSurvey(
        manifest, numbers, labels,
        n_characters=np.zeros(n, np.int64), first_unit=np.full(n, -1, np.int64),
        text_hash=_hashes(manifest), is_composed=np.ones(n, bool), is_mixed=np.zeros(n, bool),
        letter_kinds=np.zeros((len(manifest.languages.names) or 1, N_KINDS), np.int64),
    )
    for chunk in numbers.chunks(manifest.labels):
        rows = slice(chunk.first, chunk.last)
        longer.update()
        labels.add(chunk)
        filled = np.flatnonzero(labels.n_units[rows])
        found.first_unit[chunk.first + filled] = chunk.units[chunk.starts[filled]]
        lengths = longer.look_up(chunk.units, longer.lengths, (chunk.units != ord(WORD_END)) * 1)
        sums = np.concatenate([[0], np.cumsum(lengths)])
        found.n_characters[rows] = sums[chunk.starts[1:]] - sums[chunk.starts[:-1]]
        starts, bits = _words(chunk, longer, alphabets, manifest.label_type == WORDS)
        found.is_mixed[chunk.first + chunk.line_of(starts[has_several(bits)])] = True
        _count_kinds(found, chunk, longer)
        found.is_composed[rows] = _composed(manifest, chunk)
    labels.finish()
    return found


class _LongerUnits:
    """What the checks ask about units of several characters, by their number."""

    def __init__(self, numbers: UnitNumbers, alphabets: AlphabetBits) -> None:
        self.numbers, self.alphabets = numbers, alphabets
        self.lengths = np.empty(0, np.int64)
        self.bits = np.empty(0, np.uint8)
        self.kinds = np.empty((0, N_KINDS), np.uint8)  # how often each has a letter of each kind
        self.begins_word = np.empty(0, bool)

    def update(self) -> None:
        """Take in the units that were met since the last call."""
        names = self.numbers.longer_names[len(self.lengths) :]
        if not names:
            return
        letters = [name.replace(PIECE_START, "") or PIECE_START for name in names]
        starts = np.cumsum([0, *map(len, letters)])[:-1]
        codes = np.frombuffer("".join(letters).encode("utf-32-le"), np.int32)
        lengths = np.array([len(name.replace(PIECE_START, "")) for name in names], np.int64)
        bits = bits_of_units(codes, starts, self.alphabets)
        kinds = np.zeros((len(names), N_KINDS), np.uint8)
        of_codes = kinds_of_code_points()[codes]
        places = np.flatnonzero(of_codes)
        units = np.searchsorted(starts, places, side="right") - 1
        np.add.at(kinds, (units, of_codes[places]), 1)
        for row, name in enumerate(names):
            if name[0] in "<[{" and is_tag(name):  # a language token is one, too
                lengths[row] = 0 if LANGUAGE_TOKEN.fullmatch(name) else 1
                bits[row] = BREAK
        begins = [name.startswith(PIECE_START) for name in names]
        self.lengths = np.append(self.lengths, lengths)
        self.bits = np.append(self.bits, bits)
        self.kinds = np.concatenate([self.kinds, kinds])
        self.begins_word = np.append(self.begins_word, np.array(begins, bool))

    @staticmethod
    def look_up(units: np.ndarray, table: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
        """[U] of ``table`` for units of several characters, of ``otherwise`` [U] for others."""
        if not len(table):
            return otherwise
        is_longer = units >= N_CODE_POINTS
        otherwise[is_longer] = table[units[is_longer] - N_CODE_POINTS].astype(otherwise.dtype)
        return otherwise


def _words(
    chunk: UnitChunk, longer: _LongerUnits, alphabets: AlphabetBits, are_words: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Positions at which words begin, and the alphabets of each as bits; none without word ends.

    Without word ends a whole sentence would be a word, and may name something foreign.

    Args:
        are_words: each unit is one.
    """
    units = chunk.units
    is_end = units == ord(WORD_END)
    begins = longer.look_up(units, longer.begins_word, units == ord(PIECE_START)) | are_words
    if not (is_end.any() or begins.any()):
        return np.empty(0, np.int64), np.empty(0, np.uint8)
    begins[0] = True
    begins[1:] |= is_end[:-1]
    begins[chunk.starts[:-1][chunk.starts[:-1] < len(units)]] = True
    bits = longer.look_up(units, longer.bits, alphabets.of_code_points(_single(units)))
    is_break = bits == BREAK
    begins |= is_break
    begins[1:] |= is_break[:-1]
    starts = np.flatnonzero(begins)
    return starts, np.bitwise_or.reduceat(bits, starts)


def _count_kinds(found: SplitSurvey, chunk: UnitChunk, longer: _LongerUnits) -> None:
    """Add the letters of a stretch to ``letter_kinds``."""
    codes = found.manifest.languages.codes

    def groups(positions: np.ndarray) -> np.ndarray:
        if not len(codes):
            return np.zeros(len(positions), np.int64)
        return codes[chunk.first + chunk.line_of(positions)]

    kinds = kinds_of_code_points()[_single(chunk.units)]
    letters = np.flatnonzero(kinds)
    np.add.at(found.letter_kinds, (groups(letters), kinds[letters]), 1)
    words = np.flatnonzero(chunk.units >= N_CODE_POINTS)
    of_words = longer.kinds[chunk.units[words] - N_CODE_POINTS]
    has_kinds = of_words.any(axis=1)
    np.add.at(found.letter_kinds, groups(words[has_kinds]), of_words[has_kinds])


def _single(units: np.ndarray) -> np.ndarray:
    """[U] code points, 0 for units of several characters."""
    return np.where(units < N_CODE_POINTS, units, 0)


def _composed(manifest: Manifest, chunk: UnitChunk) -> np.ndarray | bool:
    """Whether the text of each line of a stretch is in form NFC."""
    labels = manifest.labels
    start, end = int(labels.starts[chunk.first]), int(labels.ends[chunk.last - 1])
    text = labels.data[start:end].decode()
    blank = "" if manifest.label_type == WORDS else " "  # what stands between units of a word
    if text.isascii() or unicodedata.is_normalized("NFC", _written(text.replace(blank, ""))):
        return True
    lines = (_written(labels[row].replace(blank, "")) for row in range(chunk.first, chunk.last))
    return np.array([unicodedata.is_normalized("NFC", line) for line in lines])


def _written(joined: str) -> str:
    return joined.replace(WORD_END, " ").replace(PIECE_START, " ").strip()


def _hashes(manifest: Manifest) -> np.ndarray:
    hashes = np.empty(len(manifest), np.int64)
    for first in range(0, len(manifest), 1 << 16):
        part = slice(first, first + (1 << 16))
        lines = manifest.labels.bytes_of_slice(part)
        hashes[part] = np.fromiter(map(hash, lines), np.int64, len(lines))
    if len(manifest.languages):
        names = np.array([hash(name) for name in manifest.languages.names], np.int64)
        hashes ^= names[manifest.languages.codes]
    return hashes
