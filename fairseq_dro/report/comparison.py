"""Runs side by side, language by language: the numbers, the Markdown table, one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairseq_dro import languages
from fairseq_dro.errors import UserError
from fairseq_dro.report.run_folder import RunFolder


@dataclass(frozen=True)
class Comparison:
    """Runs on the same languages; the first is the baseline.

    Attributes:
        codes: languages by falling CER of the baseline.
        constant_cer: CER of the audio-blind constant guess by language, or None.
        train_seconds: training speech by language, or None.
    """

    runs: Sequence[RunFolder]
    codes: Sequence[str]
    constant_cer: Mapping[str, float] | None
    train_seconds: Mapping[str, float] | None

    def mean(self, rates: Mapping[str, float]) -> float:
        """Unweighted mean over languages, as a fraction."""
        return sum(rates[code] for code in self.codes) / len(self.codes)

    def worst(self, rates: Mapping[str, float]) -> tuple[str, float]:
        """The language with the highest rate; of equals, the first in the alphabet."""
        code = max(sorted(self.codes), key=lambda language: rates[language])
        return code, rates[code]


def compare_runs(
    runs: Sequence[RunFolder],
    constant_cer: Mapping[str, float] | None = None,
    train_seconds: Mapping[str, float] | None = None,
) -> Comparison:
    """Line runs up.

    Raises:
        UserError: they were not decoded on the same languages and numbers of utterances.
    """
    first = runs[0]
    for other in runs[1:]:
        if first.n_utterances != other.n_utterances:
            different = sorted(
                code
                for code in {**first.n_utterances, **other.n_utterances}
                if first.n_utterances.get(code) != other.n_utterances.get(code)
            )
            raise UserError(
                f"{first.folder} and {other.folder} were not decoded on the same test split: "
                f"numbers of utterances differ for {', '.join(different[:10])}; decode both on one."
            )
    codes = sorted(first.cer, key=lambda code: (-first.cer[code], code))
    return Comparison(runs, codes, constant_cer, train_seconds)


def markdown_table(comparison: Comparison) -> str:
    """One table: a row per language, then mean and worst; rates in per cent, q as a fraction."""
    runs = comparison.runs
    header = ["language"]
    if comparison.train_seconds:
        header.append("train s")
    header += [f"CER {run.name}" for run in runs] + [f"WER {run.name}" for run in runs]
    header += [f"q {run.name}" for run in runs if run.final_q]
    if comparison.constant_cer:
        header.append("CER constant guess")
    rows = [_language_row(comparison, code) for code in comparison.codes]
    rows.append(_summary_row(comparison, "mean", comparison.mean))
    rows.append(_summary_row(comparison, "worst", lambda rates: comparison.worst(rates)[1]))
    return _layout([header, *rows])


def summary_sentence(comparison: Comparison) -> str:
    """What happened to the worst language and the mean, from the numbers, good or bad."""
    sentences = []
    baseline = comparison.runs[0]
    for run in comparison.runs[1:]:
        worst_before, worst_after = comparison.worst(baseline.cer), comparison.worst(run.cer)
        mean_before, mean_after = comparison.mean(baseline.cer), comparison.mean(run.cer)
        better = sum(run.cer[code] < baseline.cer[code] for code in comparison.codes)
        worse = sum(run.cer[code] > baseline.cer[code] for code in comparison.codes)
        sentences.append(
            f"From {baseline.name} to {run.name} the worst language's CER "
            f"{_verb(worst_before[1], worst_after[1])} from {100 * worst_before[1]:.1f} % "
            f"({worst_before[0]}) to {100 * worst_after[1]:.1f} % ({worst_after[0]}), and the mean "
            f"over languages {_verb(mean_before, mean_after)} from {100 * mean_before:.1f} % to "
            f"{100 * mean_after:.1f} %; {better} of {len(comparison.codes)} languages got better, "
            f"{worse} got worse (one run each, so differences of this size may be chance)."
        )
    return " ".join(sentences)


def _language_row(comparison: Comparison, code: str) -> list[str]:
    row = [f"{code} {languages.name_of(code)}"]
    if comparison.train_seconds:
        row.append(f"{comparison.train_seconds.get(code, 0.0):.0f}")
    row += [_per_cent(run.cer[code]) for run in comparison.runs]
    row += [_per_cent(run.wer[code]) for run in comparison.runs]
    row += [f"{run.final_q.get(code, float('nan')):.3f}" for run in comparison.runs if run.final_q]
    if comparison.constant_cer:
        row.append(_per_cent(comparison.constant_cer[code]))
    return row


def _summary_row(comparison: Comparison, name: str, of) -> list[str]:
    row = [f"**{name}**"]
    if comparison.train_seconds:
        row.append("")
    row += [_per_cent(of(run.cer)) for run in comparison.runs]
    row += [_per_cent(of(run.wer)) for run in comparison.runs]
    row += ["" for run in comparison.runs if run.final_q]
    if comparison.constant_cer:
        row.append(_per_cent(of(comparison.constant_cer)))
    return row


def _per_cent(rate: float) -> str:
    return f"{100 * rate:.1f}"


def _verb(before: float, after: float) -> str:
    return "fell" if after < before else "rose" if after > before else "stayed"


def _layout(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns also line up in a terminal; numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        lines.append("| " + " | ".join(cells) + " |")
        if number == 0:
            rules = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
            lines.append("| " + " | ".join(rules) + " |")
    return "\n".join(lines) + "\n"
