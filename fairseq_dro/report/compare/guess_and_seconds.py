"""What a comparison takes from the data folder: constant guesses, seconds of training speech."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fairseq_dro.data.groups import GroupBy, group_names, language_of
from fairseq_dro.data.manifest import read_manifest
from fairseq_dro.data.manifest_writer import SAMPLE_RATE
from fairseq_dro.errors import UserError
from fairseq_dro.report.constant_guess import best_constant, constant_guess_cer
from fairseq_dro.scoring.text import scored_characters


def guess_and_seconds(
    data: Path, groups: Sequence[str], by_corpus: bool = False
) -> tuple[dict[str, float], dict[str, float]]:
    """CER of the constant guess (a fraction) and seconds of training speech, by group.

    Args:
        groups: languages that were decoded, or with ``by_corpus`` ``language/corpus``.

    Raises:
        UserError: the folder cannot be read, or has no training or test text of a group.
    """
    grouping = GroupBy.LANGUAGE_AND_CORPUS if by_corpus else GroupBy.LANGUAGE
    texts: dict[str, dict[str, list[str]]] = {}
    seconds = dict.fromkeys(groups, 0.0)
    for split in ("train", "test"):
        manifest = read_manifest(data, split)
        names = group_names(manifest.languages, manifest.corpora, grouping)
        for index, group in enumerate(names):
            spelled = manifest.labels[index].replace(" ", "").replace("|", " ")
            text = scored_characters(spelled, language_of(group))
            texts.setdefault(group, {}).setdefault(split, []).append(text)
            if split == "train" and group in seconds:
                seconds[group] += int(manifest.n_samples[index]) / SAMPLE_RATE
    constant = {}
    for group in groups:
        splits = texts.get(group, {})
        if "train" not in splits or "test" not in splits:
            raise UserError(
                f"{data} has no training or test text of {group}, which the runs were decoded on: "
                "name their own data folder with --data."
            )
        constant[group] = constant_guess_cer(best_constant(splits["train"]), splits["test"])
    return constant, seconds
