"""What ``prepare`` puts right in an utterance instead of leaving it out."""

from __future__ import annotations

from fairseq_dro.prepare.rejected import counts_as_lines

BEYOND_FULL_SCALE = "samples beyond full scale: the whole utterance is scaled to fit"
ROUNDED_DURATION = "duration up to 25 ms longer than the file: taken to the file's end"
UNFINISHED_HEADER = "header of 0 bytes: read to the file's end"


def describe_adjusted(counts: dict[str, dict[str, int]]) -> str:
    """The counts as indented lines; empty where nothing had to be put right."""
    return f"Kept, and put right:\n{counts_as_lines(counts)}" if counts else ""
