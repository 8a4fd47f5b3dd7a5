"""A report as one HTML page that needs no other file and no network.

The template escapes all text (Jinja2's autoescape); only pictures, which are made here, are put in
as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fairseq_dro.report.blocks import Section

TEMPLATE = "page_template.html"


def render_page(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """The page's source."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["svg"] = Markup
    template = environment.get_template(TEMPLATE)
    return template.render(title=title, subtitle=subtitle, sections=sections)
