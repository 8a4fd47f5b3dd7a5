"""Which languages are taken for which, where the model writes a language token."""

from __future__ import annotations

from collections import Counter

from fairseq_dro.languages import label_of
from fairseq_dro.report.blocks import Cell, Column, Paragraph, Section, Table, per_cent
from fairseq_dro.report.report_data import ReportData

_MOST_ROWS = 25
_MATRIX_UP_TO = 12  # languages


def identification_section(data: ReportData) -> Section | None:
    """Accuracy and confusions; None where no reference carries a language token."""
    records = [] if data.scores is None else data.scores.records
    tokens = [
        (u.target_language, u.predicted_language) for u in records if u.target_language is not None
    ]
    if not tokens:
        return None
    section = Section("identification", "Language identification")
    counts = Counter(tokens)
    right = sum(n for (said, heard), n in counts.items() if said == heard)
    section.blocks.append(
        Paragraph(
            f"{right:,} of {len(tokens):,} test utterances begin with the right language token: "
            f"{per_cent(right / len(tokens))} %."
        )
    )
    totals = Counter(said for said, _ in tokens)
    if len(totals) <= _MATRIX_UP_TO:
        section.blocks.append(_matrix(counts, totals))
    else:
        section.blocks.append(_list(counts, totals))
    return section


def _matrix(counts, totals) -> Table:
    heard = sorted({h for _, h in counts if h is not None} | set(totals))
    columns = [Column("spoken, heard as", numeric=False), *(Column(code) for code in heard)]
    columns += [Column("none"), Column("right %")]
    rows = []
    for said in sorted(totals, key=lambda code: (counts[code, code] / totals[code], code)):
        cells = [Cell(label_of(said))]
        for code in [*heard, None]:
            n = counts[said, code]
            shown = f"[{n}]" if code == said else str(n) if n else "·"
            cells.append(Cell(shown, float(n)))
        share = counts[said, said] / totals[said]
        rows.append([*cells, Cell(per_cent(share), share)])
    return Table(columns, rows, sortable=True, caption="Utterances; in brackets: recognised")


def _list(counts, totals) -> Table:
    wrong = [(n, said, heard) for (said, heard), n in counts.items() if said != heard]
    wrong.sort(key=lambda one: (-one[0] / totals[one[1]], -one[0], one[1], one[2] or ""))
    n_wrong = len(wrong)
    wrong = [one for one in wrong if one[0] > 1] or wrong
    rows = [
        [
            Cell(label_of(said)), Cell(label_of(heard) if heard else "no language"),
            Cell(f"{n:,}", float(n)), Cell(f"{totals[said]:,}", float(totals[said])),
            Cell(per_cent(n / totals[said]), n / totals[said]),
        ]
        for n, said, heard in wrong[:_MOST_ROWS]
    ]  # fmt: skip
    columns = [
        Column("spoken", numeric=False), Column("heard as", numeric=False), Column("utterances"),
        Column("of"), Column("share %"),
    ]  # fmt: skip
    caption = f"The {len(rows)} most frequent confusions of {n_wrong}, by share of the language"
    return Table(columns, rows, sortable=True, caption=caption)
