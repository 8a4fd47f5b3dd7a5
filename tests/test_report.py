"""What comparisons and reports rest on: the history of a run, the audio-blind guess."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fairseq_dro.data.manifest_writer import Utterance, write_data_folder
from fairseq_dro.group_by import GroupBy
from fairseq_dro.report.training_facts import (
    best_constant,
    constant_guess_cer,
    read_facts,
    references_of,
)
from fairseq_dro.runs.training_run import read_training_run
from fairseq_dro.scoring.utterances import score_utterance
from tests.compared_runs import plant_history


def test_a_line_that_a_kill_cut_and_a_repeated_update_leave_the_history_readable(tmp_path: Path):
    records = [
        {"update": update, "objective": "erm", "languages": {"deu": {"q": 1.0, "cer": 0.5}}}
        for update in (100, 200)
    ]
    history = plant_history(tmp_path, records)
    lines = history.read_text(encoding="utf-8").splitlines()
    repeated = json.loads(lines[1])
    repeated["languages"]["deu"]["q"] = 0.9
    cut = lines[1][: len(lines[1]) // 2]
    history.write_text("\n".join([*lines, cut, json.dumps(repeated)]), encoding="utf-8")
    run = read_training_run(tmp_path)
    assert [record["update"] for record in run.validations] == [100, 200]
    assert run.final_q["deu"] == 0.9


def test_the_constant_guess_is_the_training_sentence_nearest_to_all():
    train = ["montag mai", "dienstag mai", "freitag mai", "freitag juni"]
    guess = best_constant(train)
    cer = constant_guess_cer(guess, train)
    assert cer == min(constant_guess_cer(sentence, train) for sentence in train) < 1
    assert constant_guess_cer("abc", ["abc", "abcd"]) == pytest.approx(1 / 7)
    assert best_constant(["a"]) == "a"
    assert best_constant(train * 100) == best_constant(train * 100)


def test_the_language_token_of_a_label_is_no_part_of_the_guess(tmp_path: Path):
    label = "[deu] m o n t a g | m a i |"
    one = Utterance(tmp_path / "a.wav", 32_000, "deu", label, "a", "train", corpus="mls")
    write_data_folder(tmp_path, [one], tmp_path)
    by = GroupBy(("corpus",))
    scored = score_utterance("montag mai", "", id="a", language="deu", corpus="mls")
    references = references_of([scored], by)
    facts = read_facts(tmp_path, "train", "ltr", by, references, "letter")
    assert facts == ({"mls": 2.0}, {"mls": 12.0}, {"mls": 0.0})
    assert read_facts(tmp_path, "train", "ltr", by, references, "_EOW").constant_cer == {}
