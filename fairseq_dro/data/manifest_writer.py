"""Write a data folder: ``{split}.tsv``, ``.ltr``, ``.lang``, ``.utt`` and ``dict.ltr.txt``.

``{split}.wrd`` (words), ``.speaker`` and ``.corpus`` are written where they are known, further
columns (``.accent``) where utterances have them.

The counterpart of :mod:`fairseq_dro.data.manifest`; ``manifests/README.md`` shows the format.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fairseq_dro.data.absolute_path import absolute_path
from fairseq_dro.errors import UserError
from fairseq_dro.text_lines import lines_of
from fairseq_dro.whole_file import whole_file

SAMPLE_RATE = 16_000  # Hz, what wav2vec 2.0 models were pre-trained on


@dataclass(frozen=True)
class Utterance:
    """One line of a split.

    Attributes:
        path: audio file, 16 kHz mono.
        n_samples: its length in samples.
        language: ISO 639-3.
        label: target units separated by spaces, such as ``h i | y o u |``.
        split: ``train``, ``valid`` or ``test``.
        text: words separated by spaces; empty where only the label is known.
        speaker, corpus: empty where unknown.
        columns: further ones by name, the same names for all utterances; a value is empty where
            it is unknown.
    """

    path: Path
    n_samples: int
    language: str
    label: str
    utterance_id: str
    split: str
    text: str = ""
    speaker: str = ""
    corpus: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)


def write_data_folder(
    folder: str | Path,
    utterances: Iterable[Utterance],
    root: str | Path,
    label_type: str = "ltr",
    *,
    dictionary: str | Path | None = None,
    extra_symbols: Sequence[str] = (),
) -> dict[str, int]:
    """Write all splits and their dictionary.

    The dictionary holds the symbols of all splits, because training refuses a label outside it;
    symbols that training lacks come last, with count 0, and are never learnt. The audio stays
    where it is, and every path must lie below ``root``. Inside ``folder`` that is written relative
    to it, so that both can be moved together; elsewhere it is written as an absolute path.
    Utterances keep their order within a split. Files of a split that has none are removed.

    Args:
        dictionary: a dictionary to copy instead of making one.
        extra_symbols: symbols to append where the dictionary made lacks them, with count 0.

    Returns:
        The number of utterances per split.

    Raises:
        UserError: an utterance is empty, lies outside ``root``, or the training split is missing.
    """
    folder, root = Path(folder), Path(absolute_path(root))
    splits: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        splits.setdefault(utterance.split, []).append(utterance)
    if "train" not in splits:
        raise UserError(
            f"{folder}: no utterance is in the split 'train' (found: {', '.join(splits) or 'none'})"
            ": name the split to train on train."
        )
    folder.mkdir(parents=True, exist_ok=True)
    for split in {"train", "valid", "test"} - splits.keys():
        kept = splits["train"][0].columns
        for suffix in ("tsv", label_type, "lang", "utt", "wrd", "speaker", "corpus", *kept):
            (folder / f"{split}.{suffix}").unlink(missing_ok=True)  # of an earlier preparation
    for split, lines in splits.items():
        _write_split(folder, split, lines, root, label_type)
    path = folder / f"dict.{label_type}.txt"
    if dictionary is not None:
        _write_lines(path, [line for _, line in lines_of(dictionary)])
    else:
        units = {unit for lines in splits.values() for u in lines for unit in u.label.split()}
        training = [utterance.label for utterance in splits["train"]]
        write_dictionary(path, training, [*sorted(units), *extra_symbols])
    return {split: len(lines) for split, lines in splits.items()}


def write_dictionary(
    path: Path, labels: Iterable[str], extra_symbols: Sequence[str] = ()
) -> list[str]:
    """Write fairseq's dictionary: ``symbol count``, most frequent first, then by code point.

    Args:
        labels: target lines, units separated by spaces.
        extra_symbols: written last with count 0 where the labels lack them, such as ``[deu]``.

    Returns:
        The symbols in the order written; fairseq puts its four specials before them.
    """
    counts = Counter(symbol for label in labels for symbol in label.split())
    for symbol in extra_symbols:
        counts.setdefault(symbol, 0)
    ordered = sorted(counts, key=lambda symbol: (-counts[symbol], symbol))
    _write_lines(path, [f"{symbol} {counts[symbol]}" for symbol in ordered])
    return ordered


def _write_split(
    folder: Path, split: str, utterances: Sequence[Utterance], root: Path, label_type: str
) -> None:
    inside = os.path.relpath(root, absolute_path(folder))
    rows = [str(root) if inside.startswith(os.pardir) else inside]
    for utterance in utterances:
        if utterance.n_samples <= 0 or not utterance.label.strip():
            missing = "audio" if utterance.n_samples <= 0 else "text"
            raise UserError(
                f"{split}: utterance {utterance.utterance_id} has no {missing}: leave it out."
            )
        try:
            relative = Path(absolute_path(utterance.path)).relative_to(root)
        except ValueError:
            raise UserError(
                f"{split}: utterance {utterance.utterance_id} is at {utterance.path}, which is "
                f"outside {root}: choose a root that holds all audio."
            ) from None
        rows.append(f"{relative.as_posix()}\t{utterance.n_samples}")
    _write_lines(folder / f"{split}.tsv", rows)
    _write_lines(folder / f"{split}.{label_type}", [u.label for u in utterances])
    _write_lines(folder / f"{split}.lang", [u.language for u in utterances])
    _write_lines(folder / f"{split}.utt", [u.utterance_id for u in utterances])
    for suffix, name in (("wrd", "text"), ("speaker", "speaker"), ("corpus", "corpus")):
        known = [getattr(utterance, name) for utterance in utterances]
        path = folder / f"{split}.{suffix}"
        if any(known):
            _write_lines(path, known)
        else:
            path.unlink(missing_ok=True)  # of an earlier preparation
    for name in utterances[0].columns:
        _write_lines(folder / f"{split}.{name}", [u.columns[name] for u in utterances])


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    with whole_file(path) as partial:
        partial.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
