"""Law 1 of ``group_dro_cross_entropy``, and what its task makes of texts."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fairseq_dro.data.prompted_dataset import Recognised
from fairseq_dro.dro.sums import GROUP_SUMS, column
from fairseq_dro.errors import UserError
from fairseq_dro.models.whisper.language_tokens import EMBEDDING
from fairseq_dro.models.whisper.tokenizer import PADDING
from fairseq_dro.scoring import validation_counts
from fairseq_dro.survival.preemption import DUE, _validate_at_last
from tests.in_process import batch_of
from tests.weighted_gradients import assert_gradient_is_hand_weighted, gradients
from tests.whisper_runs import (
    MINI,
    copy_with_texts,
    group_dro_cross_entropy,
    make_whisper,
    make_whisper_task,
    stock_cross_entropy,
    whisper_corpus,
    write_mini_whisper,
)

MIXED = np.arange(6)  # the manifest's order mixes languages


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    return write_mini_whisper(tmp_path_factory.mktemp("mini_whisper"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Do not change it."""
    return whisper_corpus(tmp_path_factory.mktemp("texts"), deu="abcd", ell="αβγδ", fra="abcé")


@pytest.fixture
def task(data):
    return make_whisper_task(data)


@pytest.fixture
def model(task, whisper):
    model = make_whisper(task, whisper).train()
    for split in ("train", "valid"):
        task.load_dataset(split)
    return model


# --- law 1 ---


@pytest.mark.parametrize("sentence_avg", [True, False])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_at_uniform_q_gradients_are_bitwise_those_of_stock_cross_entropy(
    task, model, sentence_avg, label_smoothing
):
    options = {"sentence_avg": sentence_avg, "label_smoothing": label_smoothing}
    sample = batch_of(task, "train", MIXED)
    stock_loss, stock_size, stock_log = stock_cross_entropy(task, **options)(model, sample)
    expected = gradients(model, stock_loss)
    for objective in ("erm", "group_dro", "ctc_dro"):
        criterion = group_dro_cross_entropy(task, objective=objective, **options).train()
        loss, size, log = criterion(model, sample)
        assert loss.item() == pytest.approx(stock_loss.item(), rel=1e-6)
        assert size == stock_size
        for ours, theirs in zip(gradients(model, loss), expected, strict=True):
            assert torch.equal(ours, theirs)
        assert column(log[GROUP_SUMS].numpy(), "loss_nats").sum() == pytest.approx(
            stock_log["nll_loss"].item(), rel=1e-6
        ), "q sees the unsmoothed loss"


def test_at_random_q_the_gradient_is_the_hand_weighted_sum_of_stock_gradients(task, model):
    criterion = group_dro_cross_entropy(task, objective="group_dro").train()
    assert_gradient_is_hand_weighted(task, model, criterion, stock_cross_entropy(task), MIXED, 0)


def test_a_groups_loss_is_per_reference_character_by_default(task, model):
    criterion = group_dro_cross_entropy(task).train()
    assert "characters" in criterion.state.loss_unit
    _, _, log = criterion(model, batch_of(task, "train", MIXED))
    sums = log[GROUP_SUMS].numpy()
    lengths = [len(task.dataset("train").dataset.get_label(int(i))) for i in MIXED]
    assert column(sums, "characters").sum() == sum(lengths)
    tokens = [len(task.vocabulary.tokenizer.encode("a" * n)) for n in lengths]
    assert column(sums, "units").sum() >= sum(tokens), "a token of this tokenizer is a byte"


@pytest.mark.parametrize("label_smoothing", [-0.1, 1.0])
def test_label_smoothing_out_of_range_is_refused(task, model, label_smoothing):
    with pytest.raises(UserError, match="criterion.label_smoothing"):
        group_dro_cross_entropy(task, label_smoothing=label_smoothing)


# --- targets ---


def test_the_prompt_is_given_and_only_text_and_end_are_learned(task, model):
    sample = batch_of(task, "train", MIXED)
    tokenizer = task.vocabulary.tokenizer
    inputs, target = sample["net_input"]["prev_output_tokens"], sample["target"]
    for row, item in enumerate(MIXED):
        language = task.languages[int(sample["language"][row])]
        text = tokenizer.encode(task.dataset("train").dataset.get_label(int(item)))
        n_text = len(text)
        prompt = tokenizer.prompt({"deu": "de", "ell": "el", "fra": "fr"}[language])
        assert inputs[row, : 4 + n_text].tolist() == prompt + text
        assert target[row, : 4 + n_text].tolist() == [PADDING] * 3 + text + [tokenizer.end]
        assert (inputs[row, 4 + n_text :] == PADDING).all()
        assert (target[row, 4 + n_text :] == PADDING).all()
        assert int(sample["target_lengths"][row]) == n_text + 1
    assert sample["ntokens"] == int((target != PADDING).sum())
    assert (inputs == tokenizer.start).sum(1).tolist() == [1] * len(MIXED)


def test_half_precision_gets_audio_of_16_bits(data, whisper):
    whole = make_whisper_task(data)
    half = make_whisper_task(data, fp16=True)
    for task in (whole, half):
        make_whisper(task, whisper)
        task.load_dataset("train")
    audio = batch_of(whole, "train", MIXED)["net_input"]["source"]
    in_16_bits = batch_of(half, "train", MIXED)["net_input"]["source"]
    assert in_16_bits.dtype == torch.int16
    assert (in_16_bits / 32768 - audio).abs().max() <= 0.5 / 32768


def test_validation_decodes_as_many_utterances_of_each_language_as_asked_for(data, whisper):
    task = make_whisper_task(
        data, valid_utterances_per_language=2, valid_utterances_at_end=3, max_update=7, max_epoch=0
    )
    model = make_whisper(task, whisper).eval()
    for split in ("train", "valid"):
        task.load_dataset(split)
    dataset = task.dataset("valid")
    sample = batch_of(task, "valid", np.arange(len(dataset)))
    chosen = sample["recognised"] == Recognised.ALWAYS
    assert np.bincount(sample["language"][chosen]).tolist() == [2, 2, 2]
    criterion = group_dro_cross_entropy(task).eval()
    with torch.no_grad():
        _, _, log = criterion(model, sample)
    sums, further = log[GROUP_SUMS].numpy(), criterion.further_columns
    assert column(sums, "n_utterances", further).tolist() == [3, 4, 5]
    letters = [
        len(dataset.dataset.get_label(int(item)).rstrip("."))
        for item in sample["id"][chosen]
    ]
    assert column(sums, "reference_characters", further).sum() == sum(letters)
    assert column(sums, "char_errors", further).sum() > 0, "the weights are random"
    lengths = column(sums, "written_characters", further)
    assert lengths.sum() == sum(letters) + 6, "each has a full stop"
    assert not column(sums, "words_at_end", further).any()

    task.update_log.update = 7
    task.begin_valid_epoch(1, model)
    with torch.no_grad():
        _, _, log = criterion(model, sample)
    last = log[GROUP_SUMS].numpy()
    for name in validation_counts.LOWER:
        same = column(last, name, further)
        np.testing.assert_array_equal(same, column(sums, name, further), "the curve's own ones")
        assert (column(last, f"{name}_at_end", further) >= same).all()
    assert np.bincount(sample["language"][sample["recognised"] > 0]).tolist() == [3, 3, 3]
    assert (2 * column(last, "words_at_end", further) == 3 * column(last, "words", further)).all()

    without = make_whisper_task(data, valid_utterances_per_language=0)
    make_whisper(without, whisper)
    without.load_dataset("train")
    assert group_dro_cross_entropy(without).further_columns == ()


@pytest.mark.parametrize(
    ("update", "batches_done", "is_the_last"), [(7, 3, True), (6, 3, False), (6, 0, True)]
)
def test_a_validation_that_is_made_after_a_resume_knows_whether_it_is_the_runs_last(
    data, whisper, update, batches_done, is_the_last
):
    """The last of 7 updates, one before it, and the end of the only epoch."""
    def start():
        task = make_whisper_task(data, batch_seconds=1.0, max_update=7, max_epoch=1)
        model = make_whisper(task, whisper)
        task.load_dataset("train")
        group_dro_cross_entropy(task)
        return task, model, task.get_batch_iterator(task.dataset("train"), max_tokens=10**6)

    _, _, epochs = start()
    begun = epochs.next_epoch_itr()
    for _ in range(batches_done or len(begun)):
        next(begun)
    position = epochs.state_dict() | {DUE: True}
    task, model, epochs = start()
    epochs.load_state_dict(position)
    found = []

    def validate_and_save(cfg, trainer, task, position, *_):
        task.begin_valid_epoch(position.epoch, model)
        found.append(task._validates_last)

    trainer = SimpleNamespace(
        task=task, get_num_updates=lambda: update,
        cfg=SimpleNamespace(dataset=SimpleNamespace(valid_subset="valid")),
    )
    _validate_at_last(SimpleNamespace(validate_and_save=validate_and_save), trainer, position)
    assert found == [is_the_last]


# --- language tokens ---


@pytest.fixture
def with_gaelic(tmp_path):
    return whisper_corpus(tmp_path / "gaelic", deu="abcd", gla="efgh")


def test_a_language_without_token_and_without_a_choice_is_refused(with_gaelic, whisper):
    task = make_whisper_task(with_gaelic)
    with pytest.raises(UserError, match="no token for gla.*task.new_language_tokens=gla:new"):
        make_whisper(task, whisper)


@pytest.mark.parametrize("neighbour", ["cy", "cym"])
def test_a_language_can_take_the_token_of_a_neighbour(with_gaelic, whisper, neighbour):
    task = make_whisper_task(with_gaelic, new_language_tokens=f"gla:{neighbour}")
    model = make_whisper(task, whisper)
    assert model.decoder.token_embedding.num_embeddings == MINI.n_vocab
    tokenizer = task.vocabulary.tokenizer
    assert task.vocabulary.token_of("gla") == tokenizer.languages["cy"]


@pytest.mark.parametrize("choice", ["cy", "gla", "gla:", "gla:cy+"])
def test_a_choice_that_cannot_be_read_is_refused(with_gaelic, whisper, choice):
    task = make_whisper_task(with_gaelic, new_language_tokens=choice)
    with pytest.raises(UserError, match="task.new_language_tokens=.* cannot be read"):
        make_whisper(task, whisper)


def test_a_neighbour_without_token_is_refused(with_gaelic, whisper):
    task = make_whisper_task(with_gaelic, new_language_tokens="gla:chr")
    with pytest.raises(UserError, match="gla the token of chr"):
        make_whisper(task, whisper)


@pytest.mark.parametrize("choice", ["new", "gla:new", {"gla": "new"}])
def test_a_new_token_is_a_row_like_those_of_languages(with_gaelic, whisper, choice):
    task = make_whisper_task(with_gaelic, new_language_tokens=choice)
    model = make_whisper(task, whisper)
    rows = model.state_dict()[EMBEDDING]
    assert len(rows) == MINI.n_vocab + 1
    assert task.vocabulary.token_of("gla") == MINI.n_vocab
    assert task.vocabulary.tokenizer.name_of(MINI.n_vocab) == "<|gla|>"
    assert task.vocabulary.tokenizer.name_of(MINI.n_vocab - 1) == "<|30.00|>"
    again = make_whisper(make_whisper_task(with_gaelic, new_language_tokens=choice), whisper)
    other = make_whisper(
        make_whisper_task(with_gaelic, new_language_tokens=choice, seed=2), whisper
    )
    assert torch.equal(rows[-1], again.state_dict()[EMBEDDING][-1])
    assert not torch.equal(rows[-1], other.state_dict()[EMBEDDING][-1])
    known = rows[list(task.vocabulary.tokenizer.languages.values())[:-1]]
    distance = (rows[-1] - known.mean(0)) / known.std(0)
    assert distance.abs().max() < 5


# --- bounds ---


def changed(data, folder, split, *, text=None, seconds=None):
    """A copy whose first utterance has another text or length."""
    folder = copy_with_texts(data, folder)
    if text is not None:
        lines = (folder / f"{split}.wrd").read_text().splitlines()
        (folder / f"{split}.wrd").write_text("\n".join([text, *lines[1:]]) + "\n")
    if seconds is not None:
        lines = (folder / f"{split}.tsv").read_text().splitlines()
        path = lines[1].split("\t")[0]
        lines[1] = f"{path}\t{int(seconds * 16_000)}"
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize("split", ["train", "valid"])
@pytest.mark.parametrize(
    ("change", "named"),
    [({"text": "ab" * 300}, ", 601 tokens"), ({"seconds": 40}, " 40.0 s, ")],
)
def test_what_whisper_cannot_take_is_refused_or_left_out(
    data, whisper, tmp_path, split, change, named, caplog
):
    folder = changed(data, tmp_path / "data", split, **change)
    task = make_whisper_task(folder, audio_checks_per_language=0)
    make_whisper(task, whisper)
    with pytest.raises(UserError, match=rf"{split}.tsv:2 .*{named}.*task.skip_infeasible"):
        task.load_dataset(split)
    task = make_whisper_task(folder, audio_checks_per_language=0, skip_infeasible=True)
    make_whisper(task, whisper)
    task.load_dataset(split)
    dataset = task.dataset(split)
    assert len(dataset) == len(dataset.manifest) - 1 and 0 not in dataset.rows
    assert dataset.manifest.utterance_ids[0] in caplog.text


def test_an_empty_text_is_refused_by_line(data, whisper, tmp_path):
    folder = changed(data, tmp_path / "data", "train", text="")
    task = make_whisper_task(folder)
    make_whisper(task, whisper)
    with pytest.raises(UserError, match="train.wrd:1 .* empty references"):
        task.load_dataset("train")


@pytest.mark.parametrize("text", ["", "ab" * 300])
def test_in_decoding_a_reference_of_any_length_is_scored(data, whisper, tmp_path, text, caplog):
    """Even where training left out what was too long."""
    folder = changed(data, tmp_path / "data", "valid", text=text)
    task = make_whisper_task(folder, allow_unseen=True, skip_infeasible=True)
    model = make_whisper(task, whisper).eval()
    task.load_dataset("valid")
    dataset = task.dataset("valid")
    assert len(dataset) == len(dataset.manifest)
    assert ("empty references" in caplog.text) == (not text)
    sample = batch_of(task, "valid", np.array([0]))
    assert len(task.recognise(model, sample)) == 1


def test_the_task_without_a_whisper_is_refused(task):
    with pytest.raises(UserError, match="model=whisper"):
        task.load_dataset("train")
