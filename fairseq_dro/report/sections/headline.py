"""The numbers by which a run is judged, each with its interval."""

from __future__ import annotations

from fairseq_dro.report.blocks import (
    MISSING,
    Beside,
    Cell,
    Column,
    Paragraph,
    Section,
    Table,
    per_cent,
    rate_cell,
)
from fairseq_dro.report.decoding_alarms import or_another_folder
from fairseq_dro.report.report_data import ReportData
from fairseq_dro.report.run_scores import RunScores
from fairseq_dro.report.sections.forest import forest_block, stands_beside_headline
from fairseq_dro.runs.decoding_command import decoding_command
from fairseq_dro.scoring.disparity import WORST_K
from fairseq_dro.scoring.disparity_intervals import Disparity

_NAMES = {
    "mean": ("mean CER (macro)", "every {noun} with the same weight"),
    "worst": ("worst CER", "the highest of all {noun}s"),
    f"worst_{WORST_K}": (f"worst {WORST_K}", f"mean of the {WORST_K} highest"),
    "cvar_10": ("CVaR 10 %", "mean of the highest tenth of the {noun}s"),
    "p90": ("90th percentile", "over {noun}s"),
    "gap": ("gap", "highest less lowest CER"),
    "sd": ("standard deviation", "over {noun}s, with n - 1"),
    "gini": ("Gini coefficient, %", "0: all {noun}s alike; near 100: one has all errors"),
}


def headline_section(data: ReportData) -> Section:
    """A column per run; before decoding, the last validation's means."""
    section = Section("headline", "Headline")
    if data.scores is None:
        section.blocks += _from_validation(data)
        return section
    if not data.scores.cer:
        section.blocks.append(Paragraph("No error rate: all references of the split are empty."))
        return section
    runs = [(data.run.name, data.scores)]
    runs += [
        (run.name, scores)
        for run, scores in zip(data.baselines, data.baseline_scores)
        if scores is not None and scores.cer
    ]
    n_languages = len(data.scores.cer)
    columns = [Column("per cent, with 95 % interval", numeric=False)]
    columns += [Column(name) for name, _ in runs]
    headlines = [scores.headline for _, scores in runs]
    band = any(one.null_high is not None for one in headlines[0].values()) and n_languages > 1
    if band:
        help_text = f"where 95 % would lie if all {data.noun}s of the run were equally hard"
        columns.append(Column(f"{data.run.name} if all were alike", help_text))
    rows = []
    for key, (title, help_) in _NAMES.items():
        if n_languages == 1 and key != "mean":
            continue  # nothing is unequal
        if key.startswith("worst_") and n_languages <= WORST_K:
            continue  # it is the mean
        if key == "cvar_10" and n_languages <= 10:
            continue  # it is the worst
        cells = [rate_cell(h[key].value, h[key].low, h[key].high) for h in headlines]
        title_cell = Cell(title, note=help_.format(noun=data.noun))
        rows.append([title_cell, *cells, _band(headlines[0][key])])
        if key == "mean":
            rows += _other_means(runs, data.noun)
        if key == "worst":
            rows += _about_the_worst(runs, data.noun)
    rows = [row[: len(columns)] + [Cell("")] * (len(columns) - len(row)) for row in rows]
    table = Table(columns, rows)
    forest = forest_block(data) if stands_beside_headline(data) else None
    if forest is None:
        section.blocks.append(table)
    else:
        section.blocks.append(Beside([("", table), ("CER with intervals", forest)]))
    if n_languages > 1:
        section.blocks += _notes(n_languages, data.noun)
    return section


def _band(one: Disparity) -> Cell:
    if one.null_low is None or one.null_high is None:
        return Cell("")
    inside = "below" if one.value < one.null_low else "inside"  # else above, as it should be
    note = inside if one.within_null else ""
    return Cell(f"{per_cent(one.null_low)}–{per_cent(one.null_high)}", note=note)


def _other_means(runs: list[tuple[str, RunScores]], noun: str) -> list[list[Cell]]:
    everything = Cell("all utterances together (micro)", note="more test text counts more")
    words = Cell("mean WER (macro)", note=f"every {noun} with the same weight")
    return [
        [everything, *(rate_cell(*scores.micro) for _, scores in runs)],
        [words, *(rate_cell(*scores.mean_wer) for _, scores in runs)],
    ]


def _about_the_worst(runs: list[tuple[str, RunScores]], noun: str) -> list[list[Cell]]:
    names = Cell("which one", note=f"the {noun} of the highest CER")
    rows = [[names, *(Cell(_worst(scores), words=True) for _, scores in runs)]]
    halves = [scores.split_half for _, scores in runs]
    if any(half is not None for half in halves):
        note = "chosen on one half, measured on the other; range over halves"
        title = Cell("worst, split-half", note=note)
        cells = [rate_cell(*half) if half is not None else Cell(MISSING) for half in halves]
        rows.append([title, *cells])
    return rows


def _worst(scores: RunScores) -> str:
    """Its name; where several share the highest CER, how many."""
    alike = sum(rate == scores.cer[scores.worst] for rate in scores.cer.values())
    return scores.by.label_of(scores.worst) if alike == 1 else f"{alike} alike"


def _notes(n_languages: int, noun: str) -> list[Paragraph]:
    text = (
        "The highest of many noisy numbers is too high by luck, and so are gap and spread: the "
        "intervals are those of the true numbers, with the luck taken out, so a number may lie "
        "near or above the upper end of its interval. If it lies inside the last column, or "
        f"below, no difference between {noun}s has been shown. The split-half worst is free of "
        "such luck (its range is that of the halves)."
    )
    if n_languages <= 10:
        text += f" With ten {noun}s or fewer, CVaR 10 % is the worst and is left out."
    return [Paragraph(text, small=True)]


def _from_validation(data: ReportData) -> list:
    run = data.run
    if not run.validations:
        return [Paragraph(f"No test split was decoded and no validation per {data.noun} is known.")]
    columns = [Column("last validation, per cent", numeric=False), Column(run.name)]
    columns += [Column(other.name) for other in data.baselines]
    rows = []
    for key, title in (("mean_cer", "mean CER"), ("worst_cer", "worst CER"), ("wer", "WER, micro")):
        values = [
            one.validations[-1].get(key) if one.validations else None for one in data.runs
        ]
        rows.append([Cell(title), *(rate_cell(value) for value in values)])
    names = [
        str(one.validations[-1].get("worst_language") or "–") if one.validations else "–"
        for one in data.runs
    ]
    worst = [Cell(run.group_by.label_of(name), words=True) for name in names]
    rows.append([Cell(f"worst {data.noun}"), *worst])
    updates = [
        f"{one.validations[-1]['update']:,}" if one.validations else "–" for one in data.runs
    ]
    rows.append([Cell("at update"), *(Cell(update) for update in updates)])
    return [
        Paragraph(
            "The test split has not been decoded yet; intervals come with it. Decode with "
            f"`{decoding_command(run, run.results)}`{or_another_folder(run.folder)}."
        ),
        Table(columns, rows),
    ]
