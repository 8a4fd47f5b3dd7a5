"""The table of ``fairseq-dro watch``, as wide and as high as the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fairseq_dro.group_by import BY_LANGUAGE, GroupBy
from fairseq_dro.runs.durations import in_words
from fairseq_dro.watch.seen_run import SeenRun

_AROUND_THE_ROWS = 9  # lines of the head, of the table's frame and of the line below
_NARROW, _WIDE = 44, 70  # columns from which names, then losses are shown


def view(seen: SeenRun, columns: int, lines: int | None) -> RenderableType:
    """Head, bar and table.

    Args:
        lines: of the terminal; None: as many as there are groups.
    """
    parts: list[RenderableType] = [_head(seen)]
    progress = seen.progress
    if progress is not None and progress.of:
        parts.append(_bar(progress.update / progress.of, min(columns, 60)))
    if not seen.validations:
        parts.append(Text("no validation yet", style="dim"))
        return Group(*parts)
    last = seen.validations[-1]
    before = seen.validations[-2]["languages"] if len(seen.validations) > 1 else {}
    rows = sorted(last["languages"].items(), key=lambda row: -(row[1].get("cer") or -1.0))
    room = len(rows) if lines is None else max(1, lines - _AROUND_THE_ROWS)
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    by = GroupBy.parse(last.get("group_by", BY_LANGUAGE))
    table.add_column(str(by), no_wrap=True, overflow="ellipsis")
    for name in ("CER %", "change", "q", "loss")[: 4 if columns >= _WIDE else 3]:
        table.add_column(name, justify="right", no_wrap=True)
    for group, row in rows[:room]:
        label = by.label_of(group) if columns >= _NARROW else group
        cells = [label, _percent(row.get("cer")), _change(row, before.get(group)),
                 _decimals(seen.q.get(group), 3)]  # fmt: skip
        cells += [_decimals(row.get("loss_nats"), 1)] if columns >= _WIDE else []
        table.add_row(*cells)
    parts.append(table)
    if len(rows) > room:
        parts.append(Text(f"and {len(rows) - room} with a lower CER", style="dim"))
    return Group(*parts)


def _head(seen: SeenRun) -> Text:
    progress = seen.progress
    of = f" of {progress.of:,}" if progress is not None and progress.of else ""
    parts = [f"update {seen.update:,}{of}", _state(seen)]
    if progress is not None and seen.is_going:
        parts += [f"validating {progress.validating}"] if progress.validating else []
        parts += [f"{in_words(progress.seconds_left)} left"] if progress.seconds_left else []
        if progress.seconds_per_update is not None:
            parts.append(f"{progress.seconds_per_update:.2g} s/update")
    if seen.validations:
        last = seen.validations[-1]
        parts.append(
            f"{last['subset']} at update {last['update']:,}: CER mean "
            f"{_percent(last.get('mean_cer'))}, worst {last.get('worst_language')} "
            f"{_percent(last.get('worst_cer'))}"
        )
    return Text.assemble((str(seen.folder), "bold"), "\n", " · ".join(parts))


def _bar(share: float, width: int) -> Text:
    done = round(min(1.0, share) * width)
    return Text.assemble(("━" * done, "green"), ("━" * (width - done), "bright_black"))


def _state(seen: SeenRun) -> str:
    if seen.is_going:
        return "going"
    return "finished" if seen.is_finished else "stopped"


def _percent(rate: Any) -> str:
    return "" if rate is None else f"{100 * rate:.1f}"


def _change(row: dict[str, Any], before: dict[str, Any] | None) -> Text:
    """Since the validation before, in points."""
    if not before or row.get("cer") is None or before.get("cer") is None:
        return Text("")
    points = 100 * (row["cer"] - before["cer"])
    return Text(f"{points:+.1f}", style="red" if points > 0 else "green")


def _decimals(value: Any, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
