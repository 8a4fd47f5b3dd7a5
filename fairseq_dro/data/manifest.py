"""Read one split of a data folder: ``{split}.tsv``, ``.ltr``, ``.lang`` and optional side files.

The first two are fairseq's own formats (``data/audio/raw_audio_dataset.py:266`` and
``tasks/audio_finetuning.py:146``); ``.lang`` holds one ISO 639-3 code a line;
``.utt``, ``.corpus`` and ``.speaker``, where they are there, one utterance id, corpus or speaker.
See ``manifests/README.md`` for an example.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from fairseq_dro.errors import UserError


@dataclass(frozen=True)
class Manifest:
    """One split of a data folder, line for line.

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
    paths: list[str]
    n_samples: np.ndarray
    languages: list[str]
    labels: list[str]
    utterance_ids: list[str]
    corpora: list[str]
    speakers: list[str]

    def __len__(self) -> int:
        return len(self.paths)

    def audio_path(self, index: int) -> Path:
        """The audio file of one utterance, as fairseq joins it (root, then relative path)."""
        return Path(self.root) / self.paths[index]

    def where(self, index: int, suffix: str = "tsv") -> str:
        """``file:line`` of one utterance, with its id, for error messages."""
        line = index + (2 if suffix == "tsv" else 1)  # line 1 of the tsv is the root folder
        return f"{self.folder / self.split}.{suffix}:{line} (utterance {self.utterance_ids[index]})"

    def require_corpora(self) -> None:
        """The corpus of each utterance is known, and can be part of a group's name.

        Raises:
            UserError: there is no ``.corpus`` file, or a line of it is empty or holds a slash.
        """
        path = f"{self.folder / self.split}.corpus"
        if not self.corpora:
            raise UserError(
                f"{path} does not exist, and task.group_by=language_and_corpus needs it: write "
                "one corpus name a line in the order of the .tsv, or leave the option out."
            )
        for index, corpus in enumerate(self.corpora):
            if not corpus or "/" in corpus:
                raise UserError(
                    f"{self.where(index, 'corpus')}: {corpus!r} is no name of a corpus: write one "
                    "that is not empty and has no slash."
                )


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
    paths, n_samples = _parse_rows(tsv, rows[1:])
    labels = _aligned(folder / f"{split}.{label_type}", folder, split, tsv, len(paths))
    lang = folder / f"{split}.lang"
    languages: list[str] = []
    if languages_required or lang.exists():
        languages = _aligned(lang, folder, split, tsv, len(paths))
    for number, language in enumerate(languages, start=1):
        if not language:
            raise UserError(
                f"{folder / split}.lang:{number} is empty: "
                "expected the ISO 639-3 code of the utterance's language."
            )
    side = {}
    for suffix in ("utt", "corpus", "speaker"):
        path = folder / f"{split}.{suffix}"
        side[suffix] = _aligned(path, folder, split, tsv, len(paths)) if path.exists() else []
    utterance_ids = side["utt"] or [
        str(PurePosixPath(path.split(":")[0]).with_suffix("")) for path in paths
    ]
    return Manifest(
        folder, split, label_type, rows[0], paths, n_samples, languages, labels, utterance_ids,
        side["corpus"], side["speaker"],
    )


def _lines(path: Path, folder: Path, split: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as stream:
            return [line.strip() for line in stream]
    except FileNotFoundError:
        splits = ", ".join(sorted(p.stem for p in folder.glob("*.tsv"))) or "none"
        raise UserError(
            f"{path} does not exist: a split named {split} needs it beside the other files "
            f"of the folder; splits found there: {splits}."
        ) from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text (byte {error.start}): convert it, for example with "
            f"`iconv -t UTF-8`."
        ) from None


def _parse_rows(tsv: Path, rows: list[str]) -> tuple[list[str], np.ndarray]:
    paths: list[str] = []
    n_samples = np.empty(len(rows), dtype=np.int64)
    for index, row in enumerate(rows):
        path, tab, count = row.partition("\t")
        if not tab or not count.isdigit():
            raise UserError(
                f"{tsv}:{index + 2} cannot be read: expected a path, a tab and the number of "
                f"samples, found {row[:80]!r}."
            )
        if int(count) == 0:
            raise UserError(
                f"{tsv}:{index + 2} says that {path} has 0 samples: remove the utterance from "
                "all files of the split."
            )
        paths.append(path)
        n_samples[index] = int(count)
    return paths, n_samples


def _aligned(path: Path, folder: Path, split: str, tsv: Path, expected: int) -> list[str]:
    lines = _lines(path, folder, split)
    if len(lines) != expected:
        longer, line = (path, expected + 1) if len(lines) > expected else (tsv, len(lines) + 2)
        raise UserError(
            f"{longer}:{line} has no counterpart: {path.name} holds {len(lines)} lines and "
            f"{tsv.name} {expected} utterances; expected one line each, so write both again "
            "from one list."
        )
    return lines
