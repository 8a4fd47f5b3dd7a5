"""docs/options.md says what the dataclasses say."""

from __future__ import annotations

import runpy

from tests.stock_commands import REPOSITORY


def test_the_page_of_options_is_current():
    script = REPOSITORY / "scripts/make_options_page.py"
    made = runpy.run_path(str(script))["page"]()
    written = (REPOSITORY / "docs/options.md").read_text(encoding="utf-8")
    assert made == written, "type `python scripts/make_options_page.py`"
