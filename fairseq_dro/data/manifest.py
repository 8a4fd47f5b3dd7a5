"""Read one split of a data folder: ``{split}.tsv``, ``.ltr``, ``.lang`` and optional side files.

The first two are fairseq's own formats (``data/audio/raw_audio_dataset.py:266`` and
``tasks/audio_finetuning.py:146``); ``.lang`` holds one ISO 639-3 code a line;
``.utt``, ``.corpus`` and ``.speaker``, where they are there, one utterance id, corpus or speaker;
any other ``.NAME`` is a column that ``task.group_by`` may name.
See ``manifests/README.md`` for an example.
"""

from __future__ import annotations

import codecs
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairseq_dro.data import lines
from fairseq_dro.data.absolute_path import absolute_path
from fairseq_dro.data.lines import Categories, PathStems, TextLines
from fairseq_dro.errors import UserError
from fairseq_dro.group_by import suffix_of
from fairseq_dro.text_lines import decoded

SIDE_FILES = ("utt", "corpus", "speaker")
LABEL_TYPES = {
    "ltr": "neither task.labels nor criterion.post_process",
    "spm": "task.labels=spm criterion.post_process=sentencepiece",
}
"""Suffixes of the label files that ``fairseq-dro prepare`` writes, and what training needs."""


@dataclass(frozen=True)
class Manifest:
    """One split of a data folder, line for line, in about the memory of its files.

    The sequences of strings are no lists: each string is made when it is asked for.

    Attributes:
        n_samples: [N] int64, length of each file in samples.
        languages: N ISO 639-3 codes; empty where the file is missing and was not required.
        labels: N label lines as they stand in the file, units separated by spaces.
        utterance_ids: N ids; where there is no ``.utt`` file, the path without its suffix.
        corpora, speakers: N names; empty where there is no such file.
    """

    folder: Path
    split: str
    label_type: str
    root: str
    paths: TextLines
    n_samples: np.ndarray
    languages: Categories
    labels: TextLines
    utterance_ids: Sequence[str]
    corpora: Categories
    speakers: Categories

    def __len__(self) -> int:
        return len(self.paths)

    def audio_path(self, index: int) -> Path:
        """The audio file of one utterance, as fairseq joins it (root, then relative path)."""
        return Path(self.root) / self.paths[index]

    def where(self, index: int, suffix: str = "tsv") -> str:
        """``file:line`` of one utterance, with its id, for error messages."""
        line = index + (2 if suffix == "tsv" else 1)  # line 1 of the tsv is the root folder
        return f"{self.folder / self.split}.{suffix}:{line} (utterance {self.utterance_ids[index]})"

    def column(self, name: str) -> Categories:
        """N values of a column: ``language``, or the lines of ``{split}.NAME``.

        Raises:
            UserError: there is no such file, or it has another number of lines.
        """
        read = {"language": self.languages, "corpus": self.corpora, "speaker": self.speakers}
        if read.get(name):
            return read[name]
        path = self.folder / f"{self.split}.{suffix_of(name)}"
        if not path.exists():
            raise UserError(
                f"{path} does not exist, and task.group_by names the column {name}: write one "
                f"{name} a line in the order of the .tsv (`fairseq-dro prepare table --keep` does),"
                " or name another column."
            )
        tsv = self.folder / f"{self.split}.tsv"
        return Categories.of(_aligned(path, self.folder, self.split, tsv, len(self)))


def read_manifest(
    folder: str | Path, split: str, label_type: str = "ltr", *, languages_required: bool = True
) -> Manifest:
    """Read and cross-check the files of one split.

    Args:
        languages_required: False accepts a split without ``.lang`` file (stock fairseq's folders).

    Raises:
        UserError: a folder or file is missing, a line cannot be read, or the files differ in
            length; with file and line.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(
            f"The data folder {folder} does not exist (looked in {Path.cwd()}): "
            "set task.data to a folder made by `fairseq-dro prepare`."
        )
    tsv = folder / f"{split}.tsv"
    rows = _lines(tsv, folder, split)
    if not rows:
        raise UserError(f"{tsv}:1 is empty: expected the root folder of the audio on this line.")
    paths, n_samples = _parse_rows(tsv, rows)
    labels = _aligned(folder / f"{split}.{label_type}", folder, split, tsv, len(paths))
    lang = folder / f"{split}.lang"
    languages = Categories([], np.empty(0))
    if languages_required or lang.exists():
        languages = Categories.of(_aligned(lang, folder, split, tsv, len(paths)))
    if "" in languages:
        raise UserError(
            f"{lang}:{languages.index('') + 1} is empty: "
            "expected the ISO 639-3 code of the utterance's language."
        )
    side = {}
    for suffix in SIDE_FILES:
        path = folder / f"{split}.{suffix}"
        side[suffix] = TextLines.of_text(b"")
        if path.exists():
            side[suffix] = _aligned(path, folder, split, tsv, len(paths))
    return Manifest(
        folder, split, label_type, audio_root(folder, rows[0]), paths, n_samples, languages, labels,
        side["utt"] or PathStems(paths), Categories.of(side["corpus"]),
        Categories.of(side["speaker"]),
    )


def audio_root(folder: Path, written: str) -> str:
    """The root folder on the first line of a ``.tsv``, absolute.

    A relative one is relative to the folder of the ``.tsv``, so that a data folder with its audio
    inside can be moved. Where nothing is there, it is fairseq's, relative to the current folder.
    """
    beside = absolute_path(folder / written)
    if not os.path.isdir(beside) and os.path.isdir(written):
        return absolute_path(written)
    return beside


def other_label_files(folder: Path, split: str, label_type: str) -> str:
    """Words about label files of other units than those asked for; empty where there are none.

    Args:
        split: its name, or ``*`` for any.
    """
    for other, how in LABEL_TYPES.items():
        if label_type in LABEL_TYPES and other != label_type:
            if any(folder.glob(f"{split}.{other}")) and not any(
                folder.glob(f"{split}.{label_type}")
            ):
                return f"; it holds .{other} files, with which training needs {how}"
    return ""


def without_byte_order_mark(path: Path) -> str:
    """The command that removes it from a file."""
    return rf"sed -i '1s/^\xEF\xBB\xBF//' {shlex.quote(str(path))}"


def _lines(path: Path, folder: Path, split: str) -> TextLines:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        splits = ", ".join(sorted(p.stem for p in folder.glob("*.lang"))) or "none"
        raise UserError(
            f"{path} does not exist: a split named {split} needs it beside the other files "
            f"of the folder; splits found there: {splits}"
            f"{other_label_files(folder, split, path.suffix[1:])}."
        ) from None
    if data.startswith(codecs.BOM_UTF8):
        raise UserError(
            f"{path}:1 begins with a byte order mark (U+FEFF), which would be read as part of the "
            f"line: remove it with `{without_byte_order_mark(path)}`."
        )
    found = TextLines.of_text(data)
    for first, last in found.chunks():
        decoded(found.data[int(found.starts[first]) : int(found.ends[last - 1])], path, first + 1)
    return found


def _parse_rows(tsv: Path, rows: TextLines) -> tuple[TextLines, np.ndarray]:
    """Paths and lengths of all lines but the first."""
    text = np.frombuffer(rows.data, np.uint8)
    starts, ends = rows.starts[1:].astype(np.int64), rows.ends[1:].astype(np.int64)
    tabs = np.append(lines.positions(rows.data, lines.TAB), len(text))
    tabs = tabs[np.searchsorted(tabs, starts)]  # the first tab behind each start
    n_samples, is_number = _numbers(text, np.minimum(tabs + 1, ends), ends)
    is_number &= tabs < ends
    for index in np.flatnonzero(~is_number | (n_samples == 0))[:1].tolist():
        row = rows[index + 1]
        if not is_number[index]:
            raise UserError(
                f"{tsv}:{index + 2} cannot be read: expected a path, a tab and the number of "
                f"samples, found {row[:80]!r}."
            )
        raise UserError(
            f"{tsv}:{index + 2} says that {row.partition(chr(lines.TAB))[0]} has 0 samples: remove "
            "the utterance from all files of the split."
        )
    return TextLines(rows.data, starts, tabs), n_samples


def _numbers(
    text: np.ndarray, starts: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """[N] int64 of stretches of decimal digits, and [N] whether each is one, of 1 to 18."""
    values = np.zeros(len(starts), dtype=np.int64)
    widths = ends - starts
    is_number = (widths > 0) & (widths <= 18)
    for place in range(int(widths[is_number].max(initial=0))):
        at = np.flatnonzero(is_number & (place < widths))
        digits = text[starts[at] + place].astype(np.int64) - ord("0")
        is_number[at] &= (digits >= 0) & (digits <= 9)
        values[at] = values[at] * 10 + digits
    return values, is_number


def _aligned(path: Path, folder: Path, split: str, tsv: Path, expected: int) -> TextLines:
    found = _lines(path, folder, split)
    if len(found) != expected:
        longer, line = (path, expected + 1) if len(found) > expected else (tsv, len(found) + 2)
        raise UserError(
            f"{longer}:{line} has no counterpart: {path.name} holds {len(found)} lines and "
            f"{tsv.name} {expected} utterances; expected one line each, so write both again "
            "from one list."
        )
    return found
