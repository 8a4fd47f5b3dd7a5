#!/usr/bin/env python3
"""Pictures of a report as a desktop and a phone show it, to look at the page without a browser.

    .venv/bin/python scripts/screenshot_report.py RUN/report/report.html pictures

Writes pictures/desktop_1.png ... and pictures/phone_1.png ..., each a stretch of the page from its
top to its end, and says so where the page is wider than its window (then it scrolls sideways).
Needs Chromium or Chrome: `apt-get install chromium`, or the path of the program in $CHROMIUM.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTHS = {"desktop": 1440, "phone": 390}
HEIGHT = 3000  # of one picture
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",  # no sandbox: it may be root
    "--disable-background-networking", "--hide-scrollbars", "--virtual-time-budget=5000",
)  # fmt: skip
MEASURE = """<script>addEventListener("load", () => {
  const page = document.documentElement;
  page.dataset.size = [innerWidth, page.scrollWidth, page.scrollHeight].join(" ");
});</script>"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("page", type=Path, help="report.html")
    parser.add_argument("out", type=Path, help="folder for the pictures")
    args = parser.parse_args()
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        print(
            "no browser was found: type `apt-get install chromium`, or name one in $CHROMIUM",
            file=sys.stderr,
        )
        return 2
    if not args.page.is_file():
        print(f"{args.page} does not exist: name the report.html of a run", file=sys.stderr)
        return 2
    args.out.mkdir(parents=True, exist_ok=True)
    source = args.page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        for name, width in WIDTHS.items():
            for path in photograph(program, source, Path(folder), name, width, args.out):
                print(f"written: {path}")
    return 0


def photograph(
    program: str, source: str, folder: Path, name: str, width: int, out: Path
) -> list[Path]:
    """Pictures of the whole page in a window of some width, from top to end."""
    copy = folder / "page.html"
    copy.write_text(source.replace("</body>", f"{MEASURE}</body>"), encoding="utf-8")
    dom = chromium(program, copy, folder, width, "--dump-dom")
    window, page_width, page_height = map(int, re.search(r'data-size="([^"]+)"', dom)[1].split())
    if page_width > window:
        print(f"{name}: the page is {page_width} px wide, the window {window}", file=sys.stderr)
    written = []
    for number, top in enumerate(range(0, page_height, HEIGHT), start=1):
        height = min(HEIGHT, page_height - top)
        frame = f"<style>html {{ overflow: hidden; }} body {{ margin-top: -{top}px; }}</style>"
        copy.write_text(source.replace("</head>", f"{frame}</head>"), encoding="utf-8")
        path = (out / f"{name}_{number}.png").resolve()
        chromium(program, copy, folder, width, f"--screenshot={path}", height=height)
        written.append(path)
    return written


def chromium(
    program: str, page: Path, profile: Path, width: int, *options: str, height: int = HEIGHT
) -> str:
    """Open a page; what the program prints."""
    command = [
        program, *FLAGS, f"--user-data-dir={profile / 'profile'}",
        f"--window-size={width},{height}", *options, page.as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


if __name__ == "__main__":
    sys.exit(main())
