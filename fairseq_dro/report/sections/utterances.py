"""Best and worst utterances, reference over hypothesis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from fairseq_dro.report.aligned_text import align, reads_right_to_left
from fairseq_dro.report.blocks import Block, ComparedText, Examples, Folded, Paragraph, per_cent
from fairseq_dro.report.report_data import ReportData
from fairseq_dro.scoring.records import Record

_SHOWN = 10
_PER_LANGUAGE = 2
_LANGUAGES = 5
_OF_EACH = 4
_LONGEST = 400  # characters of one text; the rest is cut off, and said so


def utterances_blocks(data: ReportData) -> list[Block]:
    """Worst, best, and more of the worst languages."""
    if data.scores is None:
        return [Paragraph("The test split has not been decoded yet.")]
    rated = [u for u in data.scores.records if u.characters.reference_length]
    spoken = [u for u in rated if u.hypothesis]
    if not spoken:
        return [Paragraph("Every hypothesis is empty: there is nothing to compare.")]
    note = (
        "Reference above, hypothesis below. Struck through: in the reference only; underlined: in "
        f"the hypothesis only. At most {_PER_LANGUAGE} of a {data.noun}."
    )
    worst = sorted(spoken, key=lambda u: (-_rate(u), -u.characters.errors, u.id))
    best = sorted(spoken, key=lambda u: (_rate(u), -u.characters.reference_length, u.id))
    title = "Worst by CER" + (" of those that are not empty" if len(spoken) < len(rated) else "")
    blocks = [
        Paragraph(note, small=True), _examples(title, _spread(worst, data), data),
        _examples("Best by CER, the longest first", _spread(best, data), data),
    ]  # fmt: skip
    for code in data.codes[:_LANGUAGES]:
        of_language = [u for u in worst if data.scores.group_of(u) == code]
        if of_language:
            last, steps = len(of_language) - 1, min(_OF_EACH, len(of_language)) - 1
            chosen = [of_language[round(n * last / max(steps, 1))] for n in range(steps + 1)]
            title = f"{data.labels[code]}: from its worst to its best"
            blocks.append(Folded(title, [_examples("", chosen, data)]))
    return blocks


def _rate(utterance: Record) -> float:
    return utterance.characters.errors / utterance.characters.reference_length


def _spread(ordered: Sequence[Record], data: ReportData) -> list[Record]:
    chosen, of_language = [], Counter()
    for utterance in ordered:
        group = data.scores.group_of(utterance)
        if of_language[group] < _PER_LANGUAGE:
            of_language[group] += 1
            chosen.append(utterance)
        if len(chosen) == _SHOWN:
            break
    return chosen


def _examples(title: str, utterances: Sequence[Record], data: ReportData) -> Examples:
    return Examples(title, [_compared(utterance, data) for utterance in utterances])


def _compared(utterance: Record, data: ReportData) -> ComparedText:
    group = data.run.group_by.group_of(utterance)
    parts = [group or "", utterance.id, f"CER {per_cent(_rate(utterance))} %"]
    token, guess = utterance.target_language, utterance.predicted_language
    if token is not None and guess != token:
        parts.append(f"taken for {guess or 'no language'}")
    texts = (utterance.reference, utterance.hypothesis)
    if max(map(len, texts)) > _LONGEST:
        parts.append(f"the first {_LONGEST} characters")
        texts = tuple(text[:_LONGEST] for text in texts)
    return ComparedText(
        " · ".join(part for part in parts if part), *align(*texts), reads_right_to_left(texts[0])
    )
