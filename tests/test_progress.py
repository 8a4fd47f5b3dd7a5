"""Long work says how far it is where there is no terminal."""

from __future__ import annotations

import logging

from fairseq_dro import progress


def test_lines_come_soon_at_first_and_then_at_most_every_half_minute(caplog, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: False, raising=False)
    said = []
    with caplog.at_level(logging.INFO):
        for number in progress.with_progress(range(200), 200, "batches", "decoding test"):
            said += [(now[0], record.getMessage()) for record in caplog.records]
            caplog.clear()
            now[0] = float(number + 1)
    times = [second for second, _ in said]
    assert times == [5, 20, 50, 80, 110, 140, 170]
    assert said[0][1] == "decoding test: 5 of 200 batches, about 195 s left"
    assert list(progress.with_progress("ab", None, "x")) == ["a", "b"]
