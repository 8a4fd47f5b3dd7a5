"""Splits by hash, few-shot choice and a bound on hours: pure functions of ids and durations.

Everything is chosen in the order of a hash of (seed, id), so a choice does not depend on the order
of the corpus, and adding utterances moves few of the others.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from fairseq_dro.prepare.recording import SPLITS

TOGETHER = ("speaker", "text")
MOST_HELD_OUT = 0.5  # of a language's seconds, for valid and test together
OVERSHOOT = 1.5  # a side may grow to this multiple of what was asked, for a speaker is not cut


@dataclass(frozen=True)
class Share:
    """How much of each language a split gets: seconds, or a fraction of the language's seconds."""

    seconds: float | None = None
    fraction: float = 0.0

    def of(self, language_seconds: float) -> float:
        """Seconds that are asked for."""
        asked = self.fraction * language_seconds if self.seconds is None else self.seconds
        return min(asked, language_seconds)


@dataclass(frozen=True)
class Item:
    """An utterance without a split; ``speaker`` is empty where unknown."""

    utterance_id: str
    language: str
    text: str
    speaker: str
    seconds: float


def hash_order(key: str, seed: int) -> bytes:
    """Where an id stands in the order in which things are chosen."""
    return hashlib.blake2b(f"{seed}\t{key}".encode(), digest_size=8).digest()


def split_by_hash(
    items: Sequence[Item], valid: Share, test: Share, seed: int,
    together: Collection[str] = TOGETHER,
) -> list[str]:  # fmt: skip
    """``train``, ``valid`` or ``test`` for each item, per language.

    Utterances of one speaker or with one text are on one side: they are taken together, in an order
    by hash, for test until it has its share, then for valid. What would make a side larger than
    ``OVERSHOOT`` times its share is passed over, so a side can stay empty, as it must for a
    language with one speaker, or whose speakers all said the same sentences. A speaker's name means
    one person within a language only.

    Args:
        together: of ``speaker`` and ``text``, what is never on two sides.
    """
    by_language: dict[str, list[int]] = defaultdict(list)
    for index, item in enumerate(items):
        by_language[item.language].append(index)
    splits = ["train"] * len(items)
    for indices in by_language.values():
        seconds = sum(items[index].seconds for index in indices)
        bound = MOST_HELD_OUT * seconds
        groups = _kept_together(items, indices, seed, together)
        for split, share in (("test", test), ("valid", valid)):
            asked, taken, left = min(share.of(seconds), bound), 0.0, []
            for group in groups:
                size = sum(items[index].seconds for index in group)
                if taken < asked and taken + size <= min(OVERSHOOT * asked, bound):
                    taken += size
                    for index in group:
                        splits[index] = split
                else:
                    left.append(group)
            groups, bound = left, bound - taken
    return splits


def follow_given(
    items: Sequence[Item], given: Sequence[str], together: Collection[str] = TOGETHER
) -> list[str | None]:
    """Splits of the utterances that have none, from the speakers and texts of those that have one.

    Utterances without a split that share a speaker or a text, directly or through others, go to
    the split in which the corpus has one of these speakers or texts. Where it has them in several,
    they go to the first of train, valid and test, and those that share a speaker or a text with
    another split are left out: on either side they would be heard on two. A speaker or a text that
    the corpus itself has in several splits counts for the first of them.

    Args:
        given: split of each utterance, empty where the corpus has none.

    Returns:
        Split of each utterance; empty: it is free; None: it is left out.
    """
    sides: dict[tuple[str, str, str], str] = {}
    for item, split in zip(items, given):
        for key in _keys(item, together) if split else ():
            sides[key] = min(split, sides.get(key, split), key=SPLITS.index)
    found: list[str | None] = list(given)
    by_language: dict[str, list[int]] = defaultdict(list)
    for index, (item, split) in enumerate(zip(items, given)):
        if not split:
            by_language[item.language].append(index)
    for indices in by_language.values() if sides else ():
        for group in _kept_together(items, indices, 0, together):
            own = {i: {sides[k] for k in _keys(items[i], together) if k in sides} for i in group}
            everything = set().union(*own.values())
            if everything:
                side = min(everything, key=SPLITS.index)
                for index in group:
                    found[index] = side if own[index] <= {side} else None
    return found


def _keys(item: Item, together: Collection[str]) -> list[tuple[str, str, str]]:
    named = ((item.language, kind, getattr(item, kind)) for kind in together)
    return [key for key in named if key[2]]


def _kept_together(
    items: Sequence[Item], indices: Iterable[int], seed: int, together: Collection[str]
) -> list[list[int]]:
    """Groups that share a speaker or a text, directly or through others, in an order by hash."""
    root: dict[int, int] = {}

    def find(index: int) -> int:
        while root[index] != index:
            root[index] = root[root[index]]
            index = root[index]
        return index

    first: dict[tuple[str, str], int] = {}
    for index in indices:
        root[index] = index
        for kind in together:
            name = getattr(items[index], kind)
            if name:
                root[find(index)] = find(first.setdefault((kind, name), index))
    groups: dict[int, list[int]] = defaultdict(list)
    for index in root:
        groups[find(index)].append(index)
    place = {index: hash_order(items[index].utterance_id, seed) for index in root}
    return sorted(groups.values(), key=lambda group: min(place[index] for index in group))


def few_shot(
    ids: Sequence[str], languages: Sequence[str], chosen: Collection[str], n_each: int, seed: int
) -> list[bool]:
    """Which training utterances stay when each language of ``chosen`` keeps ``n_each``."""
    return _first_by_hash(ids, languages, seed, lambda language: n_each, chosen, [1.0] * len(ids))


def within_seconds(
    ids: Sequence[str], languages: Sequence[str], seconds: Sequence[float], most: float, seed: int
) -> list[bool]:
    """Which training utterances stay when a language has at most ``most`` seconds of them."""
    return _first_by_hash(ids, languages, seed, lambda language: most, set(languages), seconds)


def _first_by_hash(ids, languages, seed, bound_of, chosen, sizes) -> list[bool]:
    taken: Mapping[str, float] = defaultdict(float)
    stays = [True] * len(ids)
    for index in sorted(range(len(ids)), key=lambda i: hash_order(ids[i], seed)):
        language = languages[index]
        if language not in chosen:
            continue
        stays[index] = taken[language] + sizes[index] <= bound_of(language)
        if stays[index]:
            taken[language] += sizes[index]
    return stays
