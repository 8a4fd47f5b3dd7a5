"""From recordings to the utterances that are kept: text, length, split, number; with reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

from fairseq_dro.prepare import splits
from fairseq_dro.prepare.audio_files import AudioResult
from fairseq_dro.prepare.candidate import Candidate
from fairseq_dro.prepare.cells import cell
from fairseq_dro.prepare.numerals import spell_out
from fairseq_dro.prepare.recording import Recording, Rejection
from fairseq_dro.prepare.shared_options import SharedOptions
from fairseq_dro.prepare.text_census import TextCensus
from fairseq_dro.prepare.units import WORD_BOUNDARY

HELD_OUT_FRACTION = 0.1
SAME_ID = "id that another utterance has"
NO_TEXT = "text is empty"
NOT_UNICODE = "id, text or path that UTF-8 cannot hold"
NO_TEXT_LEFT = "text is empty after normalisation"
HOLDS_NUMBER = "text holds a number"
HOLDS_BOUNDARY = "text holds |, which stands between words"
IN_TWO_SPLITS = "no split given, and tied to two by speaker and text"
TOO_SHORT = "shorter than --min-seconds"
TOO_LONG = "longer than allowed"
TOO_MANY = "over --max-seconds-per-language"
NOT_FEW_SHOT = "not drawn for --few-shot"


def normalise(
    items: Iterable[Recording | Rejection], options: SharedOptions,
    census: TextCensus, rejected: list[Rejection],
) -> list[Candidate]:  # fmt: skip
    """Utterances whose id is new and whose text is of use, in the order of the corpus.

    Args:
        census: is told of each text what the rule did to it.
    """
    keeps = {"keeps_tags": options.keeps_tags, "keeps_numbers": options.keeps_numbers}
    first: dict[str, str] = {}
    candidates = []
    for item in items:
        if isinstance(item, Rejection):
            rejected.append(item)
            continue
        published = cell(item.text)
        if options.digits == "spell":
            published = spell_out(published, item.language)
        spelled = options.profile.spell(published, item.language, **keeps)
        text = spelled.text
        written_id = " ".join(item.utterance_id.split())  # as the data folder will have it
        if written_id in first:
            detail = f"first at {first[written_id]}"
            rejected.append(Rejection.of(item, SAME_ID, detail))
        elif not _is_unicode(item):
            rejected.append(Rejection.of(item, NOT_UNICODE))
        elif not text:
            rejected.append(Rejection.of(item, NO_TEXT_LEFT if published else NO_TEXT,
                                         item.text))  # fmt: skip
        elif WORD_BOUNDARY in text:
            rejected.append(Rejection.of(item, HOLDS_BOUNDARY, text))
        elif spelled.has_number and options.digits == "leave-out":
            rejected.append(Rejection.of(item, HOLDS_NUMBER, item.text))
        else:
            candidates.append(
                Candidate(item, text, item.split or "", has_number=spelled.has_number)
            )
            census.add(item, spelled)
        first.setdefault(written_id, item.where)
    return candidates


def _is_unicode(item: Recording) -> bool:
    """Whether all that is written down of it can be: JSON and file names may hold surrogates."""
    place = item.audio if isinstance(item.audio, Path) else item.audio.path
    try:
        parts = (item.utterance_id, item.text, item.speaker, item.corpus, str(place))
        for part in (*parts, *item.columns.values()):
            part.encode()
    except UnicodeEncodeError:
        return False
    return True


def with_audio(
    candidates: list[Candidate], results: Iterable[AudioResult], rejected: list[Rejection]
) -> list[Candidate]:
    """Those whose audio is of use, with its length."""
    kept = []
    for candidate, result in zip(candidates, results):
        if result.error:
            rejected.append(candidate.reject(result.error, result.detail))
        else:
            candidate.seconds, candidate.n_samples = result.seconds, result.n_samples
            candidate.adjusted = result.adjusted
            kept.append(candidate)
    return kept


def assign_splits(
    candidates: list[Candidate], options: SharedOptions, rejected: list[Rejection]
) -> list[Candidate]:
    """Give each utterance a split, where the corpus has none or other ones are asked for.

    Where the corpus has splits for some utterances only, the others follow their speakers and
    texts (``splits.follow_given``).
    """
    if options.splits != "hash" and all(candidate.split for candidate in candidates):
        return candidates
    together = splits.TOGETHER if options.split_by == "both" else (options.split_by,)
    items = [
        splits.Item(c.recording.utterance_id, c.recording.language, c.text, _voice_of(c.recording),
                    c.seconds)  # fmt: skip
        for c in candidates
    ]
    if options.splits == "hash":
        found: list[str | None] = [""] * len(candidates)
    else:
        found = splits.follow_given(items, [c.split for c in candidates], together)
    free = [index for index, split in enumerate(found) if split == ""]
    valid = _share(options.valid_seconds, options.valid_fraction)
    test = _share(options.test_seconds, options.test_fraction)
    by_hash = splits.split_by_hash([items[i] for i in free], valid, test, options.seed, together)
    for index, split in zip(free, by_hash):
        found[index] = split
    kept = []
    for candidate, split in zip(candidates, found):
        if split is None:
            rejected.append(candidate.reject(IN_TWO_SPLITS))
        else:
            candidate.split = split
            kept.append(candidate)
    return kept


def _voice_of(recording: Recording) -> str:
    """Who speaks: the speaker, or where nobody says it the file of which an utterance is a part."""
    if recording.speaker or not recording.is_part:
        return recording.speaker
    return str(recording.audio)


def _share(seconds: float | None, fraction: float | None) -> splits.Share:
    return splits.Share(seconds, HELD_OUT_FRACTION if fraction is None else fraction)


def select(
    candidates: list[Candidate], longest_seconds: dict[str, float], options: SharedOptions,
    few_shot: Collection[str], rejected: list[Rejection],
) -> list[Candidate]:  # fmt: skip
    """Apply the bounds on length, the few-shot choice and the bound on hours, in this order.

    Args:
        few_shot: the languages that ``--few-shot`` is about.
    """
    if options.max_seconds is not None:
        longest_seconds = {"train": options.max_seconds, "valid": options.max_seconds}
    leaves_numbers = options.digits == "leave-out-of-training"
    kept = []
    for candidate in candidates:
        longest = longest_seconds.get(candidate.split, float("inf"))
        if candidate.has_number and leaves_numbers and candidate.split == "train":
            rejected.append(candidate.reject(HOLDS_NUMBER, candidate.recording.text))
        elif candidate.seconds < options.min_seconds:
            rejected.append(candidate.reject(TOO_SHORT, f"{candidate.seconds:.2f} s"))
        elif candidate.seconds > longest:
            detail = f"{candidate.seconds:.2f} s of at most {longest:g} s"
            rejected.append(candidate.reject(TOO_LONG, detail))
        else:
            kept.append(candidate)
    if options.few_shot is not None:
        kept = _keep_of_training(
            kept, NOT_FEW_SHOT, rejected,
            lambda ids, languages, _: splits.few_shot(
                ids, languages, few_shot, options.few_shot, options.seed
            ),
        )  # fmt: skip
    if options.max_seconds_per_language is not None:
        kept = _keep_of_training(
            kept, TOO_MANY, rejected,
            lambda ids, languages, seconds: splits.within_seconds(
                ids, languages, seconds, options.max_seconds_per_language, options.seed
            ),
        )  # fmt: skip
    return kept


def asked_reasons(options: SharedOptions) -> tuple[str, ...]:
    """Reasons of rejections that an option of the command asked for."""
    by_length = () if options.max_seconds is None else (TOO_LONG,)
    return (HOLDS_NUMBER, TOO_SHORT, TOO_MANY, NOT_FEW_SHOT, *by_length)


def languages_without(candidates: list[Candidate], split: str) -> list[str]:
    """Languages of which something is kept, and nothing in ``split``."""
    found = Counter((c.recording.language, c.split) for c in candidates)
    return sorted({code for code, _ in found if not found[code, split]})


def _keep_of_training(candidates, reason, rejected, choose) -> list[Candidate]:
    training = [c for c in candidates if c.split == "train"]
    stays = choose(
        [c.recording.utterance_id for c in training],
        [c.recording.language for c in training],
        [c.seconds for c in training],
    )
    dropped = {id(c) for c, stay in zip(training, stays) if not stay}
    rejected.extend(c.reject(reason) for c in training if id(c) in dropped)
    return [c for c in candidates if id(c) not in dropped]


def languages_of_one_speaker(candidates: list[Candidate]) -> set[str]:
    """Languages all of whose utterances are one known speaker's, or parts of one file."""
    speakers: dict[str, set[str]] = {}
    for one in candidates:
        speakers.setdefault(one.recording.language, set()).add(_voice_of(one.recording))
    return {code for code, names in speakers.items() if len(names) == 1 and "" not in names}
