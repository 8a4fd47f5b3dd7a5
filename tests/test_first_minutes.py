"""What a person sees of a training run: on terminals of several sizes, and off one."""

from __future__ import annotations

import logging
import re
from types import SimpleNamespace

import numpy as np
import pytest

from fairseq_dro.runs.durations import in_one_unit, in_words
from fairseq_dro.runs.progress import read_progress
from fairseq_dro.training import terminal
from fairseq_dro.training.run_progress import RunProgress
from fairseq_dro.training.terminal import LOG_ONLY, TerminalHandler
from tests.killed_commands import at
from tests.stock_commands import BIN, REPOSITORY

UPDATES = 4


@pytest.fixture
def demo(tiny_data, tiny_checkpoint):
    """A short run of the demo recipe."""
    return [
        str(BIN / "fairseq-hydra-train"),
        "--config-dir", str(REPOSITORY / "examples/xlsr_dro/config"), "--config-name", "demo",
        f"task.data={tiny_data}", f"model.w2v_path={tiny_checkpoint}", "common.log_interval=2",
        f"optimization.max_update={UPDATES}", "checkpoint.save_interval_updates=3",
        "criterion.objective=erm",
    ]  # fmt: skip


def lines_shown(written):
    """The lines as a terminal keeps them: after a carriage return a line is overwritten."""
    shown = []
    for line in written.replace("\r\n", "\n").split("\n"):
        kept = ""
        for part in line.split("\r"):
            kept = part + kept[len(part):]
        shown.append(kept.rstrip())
    return shown


def test_a_start_is_six_lines_then_one_bar_and_the_rest_is_in_the_log(
    demo, command_server, tmp_path
):
    done = command_server.run(demo, tmp_path, columns=120)
    shown = lines_shown(done.stdout)
    names = [line.split("  ")[0] for line in shown[:6]]
    assert names == ["run folder", "recipe", "data", "model", "training", "watch"]
    folder = tmp_path / "runs/demo/erm"
    assert f"{folder} (new)        log: hydra_train.log" in shown[0]
    assert "3 languages, 126 utterances" in shown[2]
    assert "fairseq-dro watch runs/demo/erm" in shown[5] and "Ctrl-C is safe" in shown[5]
    # after the six lines nothing stays but whole lines: the bar is written over itself
    assert [line.split(",")[0].split("  ")[0] for line in shown[6:] if line] == [
        "update 3", "update 4", "finished"
    ]  # fmt: skip
    bars = re.findall(r"\rupdate (\d+)/4 ", done.stdout)
    assert [int(n) for n in bars] == sorted(map(int, bars)) and int(bars[-1]) == UPDATES
    log = (folder / "hydra_train.log").read_text()
    assert "'_name': None, 'common'" in log and "Wav2VecCtc(" in log and "py.warnings" in log
    progress = read_progress(folder)
    assert (progress.update, progress.of, progress.validating) == (UPDATES, UPDATES, None)


def test_ctrl_c_and_the_same_command_says_what_is_made_again_in_lines_on_0_columns(
    demo, command_server, tmp_path
):
    died = command_server.run(
        demo, tmp_path, columns=40, die=at("update_ends", UPDATES, action="SIGINT")
    )
    assert died.returncode == 130
    bars = re.findall(r"\r(update \d+/[^\r\n]*)", died.stdout)
    assert bars and all(len(bar.rstrip()) <= 40 for bar in bars)
    assert any(line.startswith("interrupted at update 4") for line in lines_shown(died.stdout))
    again = lines_shown(command_server.run(demo, tmp_path, columns=0).stdout)
    assert "(resumes)" in again[0]
    resumes = next(line for line in again if line.startswith("resumes"))
    assert resumes.endswith("after update 3; update 4 was not saved and is made again")
    assert sum(line.startswith("update 4/4 | loss ") for line in again) == 1


def test_off_a_terminal_there_is_a_readable_line_per_log_interval(demo, command_server, tmp_path):
    done = command_server.run([*demo, "hydra.run.dir=.", "hydra.output_subdir=null"], tmp_path)
    readable = re.findall(r"^update (\d+)/4 \| loss ", done.stdout, re.MULTILINE)
    assert readable == ["2", "4"] and "\r" not in done.stdout and len(done.stdout) < 2500


# --- parts ---


def progress_of(tmp_path, update=164, of=300, q=(0.19, 0.15), **options):
    trainer = SimpleNamespace(get_num_updates=lambda: update)
    state = SimpleNamespace(groups=["ell", "deu"], q=np.array(q))
    return RunProgress(tmp_path, trainer, state, of, bar=False, lines=False, **options)


def test_a_narrow_terminal_loses_the_parts_that_matter_least(tmp_path):
    progress = progress_of(tmp_path)
    progress.validating("valid", 0, 1)
    progress.validated("valid", {"mean_cer": 98.2, "worst_cer": 100.0}, "bel")
    progress._loss, progress._seconds, progress._first = 84.8, 1.7, 100
    whole = progress.text()
    assert re.fullmatch(
        r"update 164/300 \| loss 84.8 \| q max ell 0.19 \| 1.7 s/update \| \d+ s left \| "
        r"valid CER 98.2 \(worst bel 100\)", whole,
    )  # fmt: skip
    for columns in (120, 80, 60, 40, 20, 5):
        text = progress.text(columns)
        assert text.startswith("update 164/300") and (len(text) < columns or " | " not in text)
    assert "valid CER" in progress.text(60) and "s/update" not in progress.text(80)


def test_seconds_of_an_update_leave_validations_out_and_the_time_left_does_not(
    tmp_path, monkeypatch
):
    now = [0.0]
    monkeypatch.setattr("fairseq_dro.training.run_progress.time.monotonic", lambda: now[0])
    made = [0]
    trainer = SimpleNamespace(get_num_updates=lambda: made[0])
    progress = RunProgress(tmp_path, trainer, None, 10, bar=False, lines=False)
    now[0], made[0] = 2.0, 1
    progress.step()
    now[0], made[0] = 4.0, 2
    progress.validating("valid", 0, 2)
    now[0] = 10.0
    progress.validated("valid", {}, None)
    progress.step()
    now[0], made[0] = 12.0, 3
    progress.step()
    assert progress._seconds == pytest.approx(2.0)
    assert progress.seconds_left == pytest.approx(7 * 12 / 3)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (230, "3 min 50 s"), (3599.7, "1 h 00 min"),
     (7500, "2 h 05 min"), (97_200, "1 d 3 h")],
)  # fmt: skip
def test_a_time_is_said_in_the_units_that_fit(seconds, words):
    assert in_words(seconds) == words
    assert [in_one_unit(s) for s in (24, 2970, 44_280)] == ["24 s", "49.5 min", "12.3 h"]


def test_the_terminal_shows_our_news_and_each_warning_of_a_start_once_per_run_folder(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)

    def start(*, trained):
        monkeypatch.setattr(TerminalHandler, "starting", not trained)
        handler = TerminalHandler()
        for name, level, text, extra in (
            ("fairseq_cli.train", logging.INFO, "{'_name': None}", {}),
            ("py.warnings", logging.WARNING, "old call", {}),
            ("fairseq_dro.tasks.x", logging.INFO, "news", {}),
            ("fairseq_dro.tasks.x", logging.INFO, "detail", LOG_ONLY),
            ("fairseq_dro.tasks.x", logging.WARNING, "2 utterances\nare left out", {}),
            ("fairseq.trainer", logging.WARNING, "of fairseq", {}),
            ("fairseq.trainer", logging.ERROR, "broken", {}),
        ):
            record = logging.LogRecord(name, level, "", 0, text, (), None)
            record.__dict__.update(extra)
            handler.handle(record)
        logging.captureWarnings(False)
        return capsys.readouterr().err.splitlines()

    first = start(trained=False)
    assert first == ["news", "warning: 2 utterances", "are left out", "warning: of fairseq",
                     "error: broken"]  # fmt: skip
    assert start(trained=False) == ["news", "error: broken"]
    assert start(trained=True) == first
    said = (tmp_path / terminal.WARNINGS_FILE).read_text().splitlines()
    assert said == ["2 utterances are left out", "of fairseq"]
