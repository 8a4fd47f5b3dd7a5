"""docs/results.md is what scripts/evidence makes of the records that are committed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.stock_commands import REPOSITORY

RECORDS = REPOSITORY / "docs/evidence"


@pytest.fixture(scope="module")
def planned() -> list[str]:
    """Commands of all runs, as ``evidence.sh --list`` prints them."""
    command = [sys.executable, "scripts/evidence/make.py", "--list"]
    done = subprocess.run(command, cwd=REPOSITORY, timeout=300, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_plan_decodes_every_run_that_it_trains_and_makes_none_twice(planned):
    trained = [line for line in planned if line.startswith("fairseq-dro train ")]
    assert len(trained) == len(set(trained)) == sum(" infer " in line for line in planned) > 80


def test_the_runs_that_are_committed_are_those_of_the_plan(planned):
    of_plan = {
        word.removeprefix("hydra.run.dir=runs/evidence/runs/")
        for line in planned for word in line.split() if word.startswith("hydra.run.dir=")
    }  # fmt: skip
    committed = {
        str(path.relative_to(RECORDS).parent.parent)
        for path in RECORDS.glob("*/*/*/decode_test/scores.json")
    }
    assert committed == of_plan


def test_the_page_of_results_is_made_from_the_records(tmp_path):
    command = [sys.executable, "scripts/evidence/make.py", "--write-up"]
    page = tmp_path / "results.md"
    subprocess.run([*command, "--page", str(page)], check=True, cwd=REPOSITORY, timeout=300)
    assert page.read_text() == (REPOSITORY / "docs/results.md").read_text()
