"""docs/results.md is what scripts/evidence makes of the records that are committed."""

from __future__ import annotations

import subprocess
import sys

from tests.stock_commands import REPOSITORY


def test_the_page_of_results_is_made_from_the_records(tmp_path):
    command = [sys.executable, "scripts/evidence/make.py", "--write-up"]
    page = tmp_path / "results.md"
    subprocess.run([*command, "--page", str(page)], check=True, cwd=REPOSITORY, timeout=300)
    assert page.read_text() == (REPOSITORY / "docs/results.md").read_text()
