"""Scores of one decoded split in Markdown: groups, disparity, columns, speakers, confusions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from fairseq_dro.group_by import BY_LANGUAGE, GroupBy
from fairseq_dro.languages import label_of
from fairseq_dro.report.blocks import counted
from fairseq_dro.report.text_table import padded
from fairseq_dro.scoring.as_written import as_written_note
from fairseq_dro.scoring.bootstrap import FEWEST_SPEAKERS
from fairseq_dro.scoring.rates import NO_LANGUAGE

MOST_ROWS = 10  # of speakers, of confusions and of a column's values, the worst first
_MEASURES = {
    "mean": "mean (macro CER)",
    "worst": "worst",
    "worst_15": "worst 15, mean",
    "cvar_10": "worst tenth, mean (CVaR 10 %)",
    "p90": "90th percentile",
    "gap": "gap, worst less best",
    "sd": "standard deviation (n - 1)",
    "gini": "Gini coefficient (0: all alike, 1: one has all errors)",
}


def scores_table(scores: dict[str, Any], title: str) -> str:
    """Markdown: all sections that the scores have something for.

    Args:
        scores: the content of ``scores.json`` (``summary.summarise``, or ``Scores.as_record``,
            which has no intervals).
        title: the heading, such as the name of the split.
    """
    by = GroupBy.parse(scores.get("group_by", BY_LANGUAGE))
    sections = [f"## {title}", _languages(scores, by)]
    if scores.get("disparity"):
        sections += [
            f"### How unequally {by.noun}s are served", _disparity(scores["disparity"], by.noun)
        ]
    if scores.get("ml_superb"):
        sections += ["### ML-SUPERB", _ml_superb(scores["ml_superb"])]
    if scores.get("corpora"):
        sections += ["### Corpora", _groups("corpus", scores["corpora"], len(scores["corpora"]))]
    for column, values in scores.get("columns", {}).items():
        if str(by) != column and len(values) > 1:
            sections += [f"### By {column}{_worst_of(values)}", _groups(column, values, MOST_ROWS)]
    if scores.get("speakers"):
        speakers = scores["speakers"]
        sections += [f"### Speakers{_worst_of(speakers)}", _groups("speaker", speakers, MOST_ROWS)]
    if scores.get("lid_confusion"):
        sections += ["### Languages taken for others", _confusion(scores["lid_confusion"])]
    return "\n\n".join(sections) + "\n"


def _worst_of(values: dict[str, Any]) -> str:
    return f", the worst {MOST_ROWS} of {len(values)}" if len(values) > MOST_ROWS else ""


def _languages(scores: dict[str, Any], by: GroupBy) -> str:
    languages = scores["languages"]
    rows = [
        (by.label_of(code), languages[code])
        for code in sorted(languages, key=lambda code: (-(languages[code]["cer"] or 0), code))
    ]
    if scores["mean"]:
        rows.append((f"**mean** of {scores['mean']['n_languages']}", scores["mean"]))
    if scores["worst"]:
        rows.append((f"**worst**, {scores['worst']['language']}", scores["worst"]))
    rows.append(("**all together**", scores["all"]))
    notes = [_counting_note(scores.get("convention", {}))]
    if "as_written" in scores:
        notes.append(as_written_note(scores["as_written"], by.noun))
    if any(row.get("cer_low") is not None for row in languages.values()):
        notes.append(_interval_note(languages, by.noun))
    n_without = scores["all"]["n_utterances"] - sum(
        row["n_utterances"] for row in languages.values()
    )
    if languages and n_without:
        notes.append(
            f"{counted(n_without, 'utterance')} without {by.columns[0]}: counted in all together "
            "only."
        )
    if not languages:
        notes.append(
            f"The utterances carry no {by.columns[0]}, so they are scored together; an interval is "
            f"bootstrapped over speakers where {FEWEST_SPEAKERS} or more are known, else over "
            "utterances."
        )
    return "\n".join([_rates_table(str(by), rows), "", *notes])


def _counting_note(convention: dict[str, str]) -> str:
    note = (
        "CER and WER count errors against reference characters and words; S, D, I: characters "
        "substituted, deleted, inserted."
    )
    if convention.get("profile") == "ml_superb":
        note += (
            " As in ML-SUPERB, texts are upper-cased, without punctuation, and CER is the mean "
            "over utterances, each with the same weight."
        )
    if convention.get("unit") == "grapheme":
        note += " A character is a grapheme cluster."
    if convention.get("alignment") == "sclite":
        note += " Errors are counted as sclite does (substitutions cost 4, the others 3)."
    return note


def _interval_note(languages: dict[str, Any], noun: str) -> str:
    kinds = {row["block"] for row in languages.values() if row.get("cer_low") is not None}
    note = f"95 % intervals are bootstrapped {drawn_over(kinds, noun)}."
    without = [code for code, row in languages.items() if row.get("cer_low") is None]
    if without:
        shown = ", ".join(without[:10]) + (", ..." if len(without) > 10 else "")
        note += f" Too few utterances for one, or no reference: {shown}."
    return note


def drawn_over(kinds: Collection[str], noun: str = "language") -> str:
    """What the bootstrap drew, where blocks are of these kinds: ``speaker``, ``utterance``.

    Args:
        noun: what a group is called.
    """
    if set(kinds) == {"speaker"}:
        return "over speakers"
    if "speaker" in kinds:
        return (
            f"over speakers where a {noun} has {FEWEST_SPEAKERS} or more, else over utterances"
        )
    return "over utterances, as no speakers are known or too few"


def _rates_table(head: str, rows: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """Rows of rates; columns that no row fills are left out."""
    columns = {
        "utterances": lambda r: _count(r, "n_utterances"),
        "audio": lambda r: _duration(r.get("audio_seconds")),
        "CER %": lambda r: _per_cent(r["cer"]),
        "95 %": lambda r: _ends(r.get("cer_low"), r.get("cer_high")),
        "WER %": lambda r: _per_cent(r["wer"]),
        "S": lambda r: _count(r, "substitutions"),
        "D": lambda r: _count(r, "deletions"),
        "I": lambda r: _count(r, "insertions"),
        "empty %": lambda r: _share(r, "empty_hypothesis_rate"),
        "LID %": lambda r: _share(r, "lid_accuracy"),
    }
    cells = {name: [cell(record) for _, record in rows] for name, cell in columns.items()}
    kept = [name for name in columns if any(cells[name]) or name in ("CER %", "WER %")]
    lines = [
        (label, *(cells[name][number] for name in kept)) for number, (label, _) in enumerate(rows)
    ]
    return markdown((head, *kept), lines)


def _groups(head: str, groups: dict[str, Any], most: int) -> str:
    worst_first = sorted(groups, key=lambda name: (-(groups[name]["cer"] or 0), name))
    return _rates_table(head, [(name, groups[name]) for name in worst_first[:most]])


def _disparity(disparity: dict[str, Any], noun: str) -> str:
    rows, n_languages = [], disparity["n_languages"]
    for name, label in _MEASURES.items():
        if (name == "worst_15" and n_languages <= 15) or (name == "cvar_10" and n_languages <= 10):
            continue  # that is the mean, or the worst
        one = disparity[name]
        label = f"worst {noun}" if name == "worst" else label
        show = _plain if name == "gini" else _per_cent
        rows.append(
            (
                label, show(one["value"]), _ends(one["low"], one["high"], show),
                _ends(one["null_low"], one["null_high"], show),
                {None: "", True: "no", False: "yes"}[one["within_null"]],
            )
        )  # fmt: skip
    header = ("CER %", "observed", "true, 95 %", "if all were alike", "beyond chance")
    lines = [markdown(header, rows), ""]
    half = disparity.get("split_half_worst")
    if half:
        lines.append(
            f"Worst {noun} chosen on one half of the utterances and measured on the other: "
            f"{_per_cent(half['value'])} % "
            f"(95 % of the halves: {_ends(half['low'], half['high'])})."
        )
    lines.append(
        f"Over {n_languages} {noun}s. The observed worst and spread are raised by "
        "luck; the interval of the true number allows for it, and can lie below what was observed. "
        f'"If all were alike": what would be observed if all {noun}s had the same error rate.'
    )
    return "\n".join(lines)


def _ml_superb(numbers: dict[str, Any]) -> str:
    rows = [
        (
            label, str(one["n_languages"]), _per_cent(one["cer"]), _per_cent(one["cer_sd"]),
            _per_cent(one["worst_15_cer"]), _per_cent(one["lid_accuracy"]),
            _per_cent(one["cer_micro"]),
        )
        for key, label in (("all", "all"), ("normal", "normal"), ("few_shot", "few-shot"))
        if (one := numbers[key]) is not None
    ]  # fmt: skip
    header = ("languages", "n", "CER %", "SD", "worst 15", "LID %", "micro CER %")
    return markdown(header, rows)


def _confusion(confusion: dict[str, dict[str, int]]) -> str:
    totals = {spoken: sum(counts.values()) for spoken, counts in confusion.items()}
    pairs = [
        (count, spoken, recognised)
        for spoken, counts in confusion.items()
        for recognised, count in counts.items()
        if recognised != spoken
    ]
    if not pairs:
        return "None: every language token is the right one."
    pairs.sort(key=lambda pair: (-pair[0], pair[1:]))
    rows = [
        (
            label_of(spoken), "no token" if recognised == NO_LANGUAGE else label_of(recognised),
            f"{count:,}", f"{totals[spoken]:,}",
        )
        for count, spoken, recognised in pairs[:MOST_ROWS]
    ]  # fmt: skip
    table = markdown(("spoken", "recognised as", "utterances", "of"), rows, n_left=2)
    more = len(pairs) - MOST_ROWS
    return table + (f"\n\nand {more} more pairs, in scores.json." if more > 0 else "")


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]], n_left: int = 1) -> str:
    """A padded Markdown table; the first ``n_left`` columns are aligned left, the others right."""
    numeric = [column >= n_left for column in range(len(header))]
    return "\n".join(padded([header, *rows], numeric))


def _count(record: dict[str, Any], key: str) -> str:
    return f"{record[key]:,}" if key in record else ""


def _per_cent(fraction: float | None) -> str:
    return "–" if fraction is None else f"{100 * fraction:.2f}"


def _plain(number: float | None) -> str:
    return "–" if number is None else f"{number:.3f}"


def _share(record: dict[str, Any], key: str) -> str:
    value = record.get(key)
    return "" if value is None else f"{100 * value:.2f}"


def _ends(low: float | None, high: float | None, show=_per_cent) -> str:
    return "" if low is None or high is None else f"{show(low)} to {show(high)}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.2f} h"
