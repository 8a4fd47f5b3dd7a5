"""Manifests as bytes and offsets: the same strings, units and items as Python and fairseq read."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import torch
from fairseq.tasks.audio_finetuning import AudioFinetuningConfig, AudioFinetuningTask
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from fairseq_dro.checks.label_tally import LabelTally
from fairseq_dro.data.lines import Categories, PathStems, TextLines
from fairseq_dro.data.manifest import read_manifest
from fairseq_dro.data.units import UnitNumbers
from fairseq_dro.errors import UserError
from tests.in_process import make_task
from tests.tiny_corpus import write_split

CHARACTERS = st.sampled_from(list("ab|é가 \t\n\r\v\x1c\x85\u3000😀"))
TEXTS = st.text(CHARACTERS, max_size=60)
LINES = st.lists(st.text(st.sampled_from(list("ab|é 가\u3000😀")), max_size=12), max_size=8)


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_lines_are_those_that_python_reads(text):
    expected = [line.strip() for line in io.TextIOWrapper(io.BytesIO(text.encode()), "utf-8")]
    lines = TextLines.of_text(text.encode())
    assert list(lines) == expected
    assert [lines[i] for i in range(len(lines))] == expected == lines
    assert [lines[i] for first, last in lines.chunks(7) for i in range(first, last)] == expected


@settings(max_examples=100, deadline=None)
@given(LINES, st.integers(1, 30))
def test_units_and_repeats_are_those_of_splitting_each_line(lines, chunk_bytes):
    numbers = UnitNumbers()
    found, repeats = [], []
    for chunk in numbers.chunks(TextLines.of_strings(lines), chunk_bytes):
        assert chunk.first == len(found)
        bounds = zip(chunk.starts[:-1].tolist(), chunk.starts[1:].tolist())
        found += [[numbers.name(n) for n in chunk.units[a:b].tolist()] for a, b in bounds]
        repeats += chunk.repeats_per_line().tolist()
    expected = [line.split() for line in lines]
    assert found == expected
    assert repeats == [sum(a == b for a, b in zip(line, line[1:])) for line in expected]


@given(st.text(st.sampled_from("a1./:"), min_size=1, max_size=8))
def test_ids_are_paths_without_suffix_as_pathlib_has_it(path):
    file, *ends = path.rsplit(":", 2)
    if not (file and len(ends) == 2 and all(end.isdigit() for end in ends)):
        file = path  # no slice of a zip
    try:
        expected = str(PurePosixPath(file).with_suffix(""))
    except ValueError:  # the path has no name
        return
    stems = PathStems([path])
    assert stems[0] == expected
    assert list(stems) == [stems[0]]


@given(st.lists(st.sampled_from(["deu", "ell", "", "e\u3000", "e"])))
def test_categories_are_the_strings_they_were_made_of(strings):
    for categories in (Categories.of(strings), Categories.of(TextLines.of_strings(strings))):
        expected = strings if categories == strings else [line.strip() for line in strings]
        assert categories == expected and list(categories) == expected
        assert set(categories.names) == set(expected) and categories[1:3] == expected[1:3]
        assert all(categories.index(name) == expected.index(name) for name in expected)
    with pytest.raises(ValueError):
        categories.index("fra")


@pytest.mark.parametrize("min_sample_size", [None, 15_000])
def test_items_are_bitwise_those_of_stock_data_sets(tiny_data, min_sample_size):
    options = dict(normalize=True, min_sample_size=min_sample_size)
    ours = make_task(tiny_data, **options)
    stock = AudioFinetuningTask(OmegaConf.structured(
        AudioFinetuningConfig(data=str(tiny_data), labels="ltr", tpu=False, **options)
    ))  # fmt: skip
    for task in (ours, stock):
        task.load_dataset("train")
    ours, stock = ours.dataset("train"), stock.dataset("train")
    assert len(ours) == len(stock) and (len(ours) < 126) == (min_sample_size is not None)
    np.testing.assert_array_equal(ours.sizes, stock.sizes)
    for index in range(len(ours)):
        a, b = ours[index], stock[index]
        assert a["id"] == b["id"]
        assert torch.equal(a["source"], b["source"]) and torch.equal(a["label"], b["label"])
    assert ours.size(3) == stock.size(3)


def test_the_language_token_stands_before_each_target(tiny_data, tmp_path):
    symbols = (tiny_data / "dict.ltr.txt").read_text() + "[deu] 1\n[ell] 1\n[fra] 1\n"
    for path in tiny_data.glob("train.*"):
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "dict.ltr.txt").write_text(symbols)
    task = make_task(tmp_path, language_token=True)
    task.load_dataset("train")
    dataset = task.dataset("train")
    for index in (0, 7, 30):
        text = task.target_dictionary.string(dataset[index]["label"])
        manifest = dataset.manifest
        assert text == f"[{manifest.languages[index]}] {manifest.labels[index]}"
    assert (task._frames_needed == LabelTally.of(dataset.manifest).needed + 1).all()


def write_lines(folder: Path, n: int) -> Path:
    text = "h e l l o | ж ж |"
    rows = [
        (Path(f"a/long/enough/path/of_{i}.wav"), 16_000 + i, text * (1 + i % 3), "deu")
        for i in range(n)
    ]
    write_split(folder, "train", rows)
    return folder


def test_a_manifest_keeps_little_more_than_the_bytes_of_its_files(tmp_path):
    write_lines(tmp_path, 20_000)
    n_bytes = sum(path.stat().st_size for path in tmp_path.glob("train.*"))
    read_manifest(tmp_path, "train")
    tracemalloc.start()
    manifest = read_manifest(tmp_path, "train")
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1.1 * n_bytes + 32 * len(manifest)  # a list of strings: 57 bytes and 8 for each
    assert peak < 60e6


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a.wav", "train.tsv:102 cannot be read"),
        ("a.wav\t12x", "train.tsv:102 cannot be read"),
        ("a.wav\t-4", "train.tsv:102 cannot be read"),
        ("a.wav\t", "train.tsv:102 cannot be read"),
        ("a.wav\t5\t6", "train.tsv:102 cannot be read"),
        ("a.wav\t" + "9" * 40, "train.tsv:102 cannot be read"),
        ("a.wav\t0", "train.tsv:102 says that a.wav has 0 samples"),
    ],
)
def test_the_line_that_cannot_be_read_is_named(tmp_path, row, said):
    write_lines(tmp_path, 200)
    lines = (tmp_path / "train.tsv").read_text().splitlines()
    lines[101] = row
    (tmp_path / "train.tsv").write_text("\n".join(lines))
    with pytest.raises(UserError, match=said):
        read_manifest(tmp_path, "train")


def test_text_that_is_not_utf_8_is_named_by_its_line(tmp_path):
    write_lines(tmp_path, 10)
    data = (tmp_path / "train.ltr").read_bytes().splitlines(keepends=True)
    (tmp_path / "train.ltr").write_bytes(b"".join([*data[:6], b"h \xff e\n", *data[7:]]))
    with pytest.raises(UserError, match=r"train\.ltr:7 is not UTF-8 text"):
        read_manifest(tmp_path, "train")
