"""Batches of a group with little audio that are all full.

For sampling that is not proportional. The group is passed over again and again, from short to long
and back; a batch that the end of a pass leaves unfilled continues in the next pass, whose first
utterances have like lengths. Each pass uses each utterance once, so all are used about equally
often, and the sum over a batch compares with that of other groups, as CTC-DRO needs: batches of
five utterances, say, would have small sums that look like ease.

An utterance comes twice in a batch only where the group has less audio than a batch, and at most
``MOST_COPIES`` times: beyond that a batch stays smaller than the others.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

MOST_COPIES = 4
"""Times that an utterance may come in one batch of a group with little audio."""
ENOUGH_BATCHES = 10
"""With so many batches, even shares of a pass are full to 5 %; none continues in the next."""


def full_batch_samples(
    audio: np.ndarray | float, batch_samples: float
) -> np.ndarray | float:
    """Sum of samples that a batch of a group with ``audio`` samples has."""
    return np.minimum(batch_samples, MOST_COPIES * audio)


def full_batches(
    pass_over: Callable[[], np.ndarray],
    n_samples: np.ndarray,
    batch_samples: float,
    needed: int,
    rng: np.random.Generator,
    *,
    max_padded_samples: int | None = None,
    max_utterances: int | None = None,
    chosen_of: int = 0,
) -> list[np.ndarray]:
    """``needed`` index arrays.

    Args:
        pass_over: gives the group's utterances, from short to long, shuffled again at each call.
        n_samples: [N] lengths of all utterances of the corpus.
        batch_samples: aimed sum of a batch.
        max_padded_samples: bound on utterances x longest utterance of a batch.
        max_utterances: bound on utterances in a batch.
        chosen_of: of at least so many batches they are chosen at random. The one that continues in
            the next pass takes its first utterances, so a few batches alone would prefer them.
    """
    backwards = bool(rng.integers(2))

    def next_pass() -> np.ndarray:
        nonlocal backwards
        backwards = not backwards
        return pass_over()[::-1] if backwards else pass_over()

    rest = next_pass()
    audio = float(n_samples[rest].sum())
    aimed = float(full_batch_samples(audio, batch_samples))
    batches: list[np.ndarray] = []
    while len(batches) < max(needed, chosen_of):
        lengths = n_samples[rest]
        ends = np.cumsum(lengths)
        middles = ends - lengths / 2
        begin = 0
        while begin < len(rest):
            base = ends[begin] - lengths[begin]
            stop = max(begin + 1, int(np.searchsorted(middles, base + aimed)))
            stop = begin + _fitting(lengths[begin:stop], max_padded_samples, max_utterances)
            batches.append(rest[begin:stop])
            begin = stop
        unfilled = aimed - n_samples[batches[-1]].sum()
        rest = next_pass()
        while unfilled > 0:
            others = rest
            if audio >= batch_samples:
                others = rest[~np.isin(rest, batches[-1])]
            grown = np.concatenate([batches[-1], others])
            have = len(batches[-1])
            added = n_samples[others]
            more = int(np.searchsorted(np.cumsum(added) - added / 2, unfilled))
            more = min(
                more, _fitting(n_samples[grown], max_padded_samples, max_utterances) - have
            )
            if more <= 0:
                break
            batches[-1] = grown[: have + more]
            unfilled -= added[:more].sum()
            # those taken are done with in this pass; those passed by come next
            rest = rest[~np.isin(rest, others[:more])] if more < len(rest) else next_pass()
    chosen = np.sort(rng.permutation(len(batches))[:needed])
    return [batches[i] for i in chosen]


def _fitting(
    lengths: np.ndarray, max_padded_samples: int | None, max_utterances: int | None
) -> int:
    """How many of the first ``lengths`` fit into a batch."""
    fits = len(lengths)
    if max_utterances is not None:
        fits = min(fits, max_utterances)
    if max_padded_samples is not None:
        padded = np.maximum.accumulate(lengths[:fits]) * np.arange(1, fits + 1)
        fits = int(np.searchsorted(padded, max_padded_samples, side="right"))
    return max(1, fits)
