"""Stock commands start, with the plugin registered, and each start-up workaround is still needed.

Tests marked ``startup`` need fairseq and hydra but nothing that torch does:
``scripts/test_startup_matrix.sh`` runs them on Python 3.10 to 3.13. What a Python does not need is
not collected there, so nothing is skipped.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.killed_commands import CommandServer
from tests.stock_commands import BIN, REPOSITORY, run, train_command

PYTHON = sys.executable
TASK = "language_grouped_audio_finetuning"
HYDRA_TRAIN = [str(BIN / "fairseq-hydra-train")]
TRAIN = [str(BIN / "fairseq-train")]

HYDRA_PROGRAM = """
import sys
import hydra

@hydra.main(config_name=None)
def main(cfg):
    if "+fail=1" in sys.argv:
        raise KeyError("the cause")
    print("it runs")

main()
"""

MUTABLE_DEFAULT = (
    "ValueError: mutable default <class 'hydra.conf.JobConf.JobConfig.OverrideDirname'> for field "
    "override_dirname is not allowed: use default_factory"
)

# reason, first Python that needs it, command, the exact last line of what it answers without it
REASONS = [
    ("dataclass_defaults", (3, 11), [*HYDRA_TRAIN, "--help"], MUTABLE_DEFAULT),
    (
        "plugin_scan",
        (3, 12),
        [*HYDRA_TRAIN, "--help"],
        "AttributeError: 'FileFinder' object has no attribute 'find_module'",
    ),
    (
        "typing_io",
        (3, 13),
        [*HYDRA_TRAIN, "--help"],
        "ModuleNotFoundError: No module named 'typing.io'; 'typing' is not a package",
    ),
    (
        "error_traceback",
        (3, 10),
        [PYTHON, "program.py", "+fail=1"],
        "TypeError: print_exception() missing 1 required positional argument: 'exc'"
        if sys.version_info >= (3, 13)
        else "TypeError: print_exception() got an unexpected keyword argument 'etype'",
    ),
    (
        "user_dir",
        (3, 10),
        [*TRAIN, "--user-dir", "copy/fairseq_dro", "--help"],
        "ImportError: Failed to import --user-dir={folder}/copy/fairseq_dro because the "
        "corresponding module name (fairseq_dro) is not globally unique. Please rename the "
        "directory to something unique and try again.",
    ),
]
NEEDED_HERE = [reason for reason in REASONS if sys.version_info >= reason[1]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory with a hydra program and a second copy of the plugin."""
    (tmp_path / "program.py").write_text(HYDRA_PROGRAM)
    shutil.copytree(
        REPOSITORY / "fairseq_dro",
        tmp_path / "copy" / "fairseq_dro",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    return tmp_path


def last_line(output: str) -> str:
    return output.rstrip().splitlines()[-1]


@pytest.mark.startup
def test_a_command_without_hydra_starts(tmp_path: Path) -> None:
    assert "--ema-fp32" in run([*TRAIN, "--help"], tmp_path).stdout


@pytest.mark.startup
def test_a_hydra_program_without_fairseq_starts(folder: Path) -> None:
    assert "it runs" in run([PYTHON, "program.py"], folder).stdout


@pytest.mark.startup
def test_the_task_is_known_without_a_user_dir(tmp_path: Path) -> None:
    command = [*HYDRA_TRAIN, f"task={TASK}", "task.data=x", "--cfg", "job"]
    assert "batch_seconds: 50" in run(command, tmp_path).stdout


@pytest.mark.startup
def test_importing_fairseq_registers_the_plugin(tmp_path: Path) -> None:
    code = (
        "import fairseq; from fairseq.tasks import TASK_REGISTRY as t; "
        "from fairseq.criterions import CRITERION_REGISTRY as c; "
        f"assert '{TASK}' in t and 'group_dro_ctc' in c; print('known')"
    )
    assert last_line(run([PYTHON, "-c", code], tmp_path).stdout) == "known"


@pytest.mark.startup
@pytest.mark.parametrize(
    "module", ["fairseq_dro", f"fairseq_dro.tasks.{TASK}", "fairseq_dro.data.grouped_dataset"]
)
def test_the_order_of_imports_does_not_matter(module: str, tmp_path: Path) -> None:
    code = (
        f"import {module}; import fairseq; from fairseq.tasks import TASK_REGISTRY; "
        f"assert '{TASK}' in TASK_REGISTRY; print('known')"
    )
    assert last_line(run([PYTHON, "-c", code], tmp_path).stdout) == "known"


@pytest.mark.startup
@pytest.mark.parametrize("reason", NEEDED_HERE, ids=[reason[0] for reason in NEEDED_HERE])
def test_without_its_workaround_the_command_fails_as_cited(reason: tuple, folder: Path) -> None:
    name, _, command, answer = reason
    done = run(command, folder, check=False, FAIRSEQ_DRO_COMPAT=f"-{name}")
    assert last_line(done.stdout) == answer.format(folder=folder)
    assert done.returncode == 1


@pytest.mark.startup
def test_compat_0_leaves_hydra_and_fairseq_as_they_are(folder: Path) -> None:
    done = run([*HYDRA_TRAIN, "--help"], folder, check=False, FAIRSEQ_DRO_COMPAT="0")
    if sys.version_info >= (3, 11):
        assert last_line(done.stdout) == MUTABLE_DEFAULT
        return
    assert done.returncode == 0
    # an uninstalled checkout is one without the hook: the user dir alone must do
    command = [*TRAIN, "--user-dir", "copy/fairseq_dro", "--task", TASK, "--help"]
    assert "--ema-fp32" in run(command, folder, FAIRSEQ_DRO_COMPAT="0").stdout


@pytest.mark.startup
def test_compat_startup_registers_nothing_until_the_user_dir_asks(tmp_path: Path) -> None:
    command = [*TRAIN, "--task", TASK, "--help"]  # argparse checks the task before it helps
    stock = run(command, tmp_path, check=False, FAIRSEQ_DRO_COMPAT="startup")
    assert stock.returncode == 2 and "invalid choice: 'language_grouped" in stock.stdout
    command += ["--user-dir", str(REPOSITORY / "fairseq_dro")]
    assert "--ema-fp32" in run(command, tmp_path, FAIRSEQ_DRO_COMPAT="startup").stdout


@pytest.mark.startup
def test_installed_and_named_as_user_dir_is_no_error(tmp_path: Path) -> None:
    command = [*TRAIN, "--user-dir", str(REPOSITORY / "fairseq_dro"), "--task", TASK, "--help"]
    answer = run(command, tmp_path).stdout
    assert "--ema-fp32" in answer and "is not imported" not in answer


@pytest.mark.startup
def test_a_second_copy_as_user_dir_is_named_and_not_imported(folder: Path) -> None:
    command = [*TRAIN, "--user-dir", "copy/fairseq_dro", "--task", TASK, "--help"]
    answer = run(command, folder).stdout
    assert "--ema-fp32" in answer
    assert "common.user_dir=copy/fairseq_dro is not imported" in answer
    assert str(REPOSITORY / "fairseq_dro") in answer


@pytest.mark.startup
def test_an_error_in_a_hydra_program_shows_itself(folder: Path) -> None:
    done = run([PYTHON, "program.py", "+fail=1"], folder, check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("Traceback") and "KeyError: 'the cause'" in done.stdout
    assert "/hydra/" not in done.stdout and "another exception" not in done.stdout
    full = run([PYTHON, "program.py", "+fail=1"], folder, check=False, HYDRA_FULL_ERROR="1")
    assert last_line(full.stdout) == "KeyError: 'the cause'" and "/hydra/" in full.stdout


@pytest.mark.startup
def test_a_mistake_in_an_option_is_said_by_hydra(tmp_path: Path) -> None:
    done = run([*HYDRA_TRAIN, "task.no_such_option=1"], tmp_path, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert "Could not override 'task.no_such_option'" in done.stdout


@pytest.mark.startup
def test_a_defect_of_the_plugin_shows_itself(folder: Path) -> None:
    tasks = folder / "copy" / "fairseq_dro" / "tasks" / "__init__.py"
    tasks.write_text(tasks.read_text() + "\nraise RuntimeError('a defect of the plugin')\n")
    done = run([PYTHON, "-c", "import fairseq"], folder, check=False, PYTHONPATH=extended("copy"))
    assert last_line(done.stdout) == "RuntimeError: a defect of the plugin"


@pytest.mark.startup
def test_a_checkout_that_was_moved_away_is_named(tmp_path: Path) -> None:
    code = (
        "import sys; sys.meta_path[:] = [finder for finder in sys.meta_path"
        " if type(finder).__name__ != 'PackageFinder']; import importlib.util; "
        "importlib.util.find_spec('hydra'); print('alive')"
    )
    answer = run([PYTHON, "-c", code], tmp_path).stdout
    assert "fairseq_dro is installed but its folder cannot be found" in answer
    assert last_line(answer) == "alive"


@pytest.mark.startup
def test_a_program_that_uses_neither_gets_one_module_more(tmp_path: Path) -> None:
    code = "import sys, json, argparse, dataclasses, logging; print(*sorted(sys.modules))"
    ours = [n for n in run([PYTHON, "-c", code], tmp_path).stdout.split() if "fairseq" in n]
    assert ours == ["fairseq_dro_startup"]
    hook = REPOSITORY / "fairseq_dro" / "compat" / "startup_hook.py"
    code = (
        "import os, sys, types; before = set(sys.modules); hook = types.ModuleType('hook'); "
        f"exec(open({str(hook)!r}).read(), hook.__dict__); hook.find_package_in('.'); "
        "hook.install(); print(len(sys.meta_path), set(sys.modules) - before)"
    )
    assert run([PYTHON, "-S", "-c", code], tmp_path).stdout.split("\n")[0] == "5 set()"


@pytest.mark.startup
def test_pytest_starts_beside_the_pytest_plugin_of_hydra(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text("def test_one(): pass\n")
    assert "1 passed" in run([PYTHON, "-m", "pytest", "-p", "no:cacheprovider"], tmp_path).stdout


def test_an_error_inside_training_shows_itself(
    tiny_data: Path, tiny_checkpoint: Path, tmp_path: Path, command_server: CommandServer
) -> None:
    data = shutil.copytree(tiny_data, tmp_path / "data")
    for manifest in data.glob("train.tsv"):
        root, *rows = manifest.read_text().splitlines()
        rows = [row.replace(".wav", ".gone.wav") for row in rows]
        manifest.write_text("\n".join([root, *rows, ""]))
    command = train_command(data, tiny_checkpoint, task___name="audio_finetuning")
    command = [c for c in command if not c.startswith(("task.batch_seconds", "criterion"))]
    command += ["criterion=ctc", "+task.labels=ltr"]
    done = command_server.run(command, tmp_path / "run", check=False, FAIRSEQ_DRO_COMPAT="1")
    assert done.returncode == 1
    error, hint, _ = done.stdout.partition("\nSet the environment variable HYDRA_FULL_ERROR=1")
    assert hint and "Traceback" in error and ".gone.wav" in last_line(error)
    assert "etype" not in done.stdout


def extended(folder: str) -> str:
    """`folder` in front of the caller's PYTHONPATH."""
    return os.pathsep.join([folder, *filter(None, [os.environ.get("PYTHONPATH")])])
