"""The data set that is written: manifests, dictionary, language table, rejections, record."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from fairseq_dro import languages
from fairseq_dro.data.absolute_path import absolute_path
from fairseq_dro.data.manifest_writer import Utterance, write_data_folder
from fairseq_dro.prepare import dataset_record, selection
from fairseq_dro.prepare.adjusted import describe_adjusted
from fairseq_dro.prepare.data_folder import CONVERTED, DataFolder
from fairseq_dro.prepare.descriptions import (
    describe_coverage,
    describe_folder,
    describe_never_trained,
)
from fairseq_dro.prepare.losses import describe_losses
from fairseq_dro.prepare.reader import Reader
from fairseq_dro.prepare.recording import SPLITS, Rejection
from fairseq_dro.prepare.rejected import count_rejected, describe_rejected, write_rejected
from fairseq_dro.prepare.shared_options import SharedOptions
from fairseq_dro.prepare.text_census import TextCensus, describe_text
from fairseq_dro.prepare.units import Units


def write(
    folder: DataFolder, utterances: list[Utterance], encoder: Units, tokens: list[str],
    units: dict[str, dataset_record.Units], reader: Reader, options: SharedOptions,
    census: TextCensus, rejected: list[Rejection], adjusted: dict[str, dict[str, int]],
) -> None:  # fmt: skip
    """Write all files, ``dataset.json`` last, and say what was made.

    Args:
        tokens: symbols that the dictionary is to have besides those of the labels.
        units: of each language, beside those that are known.
        adjusted: utterances in which something was put right, by what and by language.
    """
    root = common_root([u.path for u in utterances], [options.out / CONVERTED, reader.audio_root])
    sizes = write_data_folder(
        options.out, utterances, root, encoder.label_type, dictionary=options.dictionary,
        extra_symbols=tokens,
    )  # fmt: skip
    sizes = {split: sizes[split] for split in SPLITS if split in sizes}
    own_table = reader.languages.own_table
    if own_table is not None:  # training asks it about the codes
        (options.out / languages.OWN_TABLE).write_bytes(own_table.read_bytes())
    write_rejected(options.out, rejected)
    rejected_counts = count_rejected(rejected)
    folder.finish(
        {
            "reader": reader.name,
            "text_profile": options.text_profile,
            "text": census.as_record(),
            "units": options.units,
            "versions": dataset_record.versions(),
            "fingerprint": dataset_record.fingerprint(
                utterances, options.out / f"dict.{encoder.label_type}.txt"
            ),
            "splits": sizes,
            "languages": dataset_record.counts(utterances),
            "coverage": {code: one.coverage for code, one in units.items()},
            "rejected": rejected_counts,
            "adjusted": adjusted,
            "skipped_parts": reader.missing.found,
        }
    )
    sys.stdout.write(describe_rejected(rejected_counts))
    sys.stdout.write(describe_adjusted(adjusted))
    sys.stdout.write(describe_text(census.as_record()))
    if options.dictionary is not None:
        sys.stdout.write(describe_coverage(units))
    elif not options.profile.is_tokenised:
        letters = "letters" if options.units == "characters" else "units"
        sys.stdout.write(describe_never_trained(units, letters))
    asked = {*reader.rules, *selection.asked_reasons(options)}
    sys.stdout.write(describe_losses(utterances, rejected, asked))
    sys.stdout.write(describe_folder(options.out, utterances, sizes))


def common_root(paths: list[Path], candidates: list[Path]) -> Path:
    """The first candidate that all audio lies below, else the deepest folder that has it all."""
    folders = {os.path.dirname(absolute_path(path)) for path in paths}
    common = os.path.commonpath(sorted(folders))
    for candidate in map(absolute_path, candidates):
        if os.path.commonpath([common, candidate]) == candidate:
            common = candidate
            break
    while common != common.strip():  # readers of a manifest strip its first line
        common = os.path.dirname(common)
    return Path(common)
