"""A report as one HTML page that needs no other file and no network.

The template escapes all text (Jinja2's autoescape); only pictures, which are made here, are put in
as they are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from fairseq_dro.report.blocks import Section


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
    environment.filters["prose"] = _prose
    template = environment.get_template("page_template.html")
    return template.render(title=title, subtitle=subtitle, sections=sections)


def _prose(text: str) -> Markup:
    """Escaped; what stands between backticks is code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
