"""A tiny run gives the losses and the q that are committed (``golden_trace.py``)."""

from __future__ import annotations

import copy

from tests import golden_trace


def test_a_tiny_run_gives_the_committed_losses_and_q(tiny_checkpoint, tmp_path, command_server):
    """A change that is meant is committed with the file that `python -m tests.golden_trace` writes.

    What turns it red: another seed or order of batches, masks, dropout; a step of q or of the
    optimizer in another order; anything that moves a loss by 1e-9 of itself.
    """
    found = golden_trace.trace_of_a_run(tmp_path, tiny_checkpoint, command_server)
    assert not golden_trace.differences(golden_trace.read(), found)


def test_with_another_torch_the_trace_is_compared_by_tolerance():
    golden = golden_trace.read()
    assert len(golden) == 1 + golden_trace.OPTIONS["optimization__max_update"]
    assert len({line["q_checksum"] for line in golden[1:]}) > 3, "q moves in it"

    def changed(factor: float, torch_version: str) -> list[str]:
        found = copy.deepcopy(golden)
        found[0]["torch"] = torch_version
        found[5]["loss_nats"] = f"{float(found[5]['loss_nats']) * factor:.9g}"
        return golden_trace.differences(golden, found)

    assert changed(1 + 1e-8, golden[0]["torch"])[0].startswith("update 5: loss ")
    assert not changed(1 + 1e-8, "9.0.0")
    assert changed(1 + 1e-3, "9.0.0")
