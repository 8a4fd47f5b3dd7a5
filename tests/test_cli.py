"""The command line as a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fairseq_dro.cli import main
from tests.stock_commands import BIN, REPOSITORY, environment, run


def test_a_mistake_is_one_sentence_on_stderr_and_exit_status_2(tmp_path):
    done = subprocess.run(
        [str(BIN / "fairseq-dro"), "prepare", "espeak", "out", "--languages", "xxx"],
        cwd=tmp_path, env=environment(), text=True, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: --languages: 'xxx' is not a language")
    assert done.stderr.count("\n") == 1 and done.stdout == ""


def test_the_list_of_languages_shows_names_and_words(capsys):
    with pytest.raises(SystemExit, match="^0$"):
        main(["prepare", "espeak", "--list"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 100 and lines[5].split()[:3] == ["kat", "Georgian", "კვირა"]


def test_a_random_checkpoint_is_a_function_of_its_seed_and_is_not_written_twice(tmp_path, capsys):
    paths = [tmp_path / name for name in ("a.pt", "b.pt", "c.pt")]
    for path, seed in zip(paths, ("1", "1", "2")):
        assert main(["random-checkpoint", str(path), "--shape", "tiny", "--seed", seed]) == 0
    a, b, c = (torch.load(path, weights_only=True)["model"] for path in paths)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert any(not torch.equal(a[name], c[name]) for name in a)
    written = paths[0].stat().st_mtime_ns
    assert main(["random-checkpoint", str(paths[0]), "--shape", "tiny"]) == 0
    assert "is there already" in capsys.readouterr().out
    for other in (["--shape", "demo"], ["--shape", "tiny", "--seed", "2"]):
        assert main(["random-checkpoint", str(paths[0]), *other]) == 2
        assert "is there already and is not" in capsys.readouterr().err
    assert paths[0].stat().st_mtime_ns == written
    assert not list(tmp_path.glob("*.partial"))


def test_a_random_checkpoint_that_cannot_be_written_leaves_nothing(tmp_path, capsys, monkeypatch):
    (tmp_path / "file").touch()
    assert main(["random-checkpoint", str(tmp_path / "file" / "a.pt"), "--shape", "tiny"]) == 2

    def full_disk(_state, path: str) -> None:
        Path(path).write_text("cut")
        raise RuntimeError("[enforce fail at inline_container.cc:603] . PytorchStreamWriter failed")

    monkeypatch.setattr("torch.save", full_disk)
    assert main(["random-checkpoint", str(tmp_path / "b.pt"), "--shape", "tiny"]) == 2
    assert capsys.readouterr().err.count("cannot be written: ") == 2
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def demo(folder: Path, *options: str) -> str:
    """``scripts/demo.sh`` in the environment of these tests, with one thread."""
    command = ["bash", str(REPOSITORY / "scripts" / "demo.sh"), "--out", str(folder), *options]
    return run(command, folder.parent, VIRTUAL_ENV=str(Path(sys.executable).parent.parent)).stdout


def test_the_demo_goes_through_and_asked_again_repeats_only_the_comparison(tmp_path):
    options = ["--languages", "deu,kat", "--utterances", "24", "--updates", "3"]
    options += ["--arms", "erm,ctc_dro_uniform"]
    said = demo(tmp_path / "demo", *options, "--validate-every", "1")
    assert "kat Georgian" in said and "comparison.html" in said and "done in" in said
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "demo").rglob("*.pt")}
    assert len([path for path in written if path.name == "checkpoint_last.pt"]) == 2
    page = (tmp_path / "demo/report/report.html").read_text()
    assert "Georgian" in page and 'src="http' not in page and 'href="http' not in page
    again = demo(tmp_path / "demo", *options)
    assert "its output is in" in said and "decoding: " in said
    assert "its output is in" not in again and "decoding: " not in again
    assert "kat Georgian" in again
    assert written == {path: path.stat().st_mtime_ns for path in (tmp_path / "demo").rglob("*.pt")}


def test_the_demo_says_how_to_call_it(tmp_path):
    done = subprocess.run(
        ["bash", str(REPOSITORY / "scripts" / "demo.sh"), "--languags", "6"],
        cwd=tmp_path, text=True, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 2 and "--languages 100" in done.stderr


def test_the_demo_refuses_a_way_of_training_that_it_does_not_have(tmp_path):
    done = subprocess.run(
        ["bash", str(REPOSITORY / "scripts" / "demo.sh"), "--arms", "erm,cvar"],
        cwd=tmp_path, text=True, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 2 and "--arms" in done.stderr and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "command, message",
    [
        ("prepare table out --tabel t.tsv", "no option --tabel: did you mean --table?"),
        ("prepare table out --table=t --langages=deu", "no option --langages: did you mean --lang"),
        ("prepare tabel out", "did you mean table?"),
        ("report run --qqq 3", "no option --qqq"),
        ("prepare table out", "required: --table"),
        ("prepare table out --table t --workers x", "argument --workers: invalid int value: 'x'"),
    ],
)
def test_a_mistaken_option_is_one_sentence_with_a_suggestion(capsys, command, message):
    with pytest.raises(SystemExit) as ended:
        main(command.split())
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith("error: ") and said.count("\n") == 1 and message in said
    assert "--help`)" in said
