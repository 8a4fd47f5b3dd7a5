"""The numbers by which a run is judged, each with its interval."""

from __future__ import annotations

from fairseq_dro.report.blocks import Cell, Column, Paragraph, Section, Table, per_cent, rate_cell
from fairseq_dro.report.report_data import ReportData, label_of
from fairseq_dro.report.run_scores import RunScores
from fairseq_dro.scoring.disparity import WORST_K

_NAMES = {
    "mean": ("mean CER (macro)", "every language with the same weight"),
    "worst": ("worst CER", "the highest of all languages"),
    f"worst_{WORST_K}": (f"worst {WORST_K}", f"mean of the {WORST_K} highest"),
    "cvar_10": ("CVaR 10 %", "mean of the highest tenth of the languages"),
    "p90": ("90th percentile", "over languages"),
    "gap": ("gap", "highest less lowest CER"),
    "sd": ("standard deviation", "over languages, with n - 1"),
    "gini": ("Gini coefficient, %", "0: all languages alike; near 100: one has all errors"),
}


def headline_section(data: ReportData) -> Section:
    """A column per run; before decoding, the last validation's means."""
    section = Section("headline", "Headline")
    if data.scores is None:
        section.blocks += _from_validation(data)
        return section
    runs = [(data.run.name, data.scores)]
    runs += [
        (run.name, scores)
        for run, scores in zip(data.baselines, data.baseline_scores)
        if scores is not None
    ]
    n_languages = len(data.scores.cer)
    columns = [Column("per cent, with 95 % interval", numeric=False)]
    columns += [Column(name) for name, _ in runs]
    headlines = [scores.headline() for _, scores in runs]
    rows = []
    for key, (title, help_) in _NAMES.items():
        if key.startswith("worst_") and n_languages <= WORST_K:
            continue  # it is the mean
        if key == "cvar_10" and n_languages <= 10:
            continue  # it is the worst
        cells = [rate_cell(*headline[key]) for headline in headlines]
        rows.append([Cell(title, note=help_), *cells])
        if key == "mean":
            rows += _other_means(runs)
        if key == "worst":
            rows += _about_the_worst(runs)
    section.blocks.append(Table(columns, rows))
    section.blocks += _notes(n_languages)
    return section


def _other_means(runs: list[tuple[str, RunScores]]) -> list[list[Cell]]:
    everything = Cell("all utterances together (micro)", note="more test speech counts more")
    micro = [rate_cell(*scores.micro()) for _, scores in runs]
    words = Cell("mean WER (macro)", note="every language with the same weight")
    wer = [rate_cell(scores.mean_wer()) for _, scores in runs]
    return [[everything, *micro], [words, *wer]]


def _about_the_worst(runs: list[tuple[str, RunScores]]) -> list[list[Cell]]:
    rows = [
        [
            Cell("which one", note="the language of the highest CER"),
            *(Cell(label_of(s.worst), words=True) for _, s in runs),
        ]
    ]
    halves = [scores.split_half_worst() for _, scores in runs]
    if any(half is not None for half in halves):
        title = Cell("worst, split-half", note="chosen on one half, measured on the other")
        rows.append([title, *(rate_cell(half) for half in halves)])
    bands = [scores.null_band() for _, scores in runs]
    if any(band is not None for band in bands):
        title = Cell("worst if all were equal", note="the band that no difference would give")
        shown = [Cell(f"{per_cent(b[0])}–{per_cent(b[1])}") if b else Cell("–") for b in bands]
        rows.append([title, *shown])
    return rows


def _notes(n_languages: int) -> list[Paragraph]:
    text = (
        "The highest of many noisy numbers is too high by chance: compare it with the band that no "
        "difference between languages would give, and with the split-half worst, which is free "
        "of that."
    )
    if n_languages <= 10:
        text += " With ten languages or fewer, CVaR 10 % is the worst and is left out."
    return [Paragraph(text, small=True)]


def _from_validation(data: ReportData) -> list:
    run = data.run
    if not run.validations:
        return [Paragraph("No test split was decoded and no validation per language is known.")]
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
    rows.append([Cell("worst language"), *(Cell(label_of(name), words=True) for name in names)])
    updates = [
        f"{one.validations[-1]['update']:,}" if one.validations else "–" for one in data.runs
    ]
    rows.append([Cell("at update"), *(Cell(update) for update in updates)])
    return [
        Paragraph(
            "The test split has not been decoded yet; intervals come with it. Decode with "
            f"`fairseq-dro-infer ... decoding.results_path={run.folder / run.results}`."
        ),
        Table(columns, rows),
    ]
