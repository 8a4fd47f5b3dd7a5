"""docs/results.md is what scripts/evidence makes of the records that are committed."""

from __future__ import annotations

import subprocess
import sys

from tests.stock_commands import REPOSITORY


def test_the_plan_has_a_command_for_every_run():
    command = [sys.executable, "scripts/evidence/make.py", "--list"]
    done = subprocess.run(command, cwd=REPOSITORY, timeout=300, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    trained = [line for line in lines if line.startswith("fairseq-dro train ")]
    assert len(trained) == len(set(trained)) == sum(" infer " in line for line in lines) > 100


def test_the_page_of_results_is_made_from_the_records(tmp_path):
    command = [sys.executable, "scripts/evidence/make.py", "--write-up"]
    page = tmp_path / "results.md"
    subprocess.run([*command, "--page", str(page)], check=True, cwd=REPOSITORY, timeout=300)
    assert page.read_text() == (REPOSITORY / "docs/results.md").read_text()
