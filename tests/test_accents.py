"""Group DRO across accents of one language: the commands of docs/groups.md, table to report."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fairseq.dataclass.initialize import hydra_init
from hydra.core.global_hydra import GlobalHydra
from hydra.experimental import compose, initialize_config_dir

from fairseq_dro.cli import main
from fairseq_dro.demo.espeak import synthesiser
from fairseq_dro.runs.history import read_records
from tests.stock_commands import BIN, REPOSITORY, train_command

VOICES = {"caribbean": "en-029", "scotland": "en-gb-scotland", "us": "en-us"}
N_UTTERANCES = {"train": 14, "dev": 4, "test": 5}
WORDS = "north water bird three four girl dance bath better little".split()
COMMANDS = {"prepare": 0, "train": 1, "infer": 2, "report": 3, "score": 4}


def documented(name: str) -> list[str]:
    """A command of docs/groups.md, in words."""
    text = (REPOSITORY / "docs" / "groups.md").read_text(encoding="utf-8")
    blocks = re.findall(r"(?:^    .+\n)+", text, re.MULTILINE)
    commands = "".join(blocks).replace("\\\n", " ").splitlines()
    assert len(commands) == len(COMMANDS)
    return shlex.split(commands[COMMANDS[name]])


def write_corpus(folder: Path) -> Path:
    """English in three accents: a table with the columns accent and gender."""
    rng = np.random.default_rng(4)
    rows = ["path\tsplit\tlanguage\ttext\taccent\tgender\n"]
    folder.mkdir(parents=True, exist_ok=True)
    for accent, voice in VOICES.items():
        for split, n in N_UTTERANCES.items():
            for number in range(n):
                gender = "mf"[number % 2]
                text = " ".join(rng.choice(WORDS, 2, replace=False))
                audio = synthesiser().speak(
                    text, f"{voice}+{gender}2", words_per_minute=int(rng.integers(140, 200))
                )
                path = f"{accent}_{split}_{number}.wav"
                soundfile.write(folder / path, audio, 16_000, subtype="PCM_16")
                rows.append(f"{path}\t{split}\teng\t{text}\t{accent}\t{gender}\n")
    (folder / "corpus.tsv").write_text("".join(rows))
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory, tiny_checkpoint, command_server) -> Path:
    """Where the documented commands were typed; training is that of a tiny model."""
    home = write_corpus(tmp_path_factory.mktemp("home"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        assert main(documented("prepare")[1:]) == 0
    group_by = next(word for word in documented("train") if "group_by" in word)
    train = train_command(
        home / "data" / "accents", tiny_checkpoint, task__batch_seconds=5,
        task__group_by=group_by.partition("=")[2], optimization__max_update=8,
        optimization__update_freq="[3]", dataset__disable_validation="false",
        dataset__validate_interval_updates=4, hydra__output_subdir=".hydra",
        common__log_format="simple",
    )
    run = home / "runs" / "accents"
    done = command_server.run(train, run)
    assert "3 groups by accent" in done.stdout
    command_server.run([str(BIN / "fairseq-dro"), *documented("infer")[1:], "common.cpu=true",
                        "dataset.num_workers=0"], home)  # fmt: skip
    return home


def test_the_documented_training_command_composes():
    words = documented("train")
    overrides = [word for word in words if "=" in word]
    GlobalHydra.instance().clear()
    hydra_init("finetune")
    with initialize_config_dir(config_dir=str(REPOSITORY / "examples" / "xlsr_dro" / "config")):
        cfg = compose("finetune", overrides=overrides)
    assert cfg.task.group_by == "accent"


def test_q_and_validation_are_about_accents(home):
    run = home / "runs" / "accents"
    last = read_records(run / "history.jsonl")[-1]
    assert last["group_by"] == "accent" and list(last["languages"]) == sorted(VOICES)
    assert last["worst_language"] in VOICES
    assert all(row["n_utterances"] == 4 for row in last["languages"].values())
    q = read_records(run / "group_weights.jsonl")[-1]["q"]
    assert list(q) == sorted(VOICES) and len(set(q.values())) > 1


def test_scores_are_by_accent_and_records_carry_every_column(home):
    results = home / "runs" / "accents" / "decode_test"
    lines = (results / "utterances.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert {record["language"] for record in records} == {"eng"}
    assert all(record["columns"] == {
        "accent": record["id"].split("_")[0], "gender": "mf"[int(record["id"][-1]) % 2]
    } for record in records)  # fmt: skip
    scores = json.loads((results / "scores.json").read_text(encoding="utf-8"))
    assert scores["group_by"] == "accent" and list(scores["languages"]) == sorted(VOICES)
    assert scores["disparity"]["n_languages"] == 3
    assert re.search(r"^\| accent +\|", (results / "scores.md").read_text(), re.MULTILINE)


def test_the_report_and_other_groups_of_the_same_run(home, monkeypatch, capsys):
    monkeypatch.chdir(home)
    assert main(documented("report")[1:]) == 0
    markdown = (home / "runs" / "accents" / "report" / "report.md").read_text(encoding="utf-8")
    assert "3 groups by accent" in markdown and "## Every group" in markdown
    table = markdown.split("## Every group")[1].split("## ")[0]
    heads, *rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in table.splitlines() if line.startswith("| ")
    ]  # fmt: skip
    assert heads[:3] == ["accent", "train min", "utterances"] and "q" in heads
    assert sorted(row[0] for row in rows) == sorted(VOICES)
    assert all(float(row[1]) > 0 and row[2] == "5" for row in rows)
    capsys.readouterr()
    assert main([*documented("score")[1:], "--replicates", "100"]) == 0
    printed = capsys.readouterr().out
    for accent in VOICES:
        assert all(re.search(rf"^\| {accent}/{x} ", printed, re.MULTILINE) for x in "fm")
