"""``dict.ltr.txt``: what fairseq reads is read, and what it stops at is one sentence."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fairseq.data import Dictionary
from hypothesis import example, given
from hypothesis import strategies as st

from fairseq_dro.data.dictionary_file import read_dictionary
from fairseq_dro.errors import UserError
from fairseq_dro.text.tags import SPECIAL_SYMBOLS
from tests.doctor_folder import doctor, edit
from tests.in_process import make_task

LINES = st.text(alphabet="ab \t\u2028\u00a0\u0085<s>5-_.#", max_size=8)
OVERWRITTEN = st.sampled_from(["a 5 #fairseq:overwrite", "<s> 5 #fairseq:overwrite", "a 5"])


@given(lines=st.lists(LINES | OVERWRITTEN, max_size=4))
@example(lines=["\u2028 5", "a -3", "b 1_0", " 5"])
@example(lines=["a 5", ""])
def test_a_fault_is_where_fairseq_stops_and_units_are_its_own(lines, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "dict.ltr.txt"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="")
    units, faults = read_dictionary(path)
    try:
        theirs = Dictionary.load(str(path))
    except (ValueError, RuntimeError):
        assert faults
        return
    assert not faults
    assert units == list(dict.fromkeys(s for s in theirs.symbols if s not in SPECIAL_SYMBOLS))


FAULTS = {
    "an empty last line": (lambda text: text + "\n", ":11: '' is empty"),
    "a tab": (lambda text: text.replace("| ", "|\t", 1), "has a tab and no blank"),
    "no count": (lambda text: "a\n" + text, ":1: 'a' has no count"),
    "a float": (lambda text: text + "x 1.5\n", "has the count '1.5', no whole number"),
    "a duplicate": (lambda text: text + "a 3\n", "names 'a', which an earlier line has"),
    "fairseq's own": (lambda text: text + "<pad> 3\n", "names '<pad>', which fairseq has itself"),
    "several": (lambda text: text + "x\ny\nz\n", "has no count (2 more such lines)"),
}


@pytest.fixture
def data(tiny_data: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_data, tmp_path / "data", ignore=shutil.ignore_patterns("wav"))


@pytest.mark.parametrize("kind", FAULTS)
def test_a_malformed_line_is_a_sentence_of_training_and_a_finding(data, capsys, kind):
    spoil, said = FAULTS[kind]
    path = data / "dict.ltr.txt"
    path.write_text(spoil(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(UserError) as refused:
        make_task(data).target_dictionary  # noqa: B018
    assert said in str(refused.value) and str(path) in str(refused.value)
    assert "expected `unit count`" in str(refused.value)
    status, found = doctor(capsys, data, "--audio-per-language", "0")
    assert status == 1 and found["bad_dictionary"]["severity"] == "error"


@pytest.mark.parametrize(
    ("encoding", "said"),
    [("utf-16", ":1 is not UTF-8 text"), ("iso8859-7", ":2 is not UTF-8 text"),
     ("utf-8-sig", "begins with a byte order mark")],
)  # fmt: skip
def test_another_encoding_is_a_sentence_of_training_and_a_finding(data, capsys, encoding, said):
    (data / "dict.ltr.txt").write_text("a 5\nα 5\n", encoding=encoding)
    with pytest.raises(UserError, match=said):
        make_task(data).target_dictionary  # noqa: B018
    status, found = doctor(capsys, data, "--audio-per-language", "0")
    assert status == 1 and found["bad_dictionary"]["fix"]


def test_what_trains_well_is_no_finding(data, capsys):
    with open(data / "dict.ltr.txt", "a", encoding="utf-8") as file:
        file.write("x -7\n\u2028 3\n")
    assert "\u2028" in make_task(data).target_dictionary.symbols
    assert "bad_dictionary" not in doctor(capsys, data, "--audio-per-language", "0")[1]


@pytest.mark.parametrize("symbol", SPECIAL_SYMBOLS)
def test_a_symbol_of_fairseq_in_a_transcript_is_refused(data, symbol):
    """torch stopped at ``<pad>``; the others were trained on as blanks or unknown units."""
    edit(data / "train.ltr", 7, lambda text: f"{text} {symbol}")
    with pytest.raises(UserError, match=rf"train\.ltr:7 .*{symbol}' is a symbol of fairseq itself"):
        make_task(data, audio_checks_per_language=0).load_dataset("train")
