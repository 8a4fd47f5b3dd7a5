"""``fairseq-dro watch``: from a run's own files, on terminals of any size, until the run ends."""

from __future__ import annotations

import io
import threading
import time

import pytest
from rich.console import Console

from fairseq_dro import cli
from fairseq_dro.runs.history import GROUP_WEIGHTS_FILE, append_record
from fairseq_dro.runs.progress import Progress, write_progress
from fairseq_dro.survival.folder_lock import take
from fairseq_dro.watch.seen_run import SeenRun
from fairseq_dro.watch.table import view
from tests.planted_runs import MANY, many_languages, plant_training

FAR = Progress(
    update=164, of=300, loss=84.8, seconds_per_update=1.7, seconds_left=230.0, time=time.time()
)


def shown(seen, columns, lines=None):
    console = Console(file=io.StringIO(), width=columns, height=lines or 25)
    console.print(view(seen, columns, lines))
    return console.file.getvalue().rstrip("\n").split("\n")


def test_it_shows_languages_by_cer_with_q_how_far_it_is_and_what_is_left(tmp_path):
    folder = plant_training(tmp_path / "run", MANY, updates=100)
    write_progress(folder, FAR)
    seen = SeenRun(folder)
    lock = take(folder, named="run", instead="another")
    seen.look()
    lines = shown(seen, 100)
    text = " ".join(" ".join(lines).split())
    assert "update 164 of 300 · going · 3 min 50 s left · 1.7 s/update" in text
    last = seen.validations[-1]
    worst = last["worst_language"]
    assert f"worst {worst} {100 * last['worst_cer']:.1f}" in text
    rows = [line.split()[0] for line in lines if line.split()[0] in MANY]
    by_cer = sorted(MANY, key=lambda code: -last["languages"][code]["cer"])
    assert rows == by_cer
    append_record(folder / GROUP_WEIGHTS_FILE, {"update": 170, "q": dict.fromkeys(MANY, 0.777)})
    with open(folder / GROUP_WEIGHTS_FILE, "a") as stream:
        stream.write('{"update": 171, "q": {"deu"')  # as it is being written
    seen.look()
    assert sum("0.777" in line for line in shown(seen, 100)) == len(MANY)
    lock.release()
    seen.look()
    assert "stopped" in shown(seen, 100)[1] and not seen.is_going
    write_progress(folder, Progress(update=300, of=300))
    seen.look()
    assert "finished" in shown(seen, 100)[1]


def test_groups_that_are_no_languages_are_called_by_their_column(tmp_path):
    folder = plant_training(tmp_path / "run", ["kor", "us"], updates=100)
    history = folder / "history.jsonl"
    text = history.read_text(encoding="utf-8")
    history.write_text(text.replace('"group_by": "language"', '"group_by": "accent"'))
    seen = SeenRun(folder)
    seen.look()
    words = " ".join(shown(seen, 100)).split()
    assert "accent" in words and "kor" in words and not {"language", "Korean"} & set(words)


@pytest.mark.parametrize("columns", [30, 36, 44, 60, 80, 140])
@pytest.mark.parametrize("lines", [12, 24])
def test_it_fits_a_terminal_of_any_size_a_phones_too(tmp_path, columns, lines):
    folder = plant_training(tmp_path / "a_run", many_languages(60), updates=100)
    write_progress(folder, FAR)
    seen = SeenRun(folder)
    seen.look()
    seen.folder = seen.folder.relative_to(tmp_path)
    got = shown(seen, columns, lines)
    assert all(len(line.rstrip()) <= columns for line in got)
    assert len(got) <= lines + (2 if columns < 44 else 0)  # the head takes more lines there
    worst = seen.validations[-1]["worst_language"]
    assert any(line.startswith(worst) and "0." in line for line in got)
    assert any(line.startswith("language") and " q" in line for line in got)
    assert got[-1].startswith("and ")


def test_it_ends_with_the_run_and_prints_once_where_there_is_no_terminal(tmp_path, capsys):
    folder = plant_training(tmp_path / "run", MANY, updates=100)
    write_progress(folder, FAR)
    assert cli.main(["watch", str(folder)]) == 0
    assert "update 164 of 300" in " ".join(capsys.readouterr().out.split())


def test_on_a_terminal_it_follows_the_files_until_the_run_ends(tmp_path, monkeypatch):
    import rich.console

    folder = plant_training(tmp_path / "run", MANY, updates=100)
    write_progress(folder, FAR)
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=60, height=30)
    monkeypatch.setattr(rich.console, "Console", lambda: terminal)
    lock = take(folder, named="run", instead="another")

    def continues_and_ends():
        time.sleep(0.3)
        write_progress(folder, Progress(update=299, of=300))
        time.sleep(0.3)
        lock.release()

    run = threading.Thread(target=continues_and_ends)
    run.start()
    assert cli.main(["watch", str(folder), "--every", "0.1"]) == 0
    run.join()
    assert "update 164" in screen.getvalue() and "update 299" in screen.getvalue()
    assert "stopped" in screen.getvalue()


def test_before_the_first_validation_it_says_so_and_a_mistake_is_one_sentence(tmp_path, capsys):
    (tmp_path / "run").mkdir()
    write_progress(tmp_path / "run", FAR)
    assert cli.main(["watch", str(tmp_path / "run")]) == 0
    assert "no validation yet" in capsys.readouterr().out
    for folder in (tmp_path / "none", tmp_path):
        assert cli.main(["watch", str(folder)]) == 2
        assert capsys.readouterr().err.startswith(f"error: {folder} ")
