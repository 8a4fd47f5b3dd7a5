"""Numbers of decoded splits as tables: rates of groups, numbers over groups, confusions.

All are made of what ``scores.json`` holds (``summary.summarise``); ``score``, ``infer`` and
``report`` show the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fairseq_dro.group_by import BY_LANGUAGE, GroupBy
from fairseq_dro.languages import label_of
from fairseq_dro.report.blocks import (
    MISSING,
    Cell,
    Column,
    Paragraph,
    Section,
    Table,
    number_cell,
    per_cent,
    rate_cell,
)
from fairseq_dro.report.markdown import render_markdown
from fairseq_dro.report.measures import MEASURES, Measure, shown_measures
from fairseq_dro.runs.durations import in_one_unit
from fairseq_dro.scoring.as_written import as_written_note
from fairseq_dro.scoring.bootstrap import FEWEST_SPEAKERS
from fairseq_dro.scoring.rates import NO_LANGUAGE
from fairseq_dro.wording import counted, listed

Numbers = Mapping[str, Any]
MOST_ROWS = 10  # of speakers and of a column's values, the worst first
_MOST_CONFUSIONS = 25
_DIGITS = 2  # of per cent where a split is scored by itself


def scores_text(numbers: Numbers, title: str) -> str:
    """All tables that the numbers have something for, as Markdown."""
    return render_markdown(title, "", score_sections(numbers))


def score_sections(numbers: Numbers) -> list[Section]:
    """Groups, how unequally they are served, corpora and columns, speakers, confusions."""
    by = GroupBy.parse(numbers.get("group_by", BY_LANGUAGE))
    sections = [_groups_section(numbers, by)]
    if numbers.get("disparity"):
        blocks = [
            measures_table([("observed", numbers)], by.noun, _DIGITS),
            Paragraph(measures_note(by.noun), small=True),
        ]
        sections.append(Section("disparity", f"How unequally {by.noun}s are served", blocks))
    if numbers.get("ml_superb"):
        sections.append(Section("ml_superb", "ML-SUPERB", [_ml_superb(numbers["ml_superb"])]))
    parts = [("corpus", "Corpora", numbers.get("corpora") or {})]
    for column, values in (numbers.get("columns") or {}).items():
        if str(by) != column and len(values) > 1:
            parts.append((column, f"By {column}", values))
    parts.append(("speaker", "Speakers", numbers.get("speakers") or {}))
    for head, title, values in parts:
        if values:
            order = sorted(values, key=lambda name: (-(values[name]["cer"] or 0), name))
            if len(order) > MOST_ROWS and head != "corpus":
                order, title = order[:MOST_ROWS], f"{title}, the worst {MOST_ROWS} of {len(order)}"
            table = rates_table(head, [(name, values[name]) for name in order], digits=_DIGITS)
            sections.append(Section(head, title, [table]))
    if numbers.get("lid_confusion"):
        blocks = confusions(numbers["lid_confusion"])
        sections.append(Section("confusion", "Languages taken for others", blocks))
    return sections


def rates_table(
    head: str,
    rows: Sequence[tuple[str, Numbers]],
    *,
    foot: Sequence[tuple[str, Numbers]] = (),
    before: Sequence[tuple[Column, Sequence[Cell]]] = (),
    after: Sequence[tuple[Column, Sequence[Cell]]] = (),
    digits: int = 1,
    sortable: bool = False,
) -> Table:
    """A row per group; columns that no row fills are left out.

    Args:
        rows, foot: label and numbers, each.
        before, after: further columns, a cell for each of ``rows``.
    """
    own = [
        (column, [make(row) for _, row in (*rows, *foot)])
        for column, make in _rate_columns(digits)
    ]
    own = [(c, cells) for c, cells in own if any(cell.text not in ("", MISSING) for cell in cells)
           or c.title in ("CER %", "WER %")]  # fmt: skip
    blank = [Cell("")] * len(foot)
    columns = [*((c, [*cells, *blank]) for c, cells in before), *own,
               *((c, [*cells, *blank]) for c, cells in after)]  # fmt: skip
    lines = [
        [Cell(label), *(cells[number] for _, cells in columns)]
        for number, (label, _) in enumerate((*rows, *foot))
    ]
    heads = [Column(head, numeric=False), *(column for column, _ in columns)]
    return Table(heads, lines[: len(rows)], foot=lines[len(rows) :], sortable=sortable)


def _rate_columns(digits: int) -> list[tuple[Column, Callable[[Numbers], Cell]]]:
    def rate(key: str) -> Callable[[Numbers], Cell]:
        ends = f"{key}_low", f"{key}_high"
        return lambda row: (
            rate_cell(row[key], *map(row.get, ends), digits) if key in row else Cell("")
        )

    def edits(key: str) -> Callable[[Numbers], Cell]:
        def cell(row: Numbers) -> Cell:
            length = row.get("reference_characters")
            return rate_cell(row[key] / length, digits=digits) if length else Cell("")
        return cell

    def seconds(row: Numbers) -> Cell:
        value = row.get("audio_seconds")
        return Cell("") if value is None else Cell(in_one_unit(value), value)

    return [
        (Column("utterances"), lambda row: number_cell(row["n_utterances"])
         if "n_utterances" in row else Cell("")),
        (Column("audio", "of the decoded split"), seconds),
        (Column("CER %"), rate("cer")),
        (Column("WER %"), rate("wer")),
        (Column("S %", "characters substituted, of 100 of the reference"), edits("substitutions")),
        (Column("D %", "characters deleted"), edits("deletions")),
        (Column("I %", "characters inserted"), edits("insertions")),
        (Column("empty %", "hypotheses without any character"), rate("empty_hypothesis_rate")),
        (Column("LID %", "language tokens that are right"), rate("lid_accuracy")),
    ]  # fmt: skip


def _groups_section(numbers: Numbers, by: GroupBy) -> Section:
    groups = numbers["languages"]
    order = sorted(groups, key=lambda code: (-(groups[code]["cer"] or 0), code))
    foot = []
    if numbers["mean"]:
        foot.append((f"mean of {numbers['mean']['n_languages']}", numbers["mean"]))
    if numbers["worst"]:
        foot.append((f"worst, {numbers['worst']['language']}", numbers["worst"]))
    foot.append(("all together", numbers["all"]))
    rows = [(by.label_of(code), groups[code]) for code in order]
    notes = [counting_note(numbers.get("convention", {}))]
    if "as_written" in numbers:
        notes.append(as_written_note(numbers["as_written"], by.noun))
    if any(row.get("cer_low") is not None for row in groups.values()):
        notes.append(interval_note(groups, by.noun))
    n_without = numbers["all"]["n_utterances"] - sum(r["n_utterances"] for r in groups.values())
    if groups and n_without:
        notes.append(
            f"{counted(n_without, 'utterance')} without {by.columns[0]}: counted in all together "
            "only."
        )
    if not groups:
        notes.append(
            f"The utterances carry no {by.columns[0]}, so they are scored together; an interval is "
            f"bootstrapped over speakers where {FEWEST_SPEAKERS} or more are known, else over "
            "utterances."
        )
    table = rates_table(str(by), rows, foot=foot, digits=_DIGITS)
    return Section("languages", f"Every {by.noun}", [table, Paragraph(" ".join(notes), small=True)])


def counting_note(convention: Mapping[str, str]) -> str:
    """By which rules errors are counted."""
    note = (
        "CER and WER: errors over reference characters and words; S, D, I: characters substituted, "
        "deleted, inserted, per 100 of the reference."
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


def interval_note(groups: Mapping[str, Numbers], noun: str) -> str:
    """What the intervals of groups are, and which have none."""
    kinds = [row["block"] for row in groups.values() if row.get("cer_low") is not None]
    note = f"95 % intervals are {drawn_over(kinds.count('speaker'), len(kinds), noun)}."
    without = [code for code, row in groups.items() if row.get("cer_low") is None]
    return note + (
        f" Too few utterances for one, or no reference: {listed(without, 10)}." if without else ""
    )


def drawn_over(n_by_speaker: int, n_groups: int, noun: str) -> str:
    """What the bootstrap draws in how many groups."""
    if n_by_speaker == n_groups:
        return "bootstrapped over speakers"
    if n_by_speaker:
        return (
            f"bootstrapped over speakers where a {noun} has {FEWEST_SPEAKERS} or more, else over "
            "utterances"
        )
    return "bootstrapped over utterances, as no speakers are known or too few"


def measures_table(
    runs: Sequence[tuple[str, Numbers]], noun: str, digits: int = 1
) -> Table:
    """Numbers over groups, a column per run, each with its interval; then, of the first run, where
    each number would lie if all groups were alike.
    """
    first = runs[0][1]
    n_groups = sum(row["cer"] is not None for row in first["languages"].values())
    columns = [Column("per cent, with 95 % interval", numeric=False)]
    columns += [Column(name) for name, _ in runs]
    has_band = n_groups > 1
    if has_band:
        name = "if all were alike" if len(runs) == 1 else f"{runs[0][0]} if all were alike"
        columns.append(Column(name, f"where 95 % would lie if all {noun}s were equally hard"))
    rows: list[list[Cell]] = []

    def add(measure: Measure, cells: list[Cell], band: Cell | None = None) -> None:
        title = Cell(measure.title, note=measure.help.format(noun=noun))
        rows.append([title, *cells, *([band or Cell("")] * has_band)])

    def rates(found: Sequence[Numbers | None], names: Sequence[str]) -> list[Cell]:
        return [rate_cell(*map((one or {}).get, names), digits) for one in found]

    ends = ("value", "low", "high")
    for key in shown_measures(n_groups):
        found = [_measure(numbers, key) for _, numbers in runs]
        if any(found):
            add(MEASURES[key], rates(found, ends), _band(found[0], digits))
        if key == "mean":
            means = [numbers["mean"] for _, numbers in runs]
            add(Measure("mean WER (macro)", MEASURES[key].help),
                rates(means, ("wer", "wer_low", "wer_high")))  # fmt: skip
        if key == "worst":
            names = [Cell(_worst(numbers), words=True) for _, numbers in runs]
            add(Measure("which one", "the {noun} of the highest CER"), names)
            halves = [(numbers["disparity"] or {}).get("split_half_worst") for _, numbers in runs]
            if any(halves):
                help = "chosen on one half, measured on the other; range over halves"
                add(Measure("worst, split-half", help), rates(halves, ends))
    return Table(columns, rows)


def _measure(numbers: Numbers, key: str) -> Numbers | None:
    if key in ("mean", "micro"):
        row = numbers["mean" if key == "mean" else "all"]
        ends = ("value", "cer"), ("low", "cer_low"), ("high", "cer_high")
        return row and {name: row.get(field) for name, field in ends}
    return (numbers["disparity"] or {}).get(key)


def _band(one: Numbers | None, digits: int) -> Cell:
    if not one or one.get("null_low") is None:
        return Cell("")
    inside = "below" if one["value"] < one["null_low"] else "inside"  # else above, as it should be
    ends = (per_cent(one[end], digits) for end in ("null_low", "null_high"))
    return Cell("–".join(ends), note=inside if one["within_null"] else "")


def _worst(numbers: Numbers) -> str:
    """Its name; where several share the highest CER, how many."""
    worst = numbers["worst"]
    if not worst:
        return MISSING
    alike = sum(row["cer"] == worst["cer"] for row in numbers["languages"].values())
    by = GroupBy.parse(numbers["group_by"])
    return by.label_of(worst["language"]) if alike == 1 else f"{alike} alike"


def measures_note(noun: str) -> str:
    """How to read ``measures_table``."""
    return (
        "The highest of many noisy numbers is too high by luck, and so are gap and spread: the "
        "intervals are those of the true numbers, with the luck taken out, so a number may lie "
        "near or above the upper end of its interval. If it lies inside the last column, or "
        f"below, no difference between {noun}s has been shown. The split-half worst is free of "
        "such luck (its range is that of the halves)."
    )


def _ml_superb(numbers: Mapping[str, Numbers | None]) -> Table:
    columns = [Column("languages", numeric=False), Column("n"), Column("CER %"), Column("SD")]
    columns += [Column("worst 15"), Column("LID %"), Column("micro CER %")]
    keys = ("cer", "cer_sd", "worst_15_cer", "lid_accuracy", "cer_micro")
    rows = [
        [Cell(label), Cell(str(one["n_languages"])),
         *(rate_cell(one[name], digits=_DIGITS) for name in keys)]
        for key, label in (("all", "all"), ("normal", "normal"), ("few_shot", "few-shot"))
        if (one := numbers[key]) is not None
    ]  # fmt: skip
    return Table(columns, rows)


def confusions(counts: Mapping[str, Mapping[str, int]]) -> list[Paragraph | Table]:
    """How many language tokens are right, and the most frequent wrong ones; empty without any.

    Args:
        counts: utterances by spoken, then by recognised language.
    """
    if not counts:
        return []
    totals = {spoken: sum(heard.values()) for spoken, heard in counts.items()}
    right = sum(heard.get(spoken, 0) for spoken, heard in counts.items())
    n = sum(totals.values())
    text = f"{right:,} of {n:,} utterances begin with the right language token: " \
           f"{per_cent(right / n)} %."  # fmt: skip
    wrong = [
        (number, spoken, heard)
        for spoken, row in counts.items() for heard, number in row.items() if heard != spoken
    ]  # fmt: skip
    if not wrong:
        return [Paragraph(text)]
    wrong.sort(key=lambda one: (-one[0] / totals[one[1]], -one[0], one[1:]))
    shown = [one for one in wrong if one[0] > 1] or wrong
    rows = [
        [
            Cell(label_of(spoken)), Cell("no token" if heard == NO_LANGUAGE else label_of(heard)),
            number_cell(number), number_cell(totals[spoken]), rate_cell(number / totals[spoken]),
        ]
        for number, spoken, heard in shown[:_MOST_CONFUSIONS]
    ]  # fmt: skip
    columns = [Column("spoken", numeric=False), Column("recognised as", numeric=False)]
    columns += [Column("utterances"), Column("of"), Column("share %")]
    caption = f"The {len(rows)} most frequent confusions of {len(wrong)}, by share of the language"
    return [Paragraph(text), Table(columns, rows, sortable=True, caption=caption)]
