"""A group's loss is its nats over one of five counts, and no run changes it half-way."""

from __future__ import annotations

import numpy as np
import pytest

from fairseq_dro.dro.group_loss import UNITS_PER_SECOND, GroupLoss, GroupLossUnit
from fairseq_dro.dro.rules import RULES
from fairseq_dro.dro.sums import COLUMNS
from fairseq_dro.errors import UserError
from tests.in_process import group_dro_ctc, make_task

D, RATE = 50.0, 16_000
NATS = 3000.0
AMOUNTS = {
    "n_utterances": 40, "n_batches": 5, "audio_samples": 200 * RATE, "units": 1800,
    "characters": 1500,
}  # fmt: skip
EXPECTED = {
    "per_batch": NATS / 5,
    "per_utterance": NATS / 40,
    "per_second": NATS / 200 * D,
    "per_character": NATS / 1500 * D * UNITS_PER_SECOND,
    "per_unit": NATS / 1800 * D * UNITS_PER_SECOND,
}


@pytest.mark.parametrize("kind", list(GroupLoss))
def test_a_group_loss_is_its_nats_over_its_count(kind):
    sums = np.zeros((2, len(COLUMNS)))
    for name, amount in AMOUNTS.items():
        sums[0, COLUMNS.index(name)] = amount
    counts = GroupLossUnit(kind, D, RATE).counts(sums)
    assert NATS / counts[0] == pytest.approx(EXPECTED[kind.value])
    assert counts[1] == 0, "a group that was not drawn has no loss"


def test_a_full_batch_of_twelve_characters_a_second_has_one_loss_in_all_units_but_utterances():
    sums = np.zeros((1, len(COLUMNS)))
    full = {"n_batches": 1, "audio_samples": D * RATE, "units": 600, "characters": 600}
    for name, amount in full.items():
        sums[0, COLUMNS.index(name)] = amount
    kinds = [kind for kind in GroupLoss if kind is not GroupLoss.PER_UTTERANCE]
    assert {GroupLossUnit(kind, D, RATE).counts(sums)[0] for kind in kinds} == {1.0}


def test_units_are_told_apart_by_their_words():
    words = {str(GroupLossUnit(kind, d, RATE)) for kind in GroupLoss for d in (10.0, 50.0)}
    assert len(words) == 2 * len(GroupLoss) - 1, "per_utterance has no seconds in it"


@pytest.mark.parametrize("objective", list(RULES))
def test_auto_is_the_unit_of_the_rules_paper(tiny_data, objective):
    criterion = group_dro_ctc(make_task(tiny_data), objective=objective)
    expected = {"ctc_dro": "per_batch", "chi_square_dro": "per_unit"}
    assert criterion.engine.unit.kind.value == expected.get(objective, "per_utterance")


def test_a_criterion_may_name_another_unit_and_the_user_has_the_last_word(tiny_data, monkeypatch):
    from fairseq_dro.criterions.ctc import GroupDroCtcCriterion

    monkeypatch.setattr(GroupDroCtcCriterion, "default_group_loss", GroupLoss.PER_CHARACTER)
    task = make_task(tiny_data)
    assert group_dro_ctc(task).engine.unit.kind is GroupLoss.PER_CHARACTER
    chosen = group_dro_ctc(task, group_loss="per_second")
    assert chosen.engine.unit.kind is GroupLoss.PER_SECOND


def test_resuming_with_another_unit_is_refused(tiny_data):
    task = make_task(tiny_data)
    saved = group_dro_ctc(task, group_loss="per_second").state.state_dict()
    now = group_dro_ctc(task, group_loss="per_character").state
    with pytest.raises(UserError, match="criterion.group_loss=per_second and this command says"):
        now.require_trained_alike(saved)
