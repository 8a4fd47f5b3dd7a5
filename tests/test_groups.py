"""Laws of groups: columns of the data folder, their names, and what a run and its readers say."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_dro.data.groups import groups_of
from fairseq_dro.data.manifest import read_manifest
from fairseq_dro.errors import UserError
from fairseq_dro.group_by import BY_LANGUAGE, GroupBy
from tests.in_process import batch_of, group_dro_ctc, make_task
from tests.tiny_corpus import write_tiny_corpus

LANGUAGES = ["deu", "ell", "fra"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    return write_tiny_corpus(tmp_path_factory.mktemp("plain"), {"train": 9, "valid": 4})


@pytest.fixture
def data(plain, tmp_path, monkeypatch) -> Path:
    """With a corpus (``ell`` is from two) and a gender for each utterance."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data"
    folder.mkdir()
    for path in plain.glob("*.*"):
        (folder / path.name).write_text(path.read_text())
    for split in ("train", "valid"):
        spoken = (folder / f"{split}.lang").read_text().split()
        corpora = ["mls" if i % 2 and code == "ell" else "cv" for i, code in enumerate(spoken)]
        write_column(folder, split, "corpus", corpora)
        write_column(folder, split, "gender", ["fm"[i % 2] for i in range(len(spoken))])
    return folder


def write_column(folder: Path, split: str, name: str, values: list[str]) -> Path:
    path = folder / f"{split}.{name}"
    path.write_text("".join(f"{value}\n" for value in values))
    return path


BY_CORPUS = ["deu/cv", "ell/cv", "ell/mls", "fra/cv"]


@pytest.mark.parametrize(
    "group_by, groups",
    [
        ("language", LANGUAGES),
        ("gender", ["f", "m"]),
        ("corpus", ["cv", "mls"]),
        ("language+corpus", BY_CORPUS),
        ("corpus+language", ["cv/deu", "cv/ell", "cv/fra", "mls/ell"]),
        ("gender+corpus", ["f/cv", "f/mls", "m/cv", "m/mls"]),
        ("language+corpus+gender", sorted(f"{g}/{x}" for g in BY_CORPUS for x in "fm")),
    ],
)
def test_a_group_is_what_utterances_share_in_the_columns_that_are_named(data, group_by, groups):
    path = data / "train.corpus"  # both corpora of ell with both genders
    corpora = path.read_text().split()
    spoken = (data / "train.lang").read_text().split()
    of_ell = [i for i, code in enumerate(spoken) if code == "ell"]
    for place, index in enumerate(of_ell):
        corpora[index] = "mls" if place % 3 else "cv"
    write_column(data, "train", "corpus", corpora)
    task = make_task(data, group_by=group_by)
    assert list(task.groups) == groups
    manifest = read_manifest(data, "train")
    columns = {
        "language": manifest.languages, "corpus": corpora,
        "gender": (data / "train.gender").read_text().split(),
    }  # fmt: skip
    names = group_by.split("+")
    expected = ["/".join(columns[name][i] for name in names) for i in range(len(manifest))]
    assert list(groups_of(manifest, GroupBy.parse(group_by))) == expected
    task.load_dataset("train")
    assert [groups[group] for group in task.dataset("train").groups] == expected


COLUMNS = ("language", "accent", "gender")
VALUES = st.text("abc é-_.", min_size=1).filter(str.strip)


@dataclass
class Decoded:
    values: dict[str, str]

    def value(self, column: str) -> str | None:
        return self.values.get(column)


@given(
    st.permutations(COLUMNS), st.tuples(VALUES, VALUES, VALUES),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
)  # fmt: skip
def test_a_name_says_which_value_is_which(columns, values, known):
    """Two utterances are in one group exactly if their values are equal; of one that lacks a value
    those before it are kept.
    """
    by = GroupBy(tuple(columns))
    name = by.group_of(Decoded({c: v for c, v, is_it in zip(columns, values, known) if is_it}))
    n = [*known, False].index(False)
    assert name == ("/".join(values[:n]) or None)
    if n:
        assert by.values_of(name) == list(values[:n])
        place = columns.index("language")
        assert by.language_of(name) == (values[place] if place < n else None)


@pytest.mark.parametrize(
    "group_by, group, name, label",
    [
        ("language", "kat", "Georgian", "kat Georgian"),
        ("language", "qqq", "qqq", "qqq"),
        ("language+corpus", "deu/mls", "German (mls)", "deu/mls German (mls)"),
        ("corpus+language", "mls/deu", "German (mls)", "mls/deu German (mls)"),
        ("language+accent+gender", "deu/at/f", "German (at, f)", "deu/at/f German (at, f)"),
        ("language+corpus", "deu", "German", "deu German"),
        ("accent", "kor", "kor", "kor"),
        ("accent+gender", "deu/f", "deu/f", "deu/f"),
    ],
)
def test_only_a_value_of_the_column_language_is_called_by_a_languages_name(
    group_by, group, name, label
):
    by = GroupBy.parse(group_by)
    assert (by.name_of(group), by.label_of(group)) == (name, label)
    assert by.full_name(group) == (group if name == group else f"{name} ({group})")


@pytest.mark.parametrize(
    "written", ["", "language+", "accent+accent", "a/b", "tsv", "lang", "+accent", "accent gender"]
)
def test_columns_that_make_no_group_are_refused(data, written):
    with pytest.raises(UserError, match="task.group_by="):
        make_task(data, group_by=written)


def test_groups_are_called_languages_only_if_they_are():
    words = {str(by): by.noun for by in map(GroupBy.parse, ("language", "accent", "language+x"))}
    assert words == {"language": "language", "accent": "group", "language+x": "group"}
    assert GroupBy.parse("language") == BY_LANGUAGE


@pytest.mark.parametrize("column", ["corpus", "gender"])  # read with the manifest, and for groups
@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda path: path.unlink(), r"train\.{0} does not exist"),
        (lambda path: path.write_text("cv\n"), r"train\.tsv:3 has no counterpart"),
        (
            lambda path: path.write_text("x\n" + "\n".join(path.read_text().split()[1:]) + "\n\n"),
            r"train\.tsv:\d+ has no counterpart|train\.{0}:\d+ has no counterpart",
        ),
        (
            lambda path: path.write_text("\n" + path.read_text().split("\n", 1)[1]),
            r"train\.{0}:1 .*empty.*sed -i 's/\^\$/unknown/' .*train\.{0}",
        ),
        (
            lambda path: path.write_text("a/b\n" + path.read_text().split("\n", 1)[1]),
            r"train\.{0}:1 .*'a/b' holds a slash.*sed -i 's,/,-,g' .*train\.{0}",
        ),
    ],
)
def test_a_column_that_makes_no_groups_is_named_with_its_line(data, column, break_it, said):
    break_it(data / f"train.{column}")
    with pytest.raises(UserError, match=said.format(column)):
        make_task(data, group_by=f"language+{column}").groups  # noqa: B018


@pytest.mark.parametrize("group_by", ["gender", "language+gender"])
def test_a_value_in_validation_that_training_lacks_is_named(data, group_by):
    path = data / "valid.gender"
    path.write_text(path.read_text().replace("m", "x"))
    with pytest.raises(UserError, match=r"valid\.gender:\d+ .*: in valid and not in train: "):
        make_task(data, group_by=group_by).load_dataset("valid")


def test_a_language_that_training_lacks_stops_validation_only_if_languages_are_groups(data):
    path = data / "valid.lang"
    path.write_text(path.read_text().replace("fra", "ita"))
    task = make_task(data, group_by="gender")
    for split in ("train", "valid"):
        task.load_dataset(split)
    sample = batch_of(task, "valid", np.arange(len(task.dataset("valid"))))
    spoken = [task.languages[index] for index in sample["language"].tolist()]
    assert spoken == path.read_text().split()
    with pytest.raises(UserError, match=r"in valid and not in train: 1 language \(ita\)"):
        make_task(data).load_dataset("valid")


@pytest.mark.parametrize("group_by", ["language+corpus", "gender"])
def test_the_language_decides_text_rules_and_the_group_the_weight(data, group_by):
    """Japanese is scored without spaces, whatever the groups are."""
    for split in ("train", "valid"):
        path = data / f"{split}.lang"
        path.write_text(path.read_text().replace("ell", "jpn"))
    task = make_task(data, group_by=group_by)
    task.load_dataset("train")
    dataset = task.dataset("train")
    manifest = dataset.manifest
    sample = batch_of(task, "train", np.arange(len(dataset)))
    groups = groups_of(manifest, task.group_by)
    lengths = {True: 0, False: 0}
    for i, row in enumerate(dataset.rows):
        language = task.languages[sample["language"][i]]
        assert language == manifest.languages[row]
        assert task.groups[sample["group"][i]] == groups[row]
        text = manifest.labels[row].replace(" ", "").replace("|", " ").strip()
        expected = text.replace(" ", "") if language == "jpn" else text
        assert sample["n_characters"][i] == len(expected)
        lengths[language == "jpn"] += len(text) - len(expected)
    assert lengths[True] > 0 and lengths[False] == 0


@pytest.mark.parametrize(
    "then, now, refused",
    [
        ("language+corpus", "language+corpus", False),
        ("language", "language+corpus", True),
        ("language+corpus", "gender", True),
    ],
)
def test_a_checkpoint_knows_what_a_group_was(data, then, now, refused):
    task = make_task(data, group_by=now, batch_seconds=5.0)
    task.load_dataset("train")
    group_dro_ctc(task)
    iterator = task.get_batch_iterator(task.dataset("train"), max_tokens=10**6)
    next(iterator.next_epoch_itr())
    state = copy.deepcopy(iterator.state_dict())
    state["group_dro"]["trained_as"]["task.group_by"] = then
    if not refused:
        iterator.load_state_dict(state)
        return
    with pytest.raises(UserError, match="trained with task.group_by="):
        iterator.load_state_dict(state)
