"""Labels of the utterances that were chosen, and the dictionary they must keep to."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from fairseq_dro.data import dictionary_file
from fairseq_dro.errors import UserError
from fairseq_dro.prepare import units
from fairseq_dro.prepare.candidate import Candidate
from fairseq_dro.prepare.recording import Rejection
from fairseq_dro.prepare.shared_options import SharedOptions
from fairseq_dro.text.tags import is_tag
from fairseq_dro.text_lines import lines_of

VOCABULARY_SIZE = 1000
OUTSIDE_DICTIONARY = "symbol outside the dictionary"


def units_of(options: SharedOptions, candidates: list[Candidate]) -> units.Units:
    """The units that are asked for; a sentencepiece model is trained or copied into the folder.

    Raises:
        UserError: the model cannot be read, or the texts do not make as many units.
    """
    whole_tags = options.keeps_tags
    if options.units == "characters":
        return units.Characters(whole_tags)
    if options.units == "graphemes":
        return units.Graphemes(whole_tags)
    model = options.out / units.SENTENCEPIECE_MODEL
    if options.sentencepiece_model is not None:
        if options.sentencepiece_model.resolve() != model.resolve():
            model.write_bytes(options.sentencepiece_model.read_bytes())
    else:
        texts = [c.text for c in candidates if c.split == "train"]
        tags = {w for c in candidates for w in c.text.split() if is_tag(w)} if whole_tags else ()
        units.train_sentencepiece(
            texts, options.vocabulary_size or VOCABULARY_SIZE, model, sorted(tags)
        )
    return units.Sentencepiece(model)


def label(
    candidates: list[Candidate], encoder: units.Units, known: Collection[str] | None,
    rejected: list[Rejection],
) -> list[Candidate]:  # fmt: skip
    """Give each utterance its label; those with symbols outside the dictionary are rejected.

    Args:
        known: the symbols of the dictionary that is reused; None where one is made.
    """
    kept = []
    for candidate in candidates:
        candidate.label = encoder.labels(candidate.text)
        unknown = set(candidate.label.split()).difference(known) if known is not None else ()
        if unknown:
            detail = " ".join(sorted(unknown))
            rejected.append(candidate.reject(OUTSIDE_DICTIONARY, detail))
        else:
            kept.append(candidate)
    return kept


def tokens_of(
    options: SharedOptions, symbols: Collection[str] | None, candidates: list[Candidate]
) -> list[str]:
    """``[iso]`` of each language, if asked for; a dictionary that is given must have them.

    Raises:
        UserError: it has not.
    """
    if not options.language_tokens:
        return []
    tokens = [f"[{code}]" for code in sorted({c.recording.language for c in candidates})]
    lacking = [token for token in tokens if symbols is not None and token not in symbols]
    if lacking:
        raise UserError(
            f"{options.dictionary} lacks the language tokens {' '.join(lacking)}: add a line "
            f"`{lacking[0]} 0` for each, or leave --language-tokens out."
        )
    return tokens


def symbols_of(dictionary: Path) -> list[str]:
    """Symbols of a dictionary, as fairseq will read it.

    Raises:
        UserError: fairseq would stop at a line of it, or it is not UTF-8.
    """
    symbols, faults = dictionary_file.units_of(line for _, line in lines_of(dictionary))
    dictionary_file.require_no_fault(dictionary, faults)
    return symbols
