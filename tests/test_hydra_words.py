"""A command that is proposed can be typed: the shell and hydra read back what was meant."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hypothesis import example, given
from hypothesis import strategies as st

from fairseq_dro.cli import build_parser
from fairseq_dro.hydra_words import hydra_value, readable, unreadable_override
from fairseq_dro.recipes import shipped_folder
from fairseq_dro.runs.decoding_command import infer_command
from tests.stock_commands import BIN

PATHS = st.text(
    st.characters(exclude_characters="\\\x00\n\r\t", exclude_categories=["Cs"]), min_size=1
).filter(lambda text: not ("'" in text and '"' in text) and "${" not in text)


@given(text=PATHS)
@example("runs/lr=3e-5").via("a folder as hydra names them")
@example("runs/größe/データ")
@example("1e5").via("a string that hydra would take for a number")
@example("null")
@example("a, b (c) [d] {e}: 'f'")
@example('say "a"')
@example(" ")
def test_a_shell_and_hydra_read_back_the_value(text):
    word, *more = shlex.split(shlex.join([f"common_eval.path={hydra_value(text)}"]))
    override = OverridesParser.create().parse_override(word)
    assert not more and override.value() == text and isinstance(override.value(), str)


@pytest.mark.parametrize("text", ["runs/a_1/checkpoint_1_500.pt", "/data/x-y+z", "a.b@c:d", "deu"])
def test_what_needs_no_quotes_has_none(text):
    assert hydra_value(text) == text and shlex.quote(text) in (text, f"'{text}'")


@pytest.mark.parametrize("folder", ["lr=3e-5", "größe", "with blank", "a,b"])
def test_the_proposed_decoding_of_any_run_folder_can_be_typed(folder):
    run_folder = Path("/runs") / folder
    words = shlex.split(infer_command(run_folder / "checkpoint_best.pt", run_folder / "decode"))
    args = build_parser("infer").parse_intermixed_args(words[2:])
    assert (args.run, args.split) == (f"/runs/{folder}/checkpoint_best.pt", "test")
    (override,) = OverridesParser.create().parse_overrides(args.words)
    assert override.get_key_element() == "decoding.results_path"
    assert override.value() == f"/runs/{folder}/decode"


@pytest.mark.parametrize("override", ["task.data=données", "task.data=a=b", "task.data=a,b{c"])
def test_an_option_that_hydra_cannot_read_is_a_sentence_whose_fix_can_be_typed(override):
    parser = OverridesParser.create()
    with pytest.raises(HydraException):
        parser.parse_override(override)
    sentence = unreadable_override(override)
    (typed,) = shlex.split(sentence.partition(": type ")[2].partition(", with both")[0])
    assert parser.parse_override(typed).value() == override.partition("=")[2]


@pytest.mark.parametrize(
    "word", ["a.b=c", "a=[1,2", "a={x", "a='b'", "x/y=z", "~a", "--help", "a="]
)
def test_a_word_that_hydra_reads_or_that_is_no_string_stays(word):
    assert readable(word) == word


@pytest.mark.parametrize("value", ["données", "runs/lr=3e-5", "a b=c", "(x"])
def test_a_word_that_hydra_cannot_read_is_quoted(value):
    read = OverridesParser.create().parse_override(readable(f"+a.b=x{value}"))
    assert read.value() == f"x{value}" and read.get_key_element() == "+a.b"


@pytest.mark.parametrize("value", ["valid,test", "range(1,3)"])
def test_a_value_with_a_comma_is_a_sweep_where_one_is_asked_for_only(value):
    word = f"dataset.valid_subset={value}"
    assert OverridesParser.create().parse_override(readable(word)).value() == value
    assert readable(word, sweeps=True) == word


def test_fairseqs_command_says_how_to_type_it_and_ours_reads_it(tmp_path, command_server):
    recipe = ["--config-dir", str(shipped_folder()), "--config-name", "demo"]
    train = [str(BIN / "fairseq-hydra-train"), *recipe, "task.data=données"]
    done = command_server.run(train, tmp_path, check=False)
    *_, sentence = done.stdout.rstrip().splitlines()
    assert done.returncode == 2 and sentence.startswith("error: task.data=données: hydra does not")
    assert "Traceback" not in done.stdout and "ViableAlt" not in done.stdout
    infer = [str(BIN / "fairseq-dro-infer"), "common_eval.path=größe/a.pt"]
    done = command_server.run(infer, tmp_path, check=False)
    *_, sentence = done.stdout.rstrip().splitlines()
    assert sentence.startswith("error: ") and "größe/a.pt does not exist" in sentence
