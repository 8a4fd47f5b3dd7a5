"""The widths of XLS-R-300M through the real command and a real recipe.

The script does the work and makes the comparison; all 24 layers take it a minute or more and 6 GB
of memory, so here it runs with 2 of them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.stock_commands import REPOSITORY, run

SCRIPT = REPOSITORY / "scripts" / "benchmark_xlsr300m.py"


def test_one_update_moves_everything_but_the_convolutional_extractor(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    command = [sys.executable, str(SCRIPT), "--layers", "2", "--seconds", "1", "--folder", folder]
    result = json.loads(run([*map(str, command)], tmp_path).stdout.splitlines()[-1])
    assert result["extractor_weights"] == 28 and result["extractor_weights_moved"] == []
    assert result["other_weights"] == 42 and result["other_weights_unmoved"] == []
    assert result["peak_gigabytes"] < 4
    assert list(folder.iterdir()) == [], "the script removes its gigabytes"
