"""What the pages name is there: tests, scripts, links and headings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.stock_commands import REPOSITORY

PAGES = sorted(
    path
    for folder in (".", "docs", "manifests", "examples/xlsr_dro")
    for path in (REPOSITORY / folder).glob("*.md")
)


def anchors(page: Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_what_a_page_names_is_there(page):
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"\b(?:tests|scripts)/[\w/]+\.(?:py|sh|tsv)\b", text)
    assert [name for name in named if not (REPOSITORY / name).exists()] == []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if not path.startswith(("http:", "https:")):
            linked = page.parent / path if path else page
            assert linked.exists(), target
            assert not anchor or anchor in anchors(linked), target


def test_the_readme_is_short_and_begins_with_install_and_training():
    lines = (REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150
    start = "\n".join(lines[:40])
    assert "setup_environment.sh" in start and "fairseq-dro train finetune" in start
