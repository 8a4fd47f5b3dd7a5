"""The excess over a baseline moves q; one in another unit or without a group is refused."""

from __future__ import annotations

import numpy as np
import pytest

from fairseq_dro.criterions.baseline import read_baseline
from fairseq_dro.dro.rules import RULES, make_rule
from fairseq_dro.errors import UserError
from fairseq_dro.runs.history import append_record
from tests.in_process import group_dro_ctc, make_task

UNIT = "nats an utterance"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "baseline.tsv"
    path.write_text(f"group\t{UNIT}\ndeu\t1.5\nell\t20\nfra\t3\nxxx\t9\n")
    return path


@pytest.fixture
def run_folder(tmp_path):
    """Eight validations, of which the last two count."""
    for update in range(1, 9):
        languages = {
            name: {"train_loss_nats": loss if update > 6 else 100.0 + update}
            for name, loss in {"deu": update, "ell": 20.0, "fra": 3.0}.items()
        }
        record = {"update": update, "subset": "valid", "loss_unit": UNIT, "languages": languages}
        append_record(tmp_path / "run" / "history.jsonl", record)
    return tmp_path / "run"


def test_a_table_is_read_by_group(table):
    assert read_baseline(str(table), ["fra", "deu"], UNIT).tolist() == [3.0, 1.5]


def test_a_run_gives_the_mean_of_its_last_validations(run_folder):
    assert read_baseline(str(run_folder), ["deu", "ell"], UNIT).tolist() == [7.5, 20.0]


@pytest.mark.parametrize("objective", list(RULES))
def test_every_rule_sees_the_excess(objective):
    sizes, losses, baseline = np.array([30, 20, 10]), np.array([5.0, 9, 7]), np.array([4.0, 2, 7])
    q = np.array([0.5, 0.3, 0.2])
    plain = make_rule(objective, {}, group_sizes=sizes)
    shifted = make_rule(objective, {}, group_sizes=sizes, baseline=baseline)
    assert shifted.step(q, losses) == pytest.approx(plain.step(q, losses - baseline))


def test_the_option_reaches_the_rule_and_is_part_of_the_run(tiny_data, table):
    task = make_task(tiny_data)
    state = group_dro_ctc(task, objective="group_dro", baseline=str(table)).state
    alone = group_dro_ctc(task, objective="group_dro").state
    floors = np.array([{"deu": 1.5, "ell": 20.0, "fra": 3.0}[name] for name in task.groups])
    assert state.rule.step(state.q, floors) == pytest.approx(alone.q), "no excess, no move"
    moved = table.rename(table.with_name("moved.tsv"))
    elsewhere = group_dro_ctc(task, objective="group_dro", baseline=str(moved)).state
    elsewhere.require_trained_alike(state.state_dict())
    moved.write_text(moved.read_text().replace("20", "21"))
    changed = group_dro_ctc(task, objective="group_dro", baseline=str(moved)).state
    for then, now, advice in (
        (alone, state, "type criterion.baseline=null to resume"),
        (state, alone, f"type criterion.baseline={table} to resume"),
        (elsewhere, changed, "put back what criterion.baseline held then to resume"),
    ):
        with pytest.raises(UserError, match=f"trained with criterion.baseline=.*{advice}"):
            now.require_trained_alike(then.state_dict())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist"),
        ("", ":1 is not a head"),
        ("deu\t1\n", ":1 is not a head"),
        (f"group\t{UNIT}\ndeu\tlow\n", ":2 cannot be read"),
        (f"group\t{UNIT}\ndeu\t1\n", "has no loss of ell"),
        (f"group\t{UNIT}\ndeu\t1\nell\tnan\n", "has no loss of ell"),
        ("group\tnats a batch of about 9 s\ndeu\t1\nell\t2\n", "in nats a batch of about 9 s, and"),
    ],
)
def test_a_table_that_cannot_serve_is_refused(tmp_path, content, said):
    path = tmp_path / "baseline.tsv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=said):
        read_baseline(str(path), ["deu", "ell"], UNIT)


def test_a_run_that_has_not_validated_is_refused(tmp_path):
    (tmp_path / "history.jsonl").write_text("")
    for folder in (tmp_path, tmp_path / "none"):
        folder.mkdir(exist_ok=True)
        with pytest.raises(UserError, match="history.jsonl holds no group losses of training"):
            read_baseline(str(folder), ["deu"], UNIT)
