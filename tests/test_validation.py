"""What validation reports per language, and to whom."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sentencepiece
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fairseq_dro.languages import known_languages
from fairseq_dro.runs.history import read_records
from tests.checkpoints import load
from tests.stock_commands import train_command
from tests.tiny_corpus import write_tiny_corpus

VALIDATING = {
    "dataset__disable_validation": "false",
    "dataset__validate_interval_updates": 2,
    "optimization__max_update": 6,
    "checkpoint__save_interval_updates": 2,
}


@pytest.fixture(scope="module")
def validated_run(tiny_data, tiny_checkpoint, tmp_path_factory, command_server) -> Path:
    folder = tmp_path_factory.mktemp("validated")
    command = train_command(
        tiny_data, tiny_checkpoint,
        checkpoint__best_checkpoint_metric="worst_cer", common__tensorboard_logdir="tb",
        **VALIDATING,
    )
    (folder / "output.log").write_text(command_server.run(command, folder).stdout)
    return folder


def test_history_holds_every_language_of_every_validation(validated_run):
    records = read_records(validated_run / "history.jsonl")
    assert [r["update"] for r in records] == [2, 4, 6]
    for record in records:
        rows = record["languages"]
        assert list(rows) == ["deu", "ell", "fra"]
        assert [row["n_utterances"] for row in rows.values()] == [6, 8, 10]
        assert sum(row["q"] for row in rows.values()) == pytest.approx(1)
        cer = {language: row["cer"] for language, row in rows.items()}
        assert record["mean_cer"] == pytest.approx(sum(cer.values()) / 3)
        assert record["worst_cer"] == max(cer.values()) == cer[record["worst_language"]]


def test_the_best_checkpoint_is_chosen_by_worst_cer_through_several_validations(validated_run):
    worst = [r["worst_cer"] for r in read_records(validated_run / "history.jsonl")]
    best = load(validated_run / "checkpoints/checkpoint_best.pt")["extra_state"]
    assert best["best"] == pytest.approx(100 * min(worst), abs=1e-3)


def test_the_worst_language_is_named(validated_run):
    record = read_records(validated_run / "history.jsonl")[-1]
    log = (validated_run / "output.log").read_text()
    assert f"({record['worst_language']}) {100 * record['worst_cer']:.1f} %" in log


def test_tensorboard_gets_each_language_by_name(validated_run):
    events = EventAccumulator(str(validated_run / "tb/valid_languages"))
    events.Reload()
    tags = events.Tags()["scalars"]
    for name in ("q", "cer", "wer", "loss_nats", "train_loss_nats"):
        assert {f"{name}/{language}" for language in ("deu", "ell", "fra")} <= set(tags)
    last = read_records(validated_run / "history.jsonl")[-1]["languages"]
    for language, row in last.items():
        assert events.Scalars(f"q/{language}")[-1].value == pytest.approx(row["q"], rel=1e-6)


def test_with_143_languages_the_progress_lines_stay_readable(
    tiny_checkpoint, tmp_path, command_server
):
    codes = sorted(known_languages())[:143]
    data = write_tiny_corpus(
        tmp_path / "data", {"train": 1, "valid": 1}, dict.fromkeys(codes, "abc"), growth=0
    )
    done = command_server.run(train_command(data, tiny_checkpoint, **VALIDATING), tmp_path / "run")
    progress = [
        line for line in done.stdout.splitlines() if "[train_inner]" in line or "[valid]" in line
    ]
    assert progress and max(map(len, progress)) < 700, "one entry a language would be thousands"
    record = read_records(tmp_path / "run/history.jsonl")[-1]
    assert len(record["languages"]) == 143
    assert all("cer" in row for row in record["languages"].values())


def test_the_language_token_is_one_symbol_before_each_target(
    tiny_data, tiny_checkpoint, tmp_path, command_server
):
    data = write_tiny_corpus(tmp_path / "data", {"train": 6, "valid": 2})
    dictionary = data / "dict.ltr.txt"
    tokens = "".join(f"[{iso}] 1\n" for iso in ("deu", "ell", "fra"))
    dictionary.write_text(dictionary.read_text() + tokens)
    command_server.run(
        train_command(data, tiny_checkpoint, task__language_token="true", **VALIDATING),
        tmp_path / "run",
    )
    with_token = load(tmp_path / "run/checkpoints/checkpoint_last.pt")["model"]
    n_symbols = 4 + len(dictionary.read_text().splitlines())
    assert with_token["w2v_encoder.proj.weight"].shape[0] == n_symbols


def test_sentencepiece_units_train_and_validate_on_characters(
    tiny_checkpoint, tmp_path, command_server
):
    data = write_tiny_corpus(tmp_path / "data", {"train": 8, "valid": 2})
    texts = {
        split: [
            line.replace(" ", "").replace("|", " ").strip()
            for line in (data / f"{split}.ltr").read_text().splitlines()
        ]
        for split in ("train", "valid")
    }
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts["train"]), model_prefix=str(tmp_path / "spm"), vocab_size=30,
        hard_vocab_limit=False, minloglevel=2,
    )
    spm = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "spm.model"))
    pieces = {spm.id_to_piece(i) for i in range(3, spm.get_piece_size())}
    for split, lines in texts.items():
        encoded = [" ".join(spm.encode(text, out_type=str)) for text in lines]
        (data / f"{split}.spm").write_text("".join(f"{line}\n" for line in encoded))
        pieces |= {piece for line in encoded for piece in line.split()}
    (data / "dict.spm.txt").write_text("".join(f"{piece} 1\n" for piece in sorted(pieces)))
    command_server.run(
        train_command(
            data, tiny_checkpoint, task__labels="spm", criterion__post_process="sentencepiece",
            **VALIDATING,
        ),
        tmp_path / "run",
    )
    record = read_records(tmp_path / "run/history.jsonl")[-1]
    assert json.dumps(record) and record["cer"] > 0


def test_several_validation_splits_are_validated_each_by_itself(
    tiny_data, tiny_checkpoint, command_server, tmp_path
):
    """The first chooses the checkpoint; the second has the lines of a run that has it alone."""
    found = {}
    for subsets in ("valid,test", "test"):
        command = train_command(
            tiny_data, tiny_checkpoint, **{**VALIDATING, "optimization__max_update": 4},
            dataset__valid_subset=f"'{subsets}'", checkpoint__best_checkpoint_metric="worst_cer",
        )
        command_server.run(command, tmp_path / subsets)
        found[subsets] = read_records(tmp_path / subsets / "history.jsonl")
    both = found["valid,test"]
    assert [line["subset"] for line in both] == ["valid", "test"] * 2
    assert both[1::2] == found["test"]
    best = load(tmp_path / "valid,test" / "checkpoints/checkpoint_best.pt")
    lowest = min(line["worst_cer"] for line in both[::2])
    assert best["extra_state"]["best"] == pytest.approx(100 * lowest, abs=1e-3)
