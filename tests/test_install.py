"""What an installation puts where, in a normal and in an editable one, and that it goes again."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stock_commands import BIN, REPOSITORY, run

HOOK_FILES = {"fairseq_dro_startup.py", "fairseq_dro_startup.pth"}
VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"
TASK = "language_grouped_audio_finetuning"
RECIPES = REPOSITORY / "examples" / "xlsr_dro" / "config"
SPEECH = REPOSITORY / "examples" / "whisper_demo"  # of the demo: megabytes that no wheel carries


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what an installation reads, for building leaves folders behind."""
    # a quote, a space and a letter outside ASCII, for the path goes into a .pth file
    folder = tmp_path_factory.mktemp("it's a chéckout")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        if (REPOSITORY / name).exists():
            shutil.copy(REPOSITORY / name, folder)
    shutil.copytree(
        REPOSITORY / "fairseq_dro",
        folder / "fairseq_dro",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for beside in (RECIPES, SPEECH):
        shutil.copytree(beside, folder / beside.relative_to(REPOSITORY))
    return folder


@pytest.fixture(scope="module")
def wheels(checkout: Path) -> dict[str, Path]:
    """The wheels that pip and uv get from the build system."""
    built = {}
    for kind in ("wheel", "editable"):
        code = f"from setuptools.build_meta import *; build_{kind}('dist_{kind}')"
        run([sys.executable, "-c", code], checkout)
        (built[kind],) = (checkout / f"dist_{kind}").glob("*.whl")
    return built


@pytest.fixture
def installed(tmp_path: Path, wheels: dict[str, Path]) -> Callable[[str], Path]:
    """Installs a wheel into an environment of its own and gives its interpreter.

    It sees the packages of this environment, by a path, which does not run their .pth files.
    """

    def install(kind: str) -> Path:
        run([sys.executable, "-m", "venv", "--without-pip", "venv"], tmp_path)
        python = tmp_path / "venv" / "bin" / "python"
        (site(python) / "rest.pth").write_text(sysconfig.get_path("purelib") + "\n")
        run([*pip(python), "install", "--no-deps", str(wheels[kind])], tmp_path)
        return python

    return install


def pip(python: Path) -> list[str]:
    return [sys.executable, "-m", "pip", "--python", str(python), "--quiet"]


def site(python: Path) -> Path:
    return python.parents[1] / "lib" / VERSION / "site-packages"


def test_a_wheel_has_the_hook_beside_the_package_and_the_tables(wheels: dict[str, Path]) -> None:
    names = set(zipfile.ZipFile(wheels["wheel"]).namelist())
    package = ("languages.tsv", "language_sets/few_shot_20.txt", "compat/user_dir.py")
    assert HOOK_FILES | {f"fairseq_dro/{name}" for name in package} <= names
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == HOOK_FILES | {"fairseq_dro"}
    assert not any(name.endswith(".ogg") for name in names)


def test_an_editable_wheel_has_the_hook_and_nothing_else(wheels: dict[str, Path]) -> None:
    names = zipfile.ZipFile(wheels["editable"]).namelist()
    assert {name for name in names if ".dist-info/" not in name} == HOOK_FILES
    assert len(names) == len(set(names))


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_an_installation_finds_the_recipes(
    kind: str, installed: Callable[[str], Path], tmp_path: Path
) -> None:
    python = installed(kind)
    code = "from fairseq_dro.recipes import *; print(find_recipe('mms').read_text())"
    assert run([str(python), "-c", code], tmp_path).stdout.strip() == (
        (RECIPES / "mms.yaml").read_text().strip()
    )
    command = [str(python), "-m", "fairseq_dro", "train", "finetun"]
    said = run(command, tmp_path, check=False).stdout
    names = ", ".join(sorted(path.stem for path in RECIPES.glob("*.yaml")))
    assert f"did you mean finetune? the recipes are {names}" in said


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_stock_commands_work_after_installing_and_nothing_stays_after_uninstalling(
    kind: str, installed: Callable[[str], Path], checkout: Path, tmp_path: Path
) -> None:
    before = {"rest.pth"}
    python = installed(kind)
    command = [str(python), str(BIN / "fairseq-hydra-train"), f"task={TASK}", "task.data=x"]
    # the user dir of this checkout beside the installed package
    command += [f"common.user_dir={REPOSITORY / 'fairseq_dro'}", "--cfg", "job"]
    assert "batch_seconds: 50" in run(command, tmp_path).stdout
    where = run([str(python), "-c", "import fairseq_dro; print(fairseq_dro.__file__)"], tmp_path)
    expected = checkout if kind == "editable" else site(python)
    assert where.stdout.strip() == str(expected / "fairseq_dro" / "__init__.py")
    run([*pip(python), "uninstall", "--yes", "fairseq-dro"], tmp_path)
    left = {name for name in os.listdir(site(python)) if name != "__pycache__"}
    assert left == before
    assert not list(site(python).glob("__pycache__/fairseq_dro*"))


SETUP = REPOSITORY / "scripts" / "setup_environment.sh"


def test_set_up_is_quick_when_the_environment_is_right() -> None:
    if not (REPOSITORY / ".venv" / ".fairseq-dro-stamp").exists():
        pytest.fail("run the tests with `bash scripts/test.sh`, which makes .venv")
    done = run(["bash", str(SETUP)], REPOSITORY, timeout=60)
    assert done.stdout == ""


@pytest.fixture
def bare_checkout(tmp_path: Path) -> Path:
    """A checkout without .venv, as far as the set-up script reads it."""
    folder = tmp_path / "checkout"
    shutil.copytree(REPOSITORY / "scripts", folder / "scripts")
    (folder / "fairseq_dro" / "compat").mkdir(parents=True)
    for name in ("setup.py", "fairseq_dro/compat/startup_hook.py"):
        shutil.copy(REPOSITORY / name, folder / name)
    return folder


def fake(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def refusal(checkout: Path, **variables: str) -> str:
    command = ["bash", str(checkout / "scripts" / "setup_environment.sh")]
    done = run(command, checkout, check=False, **variables)
    assert done.returncode == 2
    return done.stdout.strip().splitlines()[-1]


def test_a_python_that_is_no_command_is_refused(bare_checkout: Path) -> None:
    assert refusal(bare_checkout, PYTHON="python3.11b") == (
        "error: PYTHON=python3.11b is not a command: give the name or path of a Python 3.10 to 3.13"
    )


def test_a_wrong_python_is_refused(bare_checkout: Path, tmp_path: Path) -> None:
    old = fake(tmp_path / "old", 'test "$1" = -V && echo Python 3.9.1; exit 1')
    assert refusal(bare_checkout, PYTHON=old) == (
        f"error: PYTHON={old} is not a Python 3.10 to 3.13 (Python 3.9.1): "
        "set PYTHON to one that is"
    )


def test_a_python_without_venv_is_refused(bare_checkout: Path, tmp_path: Path) -> None:
    script = f'test "$2" = "import venv, ensurepip" && exit 1; exec {sys.executable} "$@"'
    answer = refusal(bare_checkout, PYTHON=fake(tmp_path / "no_venv", script))
    assert "has no venv module: install it (Debian: apt-get install" in answer
    assert f"{VERSION}-venv)" in answer


@pytest.mark.parametrize("script", ["exit 1", None])
def test_a_missing_compiler_is_named(
    script: str | None, bare_checkout: Path, tmp_path: Path
) -> None:
    compiler = fake(tmp_path / "compiler", script) if script else str(tmp_path / "nowhere")
    assert refusal(bare_checkout, PYTHON=sys.executable, CXX=compiler) == (
        "error: no working C++ compiler, which fairseq's extensions need: install one (Debian: "
        "apt-get install g++) or set CXX to its path"
    )


def test_ci_asks_for_the_real_corpus(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / ".ci", tmp_path / "checkout" / ".ci")
    done = run(["bash", "checkout/.ci/run"], tmp_path, check=False)
    assert done.returncode == 2
    assert done.stdout.startswith(f"error: {tmp_path}/shared/corpus/corpus.tsv is not there")
