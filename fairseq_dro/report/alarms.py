"""What a researcher should be told before they look at any number, in words.

Pure functions of numbers by group; each returns what it has to say, or None. A group is called a
language unless ``by`` says that it is another.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fairseq_dro.group_by import BY_LANGUAGE, GroupBy, suffix_of
from fairseq_dro.wording import counted, listed

COLLAPSE_SHARE = 0.5  # of q; for few languages more, see q_collapsed
COLLAPSE_LENGTH = 0.1  # of the run's updates
FEW_UTTERANCES = 20
EMPTY_SHARE = 0.5
LOOPING_SHARE = 0.02
SILENCE = 0.98  # CER of a model that writes next to nothing


class Alarm(NamedTuple):
    """A short name of the kind, one or two sentences, and what to type, if anything."""

    kind: str
    sentence: str
    command: str = ""


def q_collapsed(
    path: Sequence[tuple[int, Mapping[str, float]]], last_update: int, by: GroupBy = BY_LANGUAGE
) -> Alarm | None:
    """One language holds more than half of q for more than a tenth of the run.

    With three languages half would be little, so the share has to be 2/|G| as well, at most 0.9.

    Args:
        path: (update, q by language) by ascending update; q keeps its value until the next.
        last_update: where the run stands.
    """
    if not path or len(path[0][1]) < 2:
        return None
    share = min(0.9, max(COLLAPSE_SHARE, 2 / len(path[0][1])))
    ends = [update for update, _ in path[1:]] + [max(last_update, path[-1][0])]
    largest = [max(q.items(), key=lambda item: item[1]) for _, q in path]
    steps = zip((update for update, _ in path), ends, largest)
    spans = [
        list(held)
        for holder, held in itertools.groupby(steps, lambda s: s[2][0] if s[2][1] > share else None)
        if holder is not None
    ]
    longest = max(spans, key=lambda held: held[-1][1] - held[0][0], default=[(0, 0, ("", 0.0))])
    start, end, language = longest[0][0], longest[-1][1], longest[0][2][0]
    length, least = end - start, min(q for _, _, (_, q) in longest)
    if length <= COLLAPSE_LENGTH * max(last_update, 1):
        return None
    now = end >= last_update
    return Alarm(
        "q collapsed",
        f"One {by.noun}, {by.full_name(language)}, {'holds' if now else 'held'} "
        f"{100 * least:.0f} % of q or more for {length:,} updates ({start:,} to {end:,}"
        f"{', and still does' if now else ''}): the other {by.noun}s hardly train"
        f"{'' if now else 'ed'} then. What bounds q: a smaller criterion.smoothing (ctc_dro), a "
        "smaller criterion.radius (chi_square_dro). A smaller criterion.step_size only slows it.",
    )


def never_sampled(
    last_loss: Mapping[str, float | None],
    last_update: int,
    seconds: Mapping[str, float] | None,
    by: GroupBy = BY_LANGUAGE,
) -> Alarm | None:
    """Languages whose training loss has never been seen.

    Args:
        last_loss: ``train_loss_nats`` of the last validation by language.
        seconds: audio trained on by language, where the run counted it.
    """
    if seconds is not None:
        unseen = sorted(code for code, value in seconds.items() if not value)
    else:
        unseen = sorted(code for code, loss in last_loss.items() if loss is None)
    if not unseen or last_update <= 0:
        return None
    updates = counted(last_update, "update")
    if seconds is None and len(unseen) == len(last_loss):
        return Alarm(
            "q never moved",
            f"After {updates} q has not moved once: with criterion.update_when=all_groups_seen it "
            f"waits until every {by.noun} was drawn. Take task.group_sampling=uniform, or "
            "criterion.update_when=every_update.",
        )
    was, its = ("was", "its") if len(unseen) == 1 else ("were", "their")
    return Alarm(
        "never sampled",
        f"{_named(unseen, by)} {was} never drawn in {updates}: {its} scores are those of a model "
        f"that never heard the {by.noun}. Take task.group_sampling=uniform or temperature, or "
        "train longer.",
    )


def objective_changed(objectives: Sequence[tuple[str, int]]) -> Alarm | None:
    """A run that changed what it trains for.

    Args:
        objectives: (name, last update under it) in order.
    """
    if len(objectives) < 2:
        return None
    told = ", then ".join(f"{name} to update {update:,}" for name, update in objectives)
    return Alarm(
        "objective changed",
        f"Trained with {told}: this run stands for none of them. Train each objective from the "
        "same start, in a run folder of its own.",
    )


def interleaved(falls: int, n_starts: int) -> Alarm | None:
    """Two commands that wrote into the run's folder at the same time.

    Args:
        falls: how often its files fall back to an earlier update; a resume does so once.
    """
    if falls < max(1, n_starts):
        return None
    return Alarm(
        "two writers",
        f"The updates in its files fall back {counted(falls, 'time')}, but it was started only "
        f"{counted(max(1, n_starts), 'time')}: two commands wrote into this folder at once, and "
        "its checkpoints, history and q are a mixture of both. Believe nothing below; train it "
        "again in a folder of its own.",
    )


def levelling_down(
    cer: Mapping[str, float],
    baseline: Mapping[str, float],
    baseline_name: str,
    worse: Sequence[str],
    by: GroupBy = BY_LANGUAGE,
) -> Alarm | None:
    """Languages whose CER rose against the baseline while the mean fell.

    Args:
        worse: those that a paired test calls worse.
    """
    both = sorted(set(cer) & set(baseline))
    if not both:
        return None
    mean, mean_before = (sum(rates[c] for c in both) / len(both) for rates in (cer, baseline))
    rose = [c for c in both if cer[c] > baseline[c] and c in worse]
    if mean >= mean_before or not rose:
        return None
    rose.sort(key=lambda code: baseline[code] - cer[code])
    changes = [
        f"{by.full_name(c)} from {100 * baseline[c]:.1f} to {100 * cer[c]:.1f} %" for c in rose
    ]
    return Alarm(
        "levelling down",
        f"Against {baseline_name} the mean CER fell ({100 * mean_before:.1f} to {100 * mean:.1f} "
        f"%), but {len(rose)} of {len(both)} {by.noun}s got worse (by a paired test, corrected for "
        f"the number of {by.noun}s): {listed(changes, separator='; ')}.",
    )


def worst_within_null_band(
    code: str, worst: float, low: float, high: float, by: GroupBy = BY_LANGUAGE
) -> Alarm | None:
    """The worst language is no worse than the worst of equal languages would look.

    Args:
        low, high: interval of the highest CER when all languages have the same true CER.
    """
    if worst > high:
        return None
    where, bad = ("inside", "as bad as this") if worst >= low else ("below", "worse than this")
    return Alarm(
        "worst within chance",
        f"The worst {by.noun}, {by.full_name(code)} with {100 * worst:.1f} %, lies {where} the "
        f"band that no difference at all would give ({100 * low:.1f} to {100 * high:.1f} %): if "
        f"all {by.noun}s were equally hard, some {by.noun} would look {bad}. Do not call it worst.",
    )


def without_group(name: str, n_without: int, n_utterances: int, by: GroupBy) -> Alarm | None:
    """Decoded utterances of a run of which the column is not known that its groups are made of.

    Languages are not asked for: a split may be decoded that has none.
    """
    if not n_without or by == BY_LANGUAGE:
        return None
    column = by.columns[0]
    return Alarm(
        "no group",
        f"{n_without:,} of {n_utterances:,} decoded utterances of {name} have no {column}, and "
        f"groups are by {by}: they stand together as one group, called all. Decode a split that "
        f"has a .{suffix_of(column)} file.",
    )


def not_compared(baseline_name: str, by: GroupBy) -> Alarm:
    """A baseline against which no test is made, as utterances have no group."""
    column = by.columns[0]
    return Alarm(
        "not compared",
        f"Some decoded utterances have no {column}, so there is no test against {baseline_name}: "
        f"decode a split that has a .{suffix_of(column)} file.",
    )


def without_references(groups: Sequence[str], by: GroupBy = BY_LANGUAGE) -> Alarm | None:
    """Languages of the test split whose references are all empty."""
    if not groups:
        return None
    return Alarm(
        "no reference text",
        f"All references of {_named(sorted(groups), by)} are empty: there is no error rate, and "
        "no mean or worst takes note of it.",
    )


def too_few_utterances(
    n_utterances: Mapping[str, int], by: GroupBy = BY_LANGUAGE
) -> Alarm | None:
    """Languages whose test split is too small to say anything about them."""
    few = {code: n for code, n in n_utterances.items() if n < FEW_UTTERANCES}
    if not few:
        return None
    return Alarm(
        "too few test utterances",
        f"{len(few)} of {len(n_utterances)} {by.noun}s {'has' if len(few) == 1 else 'have'} fewer "
        f"than {FEW_UTTERANCES} test utterances, too few to say anything about the {by.noun}: "
        f"{_numbered(few, by)}. Their intervals are too narrow, if anything.",
    )


def too_few_speakers(
    few_speakers: Mapping[str, int], n_groups: int, by: GroupBy = BY_LANGUAGE
) -> Alarm | None:
    """Languages of which the test split has too few speakers to draw from.

    Args:
        few_speakers: of these languages, the number of speakers at most.
    """
    if not few_speakers:
        return None
    have = "has" if len(few_speakers) == 1 else "have"
    return Alarm(
        "few test speakers",
        f"{len(few_speakers)} of {n_groups} {by.noun}s {have} too few test speakers to know how "
        f"much voices differ: {_numbered(few_speakers, by)}. Their intervals are over utterances, "
        "and about these voices only.",
    )


def says_nothing(
    n_empty: Mapping[str, int], n_utterances: Mapping[str, int], by: GroupBy = BY_LANGUAGE
) -> Alarm | None:
    """Languages for which most hypotheses are empty: the model has not begun to write them."""
    silent = sorted(c for c, n in n_utterances.items() if n and n_empty[c] > EMPTY_SHARE * n)
    if not silent:
        return None
    who = f"every {by.noun}" if len(silent) == len(n_utterances) else _named(silent, by)
    return Alarm(
        "empty hypotheses",
        f"More than half of the hypotheses are empty for {who} ({sum(n_empty.values()):,} of "
        f"{sum(n_utterances.values()):,} utterances in all): the model has not begun to write "
        "there, and a CER near 100 % is that of silence. Compare nothing before that has changed.",
    )


def looping(name: str, shares: Mapping[str, float], by: GroupBy = BY_LANGUAGE) -> Alarm | None:
    """Languages in which a run's hypotheses repeat themselves without end.

    Args:
        shares: by language, of its texts (``scoring.as_written.loops``).
    """
    found = sorted((c for c in shares if shares[c] > LOOPING_SHARE), key=lambda c: -shares[c])
    if not found:
        return None
    return Alarm(
        "loops",
        f"{name}: hypotheses repeat themselves without end in {_named(found, by)} (up to "
        f"{100 * shares[found[0]]:.0f} % of the texts). Their CER says where decoding was stopped "
        "more than what was heard: train longer, and read some of them before any number.",
    )


def not_better_than_a_guess(
    cer: Mapping[str, float], guess: Mapping[str, float], by: GroupBy = BY_LANGUAGE
) -> Alarm | None:
    """Languages whose CER is no lower than that of one constant string (``constant_guess``)."""
    blind = sorted(c for c in cer if c in guess and cer[c] >= guess[c])
    if not blind:
        return None
    who = f"Every {by.noun}" if len(blind) == len(cer) else _named(blind, by)
    return Alarm(
        "no better than a guess",
        f"{who}: the CER is no lower than that of a constant guess, one string made of the "
        "training text that never hears the audio (above 100 % where it is longer than what is "
        "said).",
    )


def nothing_learnt(
    cer: Mapping[str, float], guess: Mapping[str, float], by: GroupBy = BY_LANGUAGE
) -> Alarm | None:
    """Before decoding: no language's validation CER is below that of a guess, or of silence.

    Args:
        cer: of the last validation.
        guess: of the constant guess on the validation split, where it is known.
    """
    if not cer or any(rate < guess.get(code, SILENCE) for code, rate in cer.items()):
        return None
    than = "a constant guess that never hears the audio" if guess else "silence"
    return Alarm(
        "nothing learnt yet",
        f"At the last validation no {by.noun} has a lower CER than {than}. Train longer before you "
        "decode or compare anything.",
    )


def data_gone(reason: str) -> Alarm | None:
    """Args: why the data folder was not read; empty where it was."""
    if not reason:
        return None
    return Alarm(
        "no data folder",
        f"{reason[0].upper()}{reason[1:].rstrip('.')}: hours, lengths and the constant guess are "
        "missing below, or are those that were kept when the split was decoded.",
    )


def _numbered(counts: Mapping[str, int], by: GroupBy) -> str:
    few_first = sorted(counts, key=lambda code: (counts[code], code))
    return listed([f"{by.full_name(code)} ({counts[code]})" for code in few_first])


def _named(codes: Sequence[str], by: GroupBy) -> str:
    return listed([by.full_name(code) for code in codes])
