"""In which order the batches of an epoch come.

First the turns, the group of each place in the order; then which of the group's batches takes it.

Shapes: G groups, B batches (= turns).
"""

from __future__ import annotations

import numpy as np

REFINEMENTS = 3
"""How often the levels of updates are made again from the batches that they got."""


def spread_turns(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[B] group of each turn, where each group's turns are spread evenly over the epoch.

    The k-th of a group's n turns falls at random into the k-th n-th of the epoch. Between two
    turns of a group lie at most twice as many as on average. So q, which waits until every group
    was seen, waits much less than in a random order (where it takes G H_G batches even of
    groups of one size).

    Args:
        counts: [G] batches of each group.
    """
    group = np.repeat(np.arange(len(counts)), counts)
    first = np.concatenate(([0], np.cumsum(counts)[:-1]))
    number = np.arange(len(group)) - first[group]
    when = (number + rng.random(len(group))) / counts[group]
    return group[np.argsort(when, kind="stable")]


def turns_in_rounds(
    n_groups: int, n_turns: int, before: int, seed: int
) -> np.ndarray:
    """[B] group of each turn, where each round of G turns holds every group once.

    Rounds continue over the epochs: the one that an epoch breaks off is ended by the next.

    Args:
        before: turns in all earlier epochs.
        seed: of the run.
    """
    first, last = before // n_groups, (before + n_turns - 1) // n_groups
    # a stream of random numbers for each round, so that the next epoch knows the broken round
    rounds = [
        np.random.default_rng([seed, number, n_groups]).permutation(n_groups)
        for number in range(first, last + 1)
    ]
    begin = before - first * n_groups
    return np.concatenate(rounds)[begin : begin + n_turns]


def take_turns(
    turns: np.ndarray,
    groups: np.ndarray,
    cost: np.ndarray,
    multiple_of: int,
    rng: np.random.Generator,
    round_of_turn: np.ndarray | None = None,
) -> np.ndarray:
    """[B] which batch comes when, so that workers have batches of like cost in the same step.

    Workers wait for the slowest of them at each update. Every update gets a random level between
    cheap and expensive, and each group gives it the batch that stands at this level among the
    group's own; then, ``REFINEMENTS`` times, the cost of its most expensive batch is its level.
    So an update holds the groups that the turns say, levels come in random order, and yet its
    batches resemble each other in cost. (Sorting all batches by cost instead would leave no worker
    idle, but gather the same languages, those with sparse lengths, in the same updates.) Within an
    update, whose gradient is one sum, the most expensive batch comes first, so that each step of
    its workers has neighbours in cost, however many workers there are.

    Args:
        turns: [B] group of each turn.
        groups: [B] group of each batch, equally often each.
        cost: [B] of each batch.
        multiple_of: batches of an update, workers x micro-batches.
        round_of_turn: [B] ascending; batches change places within their round only.
    """
    update = np.arange(len(turns)) // multiple_of
    first_of_update = np.arange(0, len(turns), multiple_of)
    level = rng.permutation(len(first_of_update))
    by_cost = np.lexsort((cost, groups))
    chosen = np.empty(len(turns), dtype=np.int64)
    for _ in range(1 + REFINEMENTS):
        chosen[np.lexsort((level[update], turns))] = by_cost
        level = np.maximum.reduceat(cost[chosen], first_of_update)
    keys = (-cost[chosen], update)
    if round_of_turn is not None:
        keys = (-cost[chosen], round_of_turn, update)
    return chosen[np.lexsort(keys)]
