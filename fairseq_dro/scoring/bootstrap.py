"""Block bootstrap of error rates: what they might have been on other speakers and sentences.

A language's rate is a ratio of sums, so its replicates are: blocks are drawn with replacement,
as many as there are, and errors and lengths added up. A block is a speaker where speakers are
known, else an utterance. Languages are drawn independently of each other.

A language with one speaker, or a handful, cannot tell how much speakers differ. There the blocks
are utterances, and the replicates say how the rate varies over other sentences of the same
speakers: ``Blocks.by_speaker`` tells which it is.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

# Shapes: N utterances, G languages, R replicates, n blocks of a language.

CONFIDENCE = 0.95  # of every interval
N_REPLICATES = 10_000  # where ends are quantiles of replicates
N_MOMENTS = 2_000  # where replicates give a variance or a studentised statistic
MOST_BLOCKS = 400  # of a language; more are put together, see Blocks.bundled
FEWEST_SPEAKERS = 5  # of a language; with fewer its blocks are utterances
_DRAWN_AT_ONCE = 60_000  # indices, so that they stay in the processor's cache


class Block(NamedTuple):
    """Sums over the blocks of one language."""

    errors: np.ndarray  # [n] int64
    lengths: np.ndarray  # [n] int64, reference units

    @property
    def rate(self) -> float:
        """Errors over reference units; NaN without any."""
        total = int(self.lengths.sum())
        return float(self.errors.sum()) / total if total else float("nan")


class Blocks(NamedTuple):
    """Errors and lengths of every block of every language."""

    languages: tuple[str, ...]  # G names
    sums: tuple[Block, ...]  # G of them
    by_speaker: tuple[bool, ...] = ()  # G of them: are its blocks speakers? Empty where none is
    one_error: float = 1.0  # what a single error adds to errors, where they are scaled
    few_speakers: tuple[int | None, ...] = ()  # G: see Drawn; empty where nothing is known

    @property
    def rates(self) -> np.ndarray:
        """[G] observed rates, NaN where a language has no reference unit."""
        return np.array([block.rate for block in self.sums])

    @property
    def n_blocks(self) -> np.ndarray:
        """[G] int64."""
        return np.array([len(block.errors) for block in self.sums], dtype=np.int64)

    @property
    def totals(self) -> tuple[int, int]:
        """Errors and reference units of all languages."""
        return tuple(sum(int(x.sum()) for x in sums) for sums in zip(*self.sums))

    def rated(self) -> Blocks:
        """Only the languages that have a rate."""
        return self.only(
            [index for index, block in enumerate(self.sums) if block.lengths.sum() > 0]
        )

    def only(self, kept: Sequence[int]) -> Blocks:
        """The languages of these places."""
        return Blocks(
            tuple(self.languages[i] for i in kept),
            tuple(self.sums[i] for i in kept),
            tuple(self.by_speaker[i] for i in kept) if self.by_speaker else (),
            self.one_error,
            tuple(self.few_speakers[i] for i in kept) if self.few_speakers else (),
        )

    def bundled(self, seed: int = 0, most: int = MOST_BLOCKS) -> Blocks:
        """At most ``most`` blocks a language: more are put together at random.

        The variance of a rate is estimated as well from 400 bundles as from 40,000 utterances (its
        standard error to 4 %), at a hundredth of the work.
        """
        sums = []
        for index, block in enumerate(self.sums):
            n = len(block.errors)
            if n > most:
                place = np.random.default_rng([seed, index]).permutation(n) % most
                block = Block(*(_sums_by(place, values, most) for values in block))
            sums.append(block)
        return self._replace(sums=tuple(sums))


class Drawn(NamedTuple):
    """What is drawn of one language.

    Attributes:
        place: [n] number of each utterance's block.
        by_speaker: whether the blocks are speakers.
        few_speakers: where these are too few, how many there are at most; else None.
    """

    place: np.ndarray
    by_speaker: bool
    few_speakers: int | None


def drawn_of(
    speakers: Sequence[Hashable | None], fewest_speakers: int = FEWEST_SPEAKERS
) -> Drawn:
    """Speakers, where two utterances or more are known to be of one and speakers are enough.

    Args:
        speakers: [n] of the utterances of one language; one that is not known is a block of its
            own.
        fewest_speakers: with fewer, utterances are drawn.
    """
    first: dict[Hashable, int] = {}
    block = [
        index if speaker is None else first.setdefault(speaker, index)
        for index, speaker in enumerate(speakers)
    ]
    ids, place = np.unique(block, return_inverse=True)
    several = len(ids) < len(block)
    if several and len(ids) >= fewest_speakers:
        return Drawn(place, True, None)
    return Drawn(np.arange(len(block)), False, len(ids) if several else None)


def make_blocks(
    languages: Sequence[str],
    errors: Sequence[int] | np.ndarray,
    lengths: Sequence[int] | np.ndarray,
    speakers: Sequence[Hashable | None] | None = None,
    fewest_speakers: int = FEWEST_SPEAKERS,
) -> Blocks:
    """Blocks of N utterances, languages in alphabetical order.

    Args:
        languages: [N] names.
        errors: [N] errors of each utterance.
        lengths: [N] reference units of each utterance.
        speakers: [N], None for an utterance whose speaker is not known: it is a block of its own.
        fewest_speakers: a language with fewer blocks of this kind has utterances as blocks.
    """
    names, group = np.unique(np.asarray(languages, dtype=object).astype(str), return_inverse=True)
    errors, lengths = (np.asarray(values, dtype=np.int64) for values in (errors, lengths))
    sums, by_speaker, few_speakers = [], [], []
    for own in np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1]):
        named = [None] * len(own) if speakers is None else [speakers[index] for index in own]
        drawn = drawn_of(named, fewest_speakers)
        by_speaker.append(drawn.by_speaker)
        few_speakers.append(drawn.few_speakers)
        n = int(drawn.place.max()) + 1
        sums.append(Block(*(_sums_by(drawn.place, x[own], n) for x in (errors, lengths))))
    return Blocks(
        tuple(map(str, names)), tuple(sums), tuple(by_speaker), few_speakers=tuple(few_speakers)
    )


def replicate_rates(
    blocks: Blocks, n_replicates: int = N_REPLICATES, seed: int = 0
) -> np.ndarray:
    """[R, G] rates of languages drawn anew; NaN where a replicate has no reference unit.

    A function of its arguments: language g draws from a generator of (seed, g).
    """
    rates = np.empty((n_replicates, len(blocks.sums)))
    for index, block in enumerate(blocks.sums):
        n = len(block.errors)
        generator = np.random.default_rng([seed, index])
        # both sums by one look-up and one addition, exact below 2^53
        pairs = block.errors + 1j * block.lengths
        at_once = max(1, _DRAWN_AT_ONCE // max(n, 1))
        for start in range(0, n_replicates, at_once):
            stop = min(start + at_once, n_replicates)
            drawn = generator.integers(0, n, size=(n, stop - start))
            total = pairs.take(drawn, mode="clip").sum(axis=0)
            with np.errstate(invalid="ignore", divide="ignore"):
                rates[start:stop, index] = np.where(total.imag > 0, total.real / total.imag, np.nan)
    return rates


def _sums_by(place: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """[n] sums of ``values`` [N] that share a ``place`` [N]; exact below 2^53."""
    return np.bincount(place, weights=values, minlength=n).astype(np.int64)
