"""What a researcher should be told before they look at any number, in words.

Pure functions of numbers by group; each returns the sentences it has to say, possibly none. A group
is called a language unless ``by`` says that it is another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fairseq_dro.group_by import BY_LANGUAGE, GroupBy, suffix_of
from fairseq_dro.report.blocks import counted

COLLAPSE_SHARE = 0.5  # of q; for few languages more, see q_collapsed
COLLAPSE_LENGTH = 0.1  # of the run's updates
FEW_UTTERANCES = 20
EMPTY_SHARE = 0.5
LOOPING_SHARE = 0.02
SILENCE = 0.98  # CER of a model that writes next to nothing
FEWEST_VALIDATIONS = 3  # of which one can be told to be better than a later one
_MOST_NAMED = 8


class Alarm(NamedTuple):
    """A short name of the kind, one or two sentences, and what to type, if anything."""

    kind: str
    sentence: str
    command: str = ""


def q_collapsed(
    path: Sequence[tuple[int, Mapping[str, float]]], last_update: int, by: GroupBy = BY_LANGUAGE
) -> list[Alarm]:
    """One language holds more than half of q for more than a tenth of the run.

    With three languages half would be little, so the share has to be 2/|G| as well, at most 0.9.

    Args:
        path: (update, q by language) by ascending update; q keeps its value until the next.
        last_update: where the run stands.
    """
    if not path or len(path[0][1]) < 2:
        return []
    share = min(0.9, max(COLLAPSE_SHARE, 2 / len(path[0][1])))
    ends = [update for update, _ in path[1:]] + [max(last_update, path[-1][0])]
    stretches: list[list] = []  # [language, first update, end, smallest share]
    for (update, q), end in zip(path, ends):
        language = max(q, key=lambda code: q[code])
        if q[language] <= share:
            stretches.append([None, update, end, 0.0])
        elif stretches and stretches[-1][0] == language:
            stretches[-1][2] = end
            stretches[-1][3] = min(stretches[-1][3], q[language])
        else:
            stretches.append([language, update, end, q[language]])
    held = [stretch for stretch in stretches if stretch[0] is not None]
    if not held:
        return []
    language, start, end, least = max(held, key=lambda stretch: stretch[2] - stretch[1])
    length = end - start
    if length <= COLLAPSE_LENGTH * max(last_update, 1):
        return []
    now = end >= last_update
    return [
        Alarm(
            "q collapsed",
            f"One {by.noun}, {by.full_name(language)}, {'holds' if now else 'held'} "
            f"{100 * least:.0f} % of q or more for {length:,} updates ({start:,} to {end:,}"
            f"{', and still does' if now else ''}): the other {by.noun}s hardly train"
            f"{'' if now else 'ed'} then. Try a smaller criterion.step_size or a larger "
            "criterion.smoothing.",
        )
    ]


def never_sampled(
    last_loss: Mapping[str, float | None],
    last_update: int,
    seconds: Mapping[str, float] | None,
    by: GroupBy = BY_LANGUAGE,
) -> list[Alarm]:
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
        return []
    if seconds is None and len(unseen) == len(last_loss):
        return [
            Alarm(
                "q never moved",
                f"After {counted(last_update, 'update')} q has not moved once: with "
                f"criterion.update_when=all_groups_seen it waits until every {by.noun} was drawn. "
                "Take task.group_sampling=uniform, or criterion.update_when=every_update.",
            )
        ]
    return [
        Alarm(
            "never sampled",
            f"{_listed(unseen, by)} {_was(unseen)} never drawn in "
            f"{counted(last_update, 'update')}: {'its' if len(unseen) == 1 else 'their'} scores "
            f"are those of a model that never heard the {by.noun}. Take "
            "task.group_sampling=uniform or temperature, or train longer.",
        )
    ]


def objective_changed(objectives: Sequence[tuple[str, int]]) -> list[Alarm]:
    """A run that changed what it trains for.

    Args:
        objectives: (name, last update under it) in order.
    """
    if len(objectives) < 2:
        return []
    told = ", then ".join(f"{name} to update {update:,}" for name, update in objectives)
    return [
        Alarm(
            "objective changed",
            f"Trained with {told}: this run stands for none of them. Train each objective from "
            "the same start, in a run folder of its own.",
        )
    ]


def interleaved(falls: int, n_starts: int) -> list[Alarm]:
    """Two commands that wrote into the run's folder at the same time.

    Args:
        falls: how often its files fall back to an earlier update; a resume does so once.
    """
    if falls < max(1, n_starts):
        return []
    return [
        Alarm(
            "two writers",
            f"The updates in its files fall back {counted(falls, 'time')}, but it was started only "
            f"{counted(max(1, n_starts), 'time')}: two commands wrote into this folder at once, "
            "and its checkpoints, history and q are a mixture of both. Believe nothing below; "
            "train it again in a folder of its own.",
        )
    ]


def levelling_down(
    cer: Mapping[str, float],
    baseline: Mapping[str, float],
    baseline_name: str,
    worse: Sequence[str] | None = None,
    by: GroupBy = BY_LANGUAGE,
) -> list[Alarm]:
    """Languages whose CER rose against the baseline while the mean fell.

    Args:
        worse: those that a paired test calls worse; None where no test was made, then every rise
            counts, and the sentence says that it may be chance.
    """
    both = sorted(set(cer) & set(baseline))
    if not both:
        return []
    mean, mean_before = (sum(rates[c] for c in both) / len(both) for rates in (cer, baseline))
    rose = [c for c in both if cer[c] > baseline[c] and (worse is None or c in worse)]
    if mean >= mean_before or not rose:
        return []
    rose.sort(key=lambda code: baseline[code] - cer[code])
    changes = [
        f"{by.full_name(c)} from {100 * baseline[c]:.1f} to {100 * cer[c]:.1f} %"
        for c in rose[:_MOST_NAMED]
    ]
    tested = (
        f"by a paired test, corrected for the number of {by.noun}s"
        if worse is not None
        else "differences of this size may be chance"
    )
    return [
        Alarm(
            "levelling down",
            f"Against {baseline_name} the mean CER fell ({100 * mean_before:.1f} to "
            f"{100 * mean:.1f} %), but {len(rose)} of {len(both)} {by.noun}s got worse ({tested}): "
            f"{_joined(changes, len(rose), '; ')}.",
        )
    ]


def worsened_in_training(
    history: Sequence[tuple[int, Mapping[str, float]]],
    least_rise: float = 0.02,
    by: GroupBy = BY_LANGUAGE,
) -> list[Alarm]:
    """Languages whose validation CER rose since its best while the mean fell.

    From six validations on, means of three in a row are compared: the single best of many is low by
    luck as well.

    Args:
        history: (update, CER by language) by ascending update.
        least_rise: smaller rises are noise of a small validation split.
    """
    if len(history) < FEWEST_VALIDATIONS:
        return []
    averaged = len(history) >= 6
    if averaged:
        history = [_mean_of(history[i : i + 3]) for i in range(len(history) - 2)]
    last = history[-1][1]
    rose = []
    for code, now in last.items():
        update, best = min(
            ((u, rates[code]) for u, rates in history if code in rates), key=lambda pair: pair[1]
        )
        then = dict(history)[update]
        shared = [c for c in last if c in then]
        mean_fell = sum(last[c] for c in shared) < sum(then[c] for c in shared)
        if mean_fell and now - best > max(least_rise, 0.1 * best):
            rose.append((now - best, code, update, best))
    if not rose:
        return []
    rose.sort(reverse=True)
    changes = [
        f"{by.full_name(code)} {100 * best:.1f} % at update {update:,}, "
        f"now {100 * last[code]:.1f} %"
        for _, code, update, best in rose[:_MOST_NAMED]
    ]
    means = " (means of three validations)" if averaged else ""
    return [
        Alarm(
            "getting worse",
            f"Of {len(last)} {by.noun}s {len(rose)} had a clearly lower validation CER earlier in "
            f"this run{means}, while the mean kept falling: "
            f"{_joined(changes, len(rose), '; ')}.",
        )
    ]


def _mean_of(
    validations: Sequence[tuple[int, Mapping[str, float]]],
) -> tuple[int, dict[str, float]]:
    """The middle update, and each language's mean where all of them have it."""
    rates = [rates for _, rates in validations]
    shared = [code for code in rates[-1] if all(code in one for one in rates)]
    means = {code: sum(one[code] for one in rates) / len(rates) for code in shared}
    return validations[len(validations) // 2][0], means


def worst_within_null_band(
    code: str, worst: float, low: float, high: float, by: GroupBy = BY_LANGUAGE
) -> list[Alarm]:
    """The worst language is no worse than the worst of equal languages would look.

    Args:
        low, high: interval of the highest CER when all languages have the same true CER.
    """
    if worst > high:
        return []
    where, bad = ("inside", "as bad as this") if worst >= low else ("below", "worse than this")
    return [
        Alarm(
            "worst within chance",
            f"The worst {by.noun}, {by.full_name(code)} with {100 * worst:.1f} %, lies {where} "
            "the band that no difference at all would give "
            f"({100 * low:.1f} to {100 * high:.1f} %): if all {by.noun}s were equally hard, some "
            f"{by.noun} would look {bad}. Do not call it worst.",
        )
    ]


def without_group(run: str, n_without: int, n_utterances: int, by: GroupBy) -> list[Alarm]:
    """Decoded utterances of which the column is not known that the run's groups are made of.

    Languages are not asked for: a split may be decoded that has none.

    Args:
        run: its name.
    """
    if not n_without or by == BY_LANGUAGE:
        return []
    column = by.columns[0]
    return [
        Alarm(
            "no group",
            f"{n_without:,} of {n_utterances:,} decoded utterances of {run} have no {column}, and "
            f"groups are by {by}: they stand together as one group, called all. Decode a split "
            f"that has a .{suffix_of(column)} file.",
        )
    ]


def without_references(groups: Sequence[str], by: GroupBy = BY_LANGUAGE) -> list[Alarm]:
    """Languages of the test split whose references are all empty."""
    if not groups:
        return []
    return [
        Alarm(
            "no reference text",
            f"All references of {_listed(sorted(groups), by)} are empty: there is no error rate, "
            "and no mean or worst takes note of it.",
        )
    ]


def too_few_utterances(
    n_utterances: Mapping[str, int],
    few_speakers: Mapping[str, int] | None = None,
    by: GroupBy = BY_LANGUAGE,
) -> list[Alarm]:
    """Languages whose test split is too small to say anything about them.

    Args:
        few_speakers: number of speakers, at most, of the languages that have too few to draw from.
    """
    alarms = []
    few = sorted((n, c) for c, n in n_utterances.items() if n < FEW_UTTERANCES)
    if few:
        names = [f"{by.full_name(code)} ({n})" for n, code in few[:_MOST_NAMED]]
        alarms.append(
            Alarm(
                "too few test utterances",
                f"{len(few)} of {len(n_utterances)} {by.noun}s "
                f"{'has' if len(few) == 1 else 'have'} fewer than {FEW_UTTERANCES} test "
                f"utterances, too few to say anything about the {by.noun}: "
                f"{_joined(names, len(few))}. Their intervals are too narrow, if anything.",
            )
        )
    alone = sorted(few_speakers or {}, key=lambda code: (few_speakers[code], code))
    if alone:
        names = [f"{by.full_name(code)} ({few_speakers[code]})" for code in alone[:_MOST_NAMED]]
        alarms.append(
            Alarm(
                "few test speakers",
                f"{len(alone)} of {len(n_utterances)} {by.noun}s "
                f"{'has' if len(alone) == 1 else 'have'} too few test speakers to know how much "
                f"voices differ: {_joined(names, len(alone))}. "
                "Their intervals are over utterances, and about these voices only.",
            )
        )
    return alarms


def says_nothing(
    n_empty: Mapping[str, int], n_utterances: Mapping[str, int], by: GroupBy = BY_LANGUAGE
) -> list[Alarm]:
    """Languages for which most hypotheses are empty: the model has not begun to write them."""
    silent = sorted(c for c, n in n_utterances.items() if n and n_empty[c] > EMPTY_SHARE * n)
    if not silent:
        return []
    total = sum(n_utterances.values())
    empty = sum(n_empty.values())
    who = f"every {by.noun}" if len(silent) == len(n_utterances) else _listed(silent, by)
    return [
        Alarm(
            "empty hypotheses",
            f"More than half of the hypotheses are empty for {who} ({empty:,} of {total:,} "
            "utterances in all): the model has not begun to write there, and a CER near 100 % is "
            "that of silence. Compare nothing before that has changed.",
        )
    ]


def looping(run: str, shares: Mapping[str, float], by: GroupBy = BY_LANGUAGE) -> list[Alarm]:
    """Languages whose hypotheses repeat themselves without end.

    Args:
        run: its name.
        shares: by language, of its texts (``scoring.as_written.loops``).
    """
    found = sorted((c for c in shares if shares[c] > LOOPING_SHARE), key=lambda c: -shares[c])
    if not found:
        return []
    return [
        Alarm(
            "loops",
            f"{run}: hypotheses repeat themselves without end in {_listed(found, by)} (up to "
            f"{100 * shares[found[0]]:.0f} % of the texts). Their CER says where decoding was "
            "stopped more than what was heard: train longer, and read some of them before any "
            "number.",
        )
    ]


def not_better_than_a_guess(
    cer: Mapping[str, float], guess: Mapping[str, float], by: GroupBy = BY_LANGUAGE
) -> list[Alarm]:
    """Languages whose CER is no lower than that of one constant string (``constant_guess``)."""
    blind = sorted(c for c in cer if c in guess and cer[c] >= guess[c])
    if not blind:
        return []
    who = f"Every {by.noun}" if len(blind) == len(cer) else _listed(blind, by)
    return [
        Alarm(
            "no better than a guess",
            f"{who}: the CER is no lower than that of a constant guess, one string made of the "
            "training text that never hears the audio (above 100 % where it is longer than what "
            "is said).",
        )
    ]


def nothing_learnt(
    cer: Mapping[str, float], guess: Mapping[str, float], by: GroupBy = BY_LANGUAGE
) -> list[Alarm]:
    """Before decoding: no language's validation CER is below that of a guess, or of silence.

    Args:
        cer: of the last validation.
        guess: of the constant guess on the validation split, where it is known.
    """
    if not cer or any(rate < guess.get(code, SILENCE) for code, rate in cer.items()):
        return []
    than = "a constant guess that never hears the audio" if guess else "silence"
    return [
        Alarm(
            "nothing learnt yet",
            f"At the last validation no {by.noun} has a lower CER than {than}. Train longer before "
            "you decode or compare anything.",
        )
    ]


def data_gone(reason: str) -> list[Alarm]:
    """Args: why the data folder was not read."""
    return [
        Alarm(
            "no data folder",
            f"{reason[0].upper()}{reason[1:].rstrip('.')}: hours, lengths and the constant guess "
            "are missing below, or are those that were kept when the split was decoded.",
        )
    ]


def _listed(codes: Sequence[str], by: GroupBy) -> str:
    return _joined([by.full_name(code) for code in codes[:_MOST_NAMED]], len(codes))


def _joined(names: Sequence[str], total: int, separator: str = ", ") -> str:
    """The names, and how many more there are."""
    rest = total - len(names)
    return separator.join(names) + (f" and {rest} more" if rest > 0 else "")


def _was(codes: Sequence[str]) -> str:
    return "was" if len(codes) == 1 else "were"
