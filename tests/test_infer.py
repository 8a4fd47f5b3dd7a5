"""Laws of ``fairseq-dro-infer``: fairseq's hypotheses, every utterance by name, right scores."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import soundfile
import torch

import fairseq_dro
from fairseq_dro.report.score.counting import count, records_of_texts
from fairseq_dro.scoring.convention import Convention
from fairseq_dro.scoring.summary import summarise
from tests.decoded_splits import copy_split, error_of, infer, lines_of
from tests.killed_commands import CommandServer
from tests.stock_commands import BIN, train_command
from tests.tiny_corpus import write_split

STOCK_INFER = "examples.speech_recognition.new.infer"
WITH_ALIAS = (
    "import runpy, sys; from fairseq_dro.compat import examples_alias; examples_alias.apply(); "
    f"runpy.run_module('{STOCK_INFER}', run_name='__main__', alter_sys=True)"
)


@pytest.fixture(scope="module")
def piece_data(tiny_data: Path, tmp_path_factory) -> Path:
    """The tiny corpus in sentencepiece units, with language tokens in the dictionary."""
    folder = tmp_path_factory.mktemp("piece_data")
    texts = {
        split: [
            line.replace(" ", "").replace("|", " ").strip()
            for line in (tiny_data / f"{split}.ltr").read_text(encoding="utf-8").splitlines()
        ]
        for split in ("train", "valid", "test")
    }
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([text for split in texts.values() for text in split]),
        model_writer=model, vocab_size=24, character_coverage=1.0, minloglevel=2,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    counts = {"[deu]": 1, "[ell]": 1, "[fra]": 1}
    for split, lines in texts.items():
        units = [pieces.encode(line, out_type=str) for line in lines]
        for unit in [unit for line in units for unit in line]:
            counts[unit] = counts.get(unit, 0) + 1
        (folder / f"{split}.ltr").write_text(
            "".join(f"{' '.join(line)}\n" for line in units), encoding="utf-8"
        )
        for suffix in ("tsv", "lang"):
            shutil.copy(tiny_data / f"{split}.{suffix}", folder)
    (folder / "dict.ltr.txt").write_text(
        "".join(f"{unit} {count}\n" for unit, count in counts.items()), encoding="utf-8"
    )
    return folder


@pytest.fixture(scope="module")
def piece_run(
    piece_data: Path, tiny_checkpoint: Path, tmp_path_factory, command_server: CommandServer
) -> Path:
    """A grouped run on sentencepiece units and language tokens, with a validation.

    It hardly moves from its random start, where the output holds every unit; soon after, a small
    model writes nothing but blanks for a while, and every error rate would be 1.
    """
    folder = tmp_path_factory.mktemp("piece_run")
    command_server.run(
        train_command(
            piece_data, tiny_checkpoint, task__language_token="true",
            criterion__post_process="sentencepiece", dataset__disable_validation="false",
            optimization__max_update="1", optimization__lr="[1e-7]",
            checkpoint__best_checkpoint_metric="worst_cer",
        ),
        folder,
    )
    return folder


def _names(folder: Path) -> list[str]:
    """Utterance ids of a split in manifest order, as they are made of its paths."""
    rows = (folder / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return [row.split("\t")[0].removesuffix(".wav") for row in rows]


def _records(results: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines_of(results / "utterances.jsonl")]


# --- what it writes ---


def test_hypotheses_and_wer_are_those_of_stock_infer(
    stock_model: Path, tiny_data: Path, tmp_path: Path, command_server: CommandServer
) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    theirs.mkdir()
    command_server.run(
        [
            sys.executable, "-c", WITH_ALIAS, "task=audio_finetuning", f"task.data={tiny_data}",
            "task.labels=ltr", f"common_eval.path={stock_model}", "common.cpu=true",
            f"decoding.results_path={theirs}", "hydra.run.dir=.", "hydra.output_subdir=null",
        ],
        tmp_path,
    )
    infer(f"common_eval.path={stock_model}", f"decoding.results_path={ours}")
    names = _names(tiny_data)
    for file in ("hypo.units", "hypo.word", "ref.units", "ref.word"):
        by_row = {}
        for line in lines_of(theirs / file):
            text, row = line.rsplit(" (None-", 1)
            by_row[int(row.rstrip(")"))] = text
        expected = [f"{by_row[row]} ({name})" for row, name in enumerate(names)]
        assert lines_of(ours / file) == expected
    assert lines_of(ours / "wer")[:2] == lines_of(theirs / "wer")[:2]
    for folder in (ours, theirs):
        assert_units_score_as_words(folder, "letter")


def test_every_utterance_is_there_in_manifest_order_with_its_id_and_language(
    stock_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    results = infer(
        f"common_eval.path={stock_model}", f"decoding.results_path={tmp_path / 'new' / 'folder'}"
    )
    records = _records(results)
    assert [record["id"] for record in records] == _names(tiny_data)
    assert [record["language"] for record in records] == lines_of(tiny_data / "test.lang")
    for record, label in zip(records, lines_of(tiny_data / "test.ltr"), strict=True):
        assert record["reference"] == label.replace(" ", "").replace("|", " ").strip()
    scores = json.loads((results / "scores.json").read_text(encoding="utf-8"))
    assert list(scores["languages"]) == ["deu", "ell", "fra"]
    assert scores["worst"]["cer"] == max(row["cer"] for row in scores["languages"].values())
    for language, row in scores["languages"].items():
        own = [record for record in records if record["language"] == language]
        assert row["n_utterances"] == len(own)
        assert row["audio_seconds"] == pytest.approx(sum(r["seconds"] for r in own), abs=1e-3)
        kinds = ("substitutions", "deletions", "insertions")
        errors = sum(record[kind] for record in own for kind in kinds)
        assert row["cer"] == errors / sum(record["reference_characters"] for record in own)
    table = (results / "scores.md").read_text(encoding="utf-8")
    for cell in ("deu German", "**mean of 3**", "**worst, ", "**all together**"):
        assert cell in table


def test_one_and_two_workers_write_the_same_bytes_from_relative_paths_and_no_litter(
    stock_model: Path, tiny_data: Path, tmp_path: Path, command_server: CommandServer
) -> None:
    options = [
        "common_eval.path=model.pt", "task.data=data", "decoding.results_path=results",
        "dataset.batch_size=4", "common.cpu=true",
    ]
    for workers, name in ((1, "one"), (2, "two")):
        folder = tmp_path / name
        copy_split(tiny_data, folder / "data")
        shutil.copy(stock_model, folder / "model.pt")
        command = [str(BIN / "fairseq-dro-infer"), *options]
        done = command_server.run(command, folder, workers=workers)
        assert done.stdout.count("**all together**") == 1
        assert sorted(path.name for path in folder.iterdir()) == ["data", "model.pt", "results"]
    one, two = (sorted((tmp_path / name / "results").iterdir()) for name in ("one", "two"))
    assert [path.name for path in one] == [path.name for path in two]
    assert len(one) == 8
    for mine, theirs in zip(one, two):
        assert mine.read_bytes() == theirs.read_bytes(), mine.name


def test_infer_scores_the_valid_split_as_validation_did_with_sentencepiece_and_language_token(
    piece_run: Path, piece_data: Path, tmp_path: Path
) -> None:
    results = infer(
        f"common_eval.path={piece_run / 'checkpoints' / 'checkpoint_last.pt'}",
        "dataset.gen_subset=valid", f"decoding.results_path={tmp_path / 'results'}",
    )
    validation = json.loads(lines_of(piece_run / "history.jsonl")[-1])
    scores = json.loads((results / "scores.json").read_text(encoding="utf-8"))
    assert scores["decoded"] == {
        "checkpoint": ["checkpoint_last.pt"], "update": 1, "data": piece_data.name,
        "split": "valid", "decoder": "viterbi", "beam": 1,
    }  # fmt: skip
    assert scores["all"]["cer"] not in (0.0, 1.0)
    assert scores["all"]["cer"] == pytest.approx(validation["cer"], abs=1e-9)
    assert scores["all"]["wer"] == pytest.approx(validation["wer"], abs=1e-9)
    assert scores["mean"]["cer"] == pytest.approx(validation["mean_cer"], abs=1e-9)
    assert scores["worst"]["language"] == validation["worst_language"]
    for language, row in scores["languages"].items():
        assert row["cer"] == pytest.approx(validation["languages"][language]["cer"], abs=1e-9)
        assert row["lid_accuracy"] is not None
    for record, line in zip(_records(results), lines_of(results / "ref.units")):
        assert record["target_language"] == record["language"]
        assert line.startswith(f"[{record['language']}] \u2581")
        assert "\u2581" not in record["reference"]
    assert "LID %" in (results / "scores.md").read_text(encoding="utf-8")
    assert_units_score_as_words(results, "sentencepiece")


def assert_units_score_as_words(results: Path, notation: str) -> None:
    """``score`` finds in the files in units what it finds in words."""
    found = []
    for kind, post_process in (("units", notation), ("word", None)):
        pair = results / f"ref.{kind}", results / f"hypo.{kind}"
        scores = count(records_of_texts(*pair, {}, "trn", post_process), Convention())
        found.append(summarise(scores, seed=0, n_replicates=100)["all"])
    assert found[0] == found[1] and found[0]["reference_characters"] > 0


def test_a_loaded_model_writes_texts_without_language_tokens(
    piece_run: Path, piece_data: Path, tmp_path: Path
) -> None:
    checkpoint = piece_run / "checkpoints" / "checkpoint_last.pt"
    results = infer(
        f"common_eval.path={checkpoint}", "dataset.batch_size=1",
        f"decoding.results_path={tmp_path}",
    )
    records = _records(results)
    assert any(record["predicted_language"] for record in records)
    model = fairseq_dro.load(checkpoint, device="cpu")
    root, *rows = lines_of(piece_data / "test.tsv")
    for row, record in zip(rows[:6], records):
        text = model.transcribe(Path(root, row.split("\t")[0])).text
        assert text == record["hypothesis"].strip()


def test_hours_of_other_data_are_not_those_of_training(
    piece_run: Path, piece_data: Path, tmp_path: Path
) -> None:
    others = tmp_path / "others"
    shutil.copytree(piece_data, others)
    checkpoint = piece_run / "checkpoints" / "checkpoint_last.pt"
    kept = {}
    for data in (piece_data, others):
        results = infer(
            f"common_eval.path={checkpoint}", f"task.data={data}",
            f"decoding.results_path={tmp_path / f'of_{data.name}'}",
        )
        scores = json.loads((results / "scores.json").read_text(encoding="utf-8"))
        assert scores["decoded"]["data"] == data.name
        kept[data] = scores["training"]
    assert kept[piece_data]["train_seconds"] and kept[others] is None


@pytest.mark.parametrize("post_process", ["letter", "sentencepiece"])
def test_pieces_that_are_joined_to_one_word_are_said(
    piece_run: Path, tmp_path: Path, caplog, post_process: str
) -> None:
    infer(
        f"common_eval.path={piece_run / 'checkpoints' / 'checkpoint_last.pt'}",
        f"common_eval.post_process={post_process}", f"decoding.results_path={tmp_path}",
    )
    said = [one.message for one in caplog.records if "each text is one word" in one.message]
    assert len(said) == (post_process == "letter")
    assert all("set common_eval.post_process=sentencepiece" in sentence for sentence in said)


def test_skipped_utterances_shift_no_name(
    stock_model: Path, tiny_data: Path, tmp_path: Path, caplog
) -> None:
    sizes = [int(row.split("\t")[1]) for row in lines_of(tiny_data / "test.tsv")[1:]]
    shortest = sorted(sizes)[len(sizes) // 2]
    results = infer(
        f"common_eval.path={stock_model}", f"task.min_sample_size={shortest}",
        f"decoding.results_path={tmp_path}",
    )
    names = [name for name, size in zip(_names(tiny_data), sizes) if size >= shortest]
    assert [record["id"] for record in _records(results)] == names
    labels = [
        label.replace(" ", "").replace("|", " ").strip()
        for label, size in zip(lines_of(tiny_data / "test.ltr"), sizes)
        if size >= shortest
    ]
    assert [record["reference"] for record in _records(results)] == labels
    assert f"{len(sizes) - len(names)} of {len(sizes)} utterances were not decoded" in caplog.text


@pytest.mark.parametrize("n_short", [1, 20])
def test_an_utterance_without_a_frame_has_an_empty_hypothesis_and_is_named(
    stock_model: Path, tiny_data: Path, tmp_path: Path, caplog, n_short: int
) -> None:
    """One among others, and a whole batch of them."""
    data = copy_split(tiny_data, tmp_path / "data")
    root, *rows = lines_of(data / "test.tsv")
    for i in range(n_short):
        path = tmp_path / f"short{i}.wav"
        soundfile.write(path, np.zeros(399 - i), 16_000)
        rows[i] = f"{path}\t{399 - i}"
    (data / "test.tsv").write_text("\n".join([root, *rows, ""]))
    results = infer(
        f"common_eval.path={stock_model}", f"task.data={data}", "dataset.batch_size=4",
        f"decoding.results_path={tmp_path / 'results'}",
    )
    records = _records(results)
    assert len(records) == len(rows)
    assert all(records[i]["hypothesis"] == "" and records[i]["reference"] for i in range(n_short))
    said = [one.message for one in caplog.records if "their hypothesis is empty" in one.message]
    assert len(said) == 1 and said[0].startswith(f"{n_short} utterances have fewer than the 400 ")
    assert records[0]["id"] in said[0]


def test_without_a_language_file_everything_is_scored_together_and_said_so(
    stock_model: Path, tiny_data: Path, tmp_path: Path, caplog
) -> None:
    data = copy_split(tiny_data, tmp_path / "data", without=("*.lang",))
    results = infer(
        f"common_eval.path={stock_model}", f"task.data={data}",
        f"decoding.results_path={tmp_path / 'results'}",
    )
    scores = json.loads((results / "scores.json").read_text(encoding="utf-8"))
    assert scores["languages"] == {}
    assert scores["all"]["n_utterances"] == len(_names(tiny_data))
    assert "test.lang does not exist: all utterances are scored together" in caplog.text


def test_a_language_and_a_letter_unknown_to_training_are_decoded_and_counted(
    stock_model: Path, tiny_data: Path, tmp_path: Path
) -> None:
    audio = tiny_data / lines_of(tiny_data / "test.tsv")[1].split("\t")[0]
    n_samples = int(lines_of(tiny_data / "test.tsv")[1].split("\t")[1])
    data = copy_split(tiny_data, tmp_path / "data")
    write_split(data, "test", [(audio, n_samples, "z z |", "swe")])
    results = infer(
        f"common_eval.path={stock_model}", f"task.data={data}",
        f"decoding.results_path={tmp_path / 'results'}",
    )
    (record,) = _records(results)
    assert (record["language"], record["reference"]) == ("swe", "zz")
    assert lines_of(results / "ref.units")[0].startswith("z z | (")


def test_a_task_chosen_by_hand_keeps_what_the_model_was_trained_with(
    stock_model: Path, tmp_path: Path
) -> None:
    chosen = infer(
        f"common_eval.path={stock_model}", "task=language_grouped_audio_finetuning",
        f"decoding.results_path={tmp_path / 'chosen'}",
    )
    own = infer(f"common_eval.path={stock_model}", f"decoding.results_path={tmp_path / 'own'}")
    for file in ("hypo.units", "scores.json", "utterances.jsonl"):
        assert (chosen / file).read_bytes() == (own / file).read_bytes()


def test_a_configuration_file_is_heeded(
    stock_model: Path, tiny_data: Path, tmp_path: Path, command_server: CommandServer
) -> None:
    copy_split(tiny_data, tmp_path / "data", without=("test.*",))
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "mine.yaml").write_text(
        "# @package _group_\ntask: {_name: audio_finetuning, data: data}\n"
        f"common_eval: {{path: {stock_model}}}\ndataset: {{gen_subset: valid}}\n"
        "decoding: {results_path: results, beam: 5}\n",
        encoding="utf-8",
    )
    command = [str(BIN / "fairseq-dro-infer"), "--config-dir", "conf", "--config-name", "mine"]
    done = command_server.run(command, tmp_path)
    assert f"data {tmp_path / 'data'}, split valid" in done.stdout
    assert len(_records(tmp_path / "results")) == len(lines_of(tiny_data / "valid.lang"))
    scores = json.loads((tmp_path / "results" / "scores.json").read_text(encoding="utf-8"))
    assert scores["decoded"]["beam"] == 5  # also where fairseq's infer.yaml says the same
    assert sorted(path.name for path in tmp_path.iterdir()) == ["conf", "data", "results"]


def test_greedy_decoding_merges_repeats_and_drops_blanks_and_padding(stock_model: Path) -> None:
    from fairseq.data import Dictionary

    from fairseq_dro.decoding.greedy import GreedyDecoder

    dictionary = Dictionary()
    a, b = (dictionary.add_symbol(letter) for letter in "ab")
    best = torch.tensor([[a, a, 0, a, b, b, 0], [b, 0, b, b, a, a, a]])  # [B, T]
    padding = torch.zeros_like(best, dtype=torch.bool)
    padding[1, 4:] = True

    def model(source: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"padding_mask": padding}

    model.get_logits = lambda _: torch.nn.functional.one_hot(best, len(dictionary)).transpose(0, 1)
    hypotheses = GreedyDecoder(dictionary).generate([model], {"net_input": {"source": None}})
    assert [h[0]["tokens"].tolist() for h in hypotheses] == [[a, a, b], [b, b]]


def test_the_score_of_an_utterance_is_the_log_probability_of_its_best_path(
    stock_model: Path, tmp_path: Path
) -> None:
    from fairseq import checkpoint_utils, tasks

    from fairseq_dro.decoding.greedy import best_path_scores

    draw = torch.Generator().manual_seed(1)
    logits = torch.randn(7, 2, 5, generator=draw)  # [T, B, V]
    lengths = torch.tensor([7, 3])
    by_hand = [
        sum(float(logits[t, b].double().log_softmax(-1).max()) for t in range(int(lengths[b])))
        for b in range(2)
    ]
    assert best_path_scores(logits, lengths).tolist() == pytest.approx(by_hand, abs=1e-5)
    records = _records(
        infer(f"common_eval.path={stock_model}", f"decoding.results_path={tmp_path}",
              "dataset.batch_size=1")
    )  # fmt: skip
    saved = checkpoint_utils.load_checkpoint_to_cpu(str(stock_model))["cfg"]
    task = tasks.setup_task(saved.task)
    (model,), _, _ = checkpoint_utils.load_model_ensemble_and_task([str(stock_model)], task=task)
    task.load_dataset("test")
    dataset = task.dataset("test")
    model.eval()
    with torch.no_grad():
        batch = dataset.collater([dataset[0]])["net_input"]
        log_probs = model.get_normalized_probs(model(**batch), log_probs=True)
    assert records[0]["score"] == pytest.approx(float(log_probs.max(-1)[0].sum()), abs=1e-2)


@pytest.fixture
def narrow_memory(monkeypatch) -> Callable[..., list[tuple[int, int]]]:
    """Let the model run out of memory above a number of samples; the sizes of what it was given."""
    from fairseq.models.wav2vec.wav2vec2_asr import Wav2VecCtc

    forward = Wav2VecCtc.forward

    def narrow(most: int, error: BaseException) -> list[tuple[int, int]]:
        shapes = []

        def limited(self, **kwargs):
            shapes.append(tuple(kwargs["source"].shape))
            if kwargs["source"].numel() > most:
                raise error
            return forward(self, **kwargs)

        monkeypatch.setattr(Wav2VecCtc, "forward", limited)
        return shapes

    return narrow


OUT_OF_MEMORY = [
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    MemoryError(),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_each_way_of_saying_that_memory_ran_out_is_understood(error: BaseException) -> None:
    from fairseq_dro.decoding.out_of_memory import is_out_of_memory

    assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("size mismatch"))
    assert not is_out_of_memory(ValueError("out of memory"))


@pytest.mark.parametrize("error", OUT_OF_MEMORY[:2], ids=lambda error: type(error).__name__)
def test_a_batch_that_does_not_fit_is_decoded_in_halves_and_nothing_is_lost(
    stock_model: Path, tiny_data: Path, narrow_memory, tmp_path: Path, caplog, error
) -> None:
    options = (f"common_eval.path={stock_model}", "dataset.max_tokens=1000000")
    alone = infer(*options, "dataset.batch_size=1", f"decoding.results_path={tmp_path / 'alone'}")
    longest = max(int(row.split("\t")[1]) for row in lines_of(tiny_data / "test.tsv")[1:])
    shapes = narrow_memory(longest, error)  # so that only single utterances fit
    halved = infer(*options, f"decoding.results_path={tmp_path / 'halved'}")
    for file in ("hypo.units", "ref.word", "utterances.jsonl", "scores.json"):
        assert (halved / file).read_bytes() == (alone / file).read_bytes()
    assert "do not fit into memory together" in caplog.text
    n_utterances = len(_names(tiny_data))
    tries = [shape for shape in shapes if shape[0] * shape[1] > longest]
    assert len(shapes) - len(tries) == n_utterances
    # a size that failed once is not tried again
    assert [a * b for a, b in tries] == sorted({a * b for a, b in tries}, reverse=True)


def test_an_utterance_that_does_not_fit_by_itself_is_named(
    stock_model: Path, tiny_data: Path, narrow_memory
) -> None:
    narrow_memory(10, OUT_OF_MEMORY[0])
    sentence = error_of(f"common_eval.path={stock_model}")
    assert f"{tiny_data / 'test.tsv'}:" in sentence and "does not fit into memory" in sentence


def test_another_error_of_the_model_is_not_taken_for_a_lack_of_memory(
    stock_model: Path, narrow_memory
) -> None:
    shapes = narrow_memory(10, RuntimeError("shape mismatch"))
    with pytest.raises(RuntimeError, match="shape mismatch"):
        infer(f"common_eval.path={stock_model}", "decoding.results_path=null")
    assert len(shapes) == 1


def test_the_columns_of_the_data_folder_are_in_the_records(
    stock_model: Path, tiny_data: Path, tmp_path: Path, caplog
) -> None:
    """Whatever the model was trained on: groups may be made of any when runs are compared."""
    data = copy_split(tiny_data, tmp_path / "data")
    n_utterances = len(_names(tiny_data))
    for suffix in ("speaker", "corpus", "accent"):
        lines = [f"{suffix}{index % 3}" for index in range(n_utterances)]
        (data / f"test.{suffix}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (data / "test.gender").write_text("f\n" + (n_utterances - 1) * "\n")  # of one it is known
    (data / "test.short").write_text("f\n")
    (data / "test.km").write_text(n_utterances * f"{200 * '7 '}\n")
    (data / "test.zip").write_bytes(n_utterances * b"\xff\n")
    (data / "test.accent.bak").write_text(n_utterances * "x\n")
    records = _records(
        infer(f"common_eval.path={stock_model}", f"task.data={data}",
              f"decoding.results_path={tmp_path / 'results'}")
    )  # fmt: skip
    assert [(record["speaker"], record["corpus"]) for record in records] == [
        (f"speaker{index % 3}", f"corpus{index % 3}") for index in range(n_utterances)
    ]
    accents = [{"accent": f"accent{index % 3}"} for index in range(n_utterances)]
    accents[0]["gender"] = "f"
    assert [record["columns"] for record in records] == accents
    left_out = [record for record in caplog.messages if "is not a column of the split" in record]
    assert len(left_out) == 2 and "test.short" in left_out[0] and "test.zip" in left_out[1]
    scores = json.loads((tmp_path / "results" / "scores.json").read_text(encoding="utf-8"))
    assert scores["group_by"] == "language" and len(scores["columns"]["accent"]) == 3


# --- why the workaround is there ---


def test_stock_infer_cannot_find_examples(tmp_path: Path, command_server: CommandServer) -> None:
    """Red when fairseq's module runs by itself: then ``compat/examples_alias.py`` can go."""
    done = command_server.run(
        [sys.executable, "-m", f"fairseq.{STOCK_INFER}", "--help"], tmp_path, check=False,
        FAIRSEQ_DRO_COMPAT="startup",
    )
    assert done.returncode != 0
    assert "ModuleNotFoundError: No module named 'examples'" in done.stdout


def test_the_score_of_a_diverged_model_is_unknown_and_not_nan():
    """NaN would be refused by everything that reads the records."""
    from fairseq_dro.decoding.processor import _finite

    assert [_finite(x) for x in (float("nan"), float("-inf"), None, -1.23456)] == [
        None, None, None, -1.2346,
    ]  # fmt: skip
