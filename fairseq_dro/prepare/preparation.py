"""One data folder in the making: what is chosen of the corpus, left out and written."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from fairseq_dro.errors import UserError
from fairseq_dro.prepare import (
    audio_pool,
    conversion,
    data_set,
    dataset_record,
    labelling,
    losses,
    selection,
)
from fairseq_dro.prepare.audio_files import MISSING, require_decoders
from fairseq_dro.prepare.candidate import Candidate
from fairseq_dro.prepare.data_folder import DataFolder
from fairseq_dro.prepare.descriptions import named_list
from fairseq_dro.prepare.reader import Reader
from fairseq_dro.prepare.recording import SPLITS, Rejection
from fairseq_dro.prepare.rejected import count_rejected, write_rejected
from fairseq_dro.prepare.shared_options import SharedOptions
from fairseq_dro.prepare.text_census import TextCensus
from fairseq_dro.progress import with_progress
from fairseq_dro.wording import counted

logger = logging.getLogger(__name__)


class Preparation:
    """From a reader's recordings to the files of a data folder.

    Args:
        few_shot: the languages that ``--few-shot`` is about.
    """

    def __init__(
        self, reader: Reader, options: SharedOptions, folder: DataFolder, few_shot: list[str]
    ) -> None:
        self._reader, self._options, self._folder = reader, options, folder
        self._few_shot = few_shot
        self._rejected: list[Rejection] = []
        self._census = TextCensus(options)

    def choose(self) -> list[Candidate]:
        """Read the corpus: the utterances that are of use, each with its split.

        Raises:
            UserError: see the reader; or a wanted language is not there.
        """
        reader, options, rejected = self._reader, self._options, self._rejected
        items = with_progress(reader.recordings(), None, "utterances so far")
        candidates = selection.normalise(items, options, self._census, rejected)
        if candidates:
            options.refuse_idle_shares(all(candidate.split for candidate in candidates))
        require_decoders([c.recording.audio for c in candidates])
        headers = audio_pool.probe([one.job() for one in candidates], options.workers)
        candidates = selection.with_audio(candidates, headers, rejected)
        candidates = selection.assign_splits(candidates, options, rejected)
        candidates = selection.select(
            candidates, reader.longest_seconds, options, self._few_shot, rejected
        )
        for sentence in _what_splits_lack(candidates, options.split_by):
            logger.info(sentence)
        self._report_absent_languages(candidates)
        self._folder.refuse_converted(
            c.recording.audio for c in candidates if isinstance(c.recording.audio, Path)
        )
        return candidates

    def write(self, candidates: list[Candidate]) -> None:
        """Label, convert and write them.

        Raises:
            UserError: nothing is left to train on, or of a wanted language; or an option of the
                units does not suit the texts.
        """
        options, rejected = self._options, self._rejected
        symbols = set(labelling.symbols_of(options.dictionary)) if options.dictionary else None
        tokens = labelling.tokens_of(options, symbols, candidates)
        self._require_training(c.split for c in candidates)
        chosen = {c.recording.language for c in candidates}
        self._require_languages({one.language for one in rejected}, chosen)
        self._folder.begin()
        encoder = labelling.units_of(options, candidates)
        labelled = labelling.label(candidates, encoder, symbols, rejected)
        utterances, adjusted = conversion.converted(
            labelled, options.out, options.workers, rejected
        )
        self._require_training(u.split for u in utterances)
        self._require_languages(chosen, {u.language for u in utterances})
        if symbols is None:
            units = dataset_record.units_beyond_training(utterances)
        else:  # of what was left out for it, too: of the rest it has everything
            units = dataset_record.units_beyond(
                symbols, ((c.recording.language, c.label) for c in candidates)
            )
        # What could not be converted has no samples
        self._census.add_numbers(one for one in labelled if one.n_samples)
        data_set.write(
            self._folder, utterances, encoder, tokens, units, self._reader, options, self._census,
            rejected, adjusted,
        )  # fmt: skip

    def _report_absent_languages(self, candidates: list[Candidate]) -> None:
        reader = self._reader
        found = {one.recording.language for one in candidates}
        found |= {one.language for one in self._rejected}
        absent = sorted((reader.languages.wanted or frozenset()) - found)
        if absent:
            reader.missing.report(
                f"{reader.audio_root} holds no utterance of {' '.join(absent)}", "download them"
            )

    def _require_languages(self, wanted: set[str], left: set[str]) -> None:
        """Raises UserError where nothing is left of a wanted language, unless that is skipped."""
        lost = losses.gone(wanted - left, self._rejected)
        if lost and not self._reader.missing.skip:
            self._write_rejected()
        losses.report_gone(lost, self._reader.missing)

    def _require_training(self, splits: Iterable[str]) -> None:
        """Raises UserError where no utterance is left to train on."""
        if "train" in splits:
            return
        rejected = self._rejected
        if rejected:
            reason, by_language = next(iter(count_rejected(rejected).items()))
            example = next(one for one in rejected if one.reason == reason)
            why = (
                f"{counted(len(rejected), 'utterance')} left out, most often because of: {reason} "
                f"({sum(by_language.values())} of them; first {example.where} {example.detail}"
            ).rstrip() + ")"
            if reason == MISSING:
                option = "--audio-root" if self._reader.name == "table" else "--root"
                why += f", looked for below {self._reader.audio_root}: name another {option}"
            if self._write_rejected():
                why += f"; all are in {self._options.out / 'rejected.tsv'}"
        elif self._reader.languages.wanted is not None:
            why = "the corpus has none in the languages that were asked for"
        else:
            why = "the corpus has none"
        raise UserError(f"No utterance is left in the split 'train': {why}.")

    def _write_rejected(self) -> bool:
        """Write why utterances were left out, unless another data set is in the folder."""
        if self._folder.is_replaced:
            return False
        self._folder.begin()
        write_rejected(self._folder.path, self._rejected)
        return True


def _what_splits_lack(candidates: list[Candidate], split_by: str) -> list[str]:
    """A sentence for each reason why languages have nothing in a split."""
    told = []
    lacking = {split: selection.languages_without(candidates, split) for split in SPLITS}
    by_hash = any(candidate.split != candidate.recording.split for candidate in candidates)
    alone = set()
    if by_hash and split_by != "text":
        both = set(lacking["valid"]) & set(lacking["test"])
        alone = both & selection.languages_of_one_speaker(candidates)
    if alone:
        have, each = ("has", "") if len(alone) == 1 else ("have", " each")
        told.append(
            f"{named_list(sorted(alone))} {have} one speaker or one file{each}, so no valid and "
            "test: add --split-by text"
        )
    for split, advice in (
        ("train", ", so training will refuse them: get training audio or leave them out"),
        *((split, " (by hash: see --split-by)" if by_hash else "") for split in ("valid", "test")),
    ):
        without = [code for code in lacking[split] if code not in alone]
        if without:
            told.append(f"languages with nothing in {split}{advice}: {' '.join(without)}")
    return told
