"""What the data folder says of training, by group: seconds, lengths, and how well a guess does.

The *constant guess* never hears the audio: it answers one fixed sentence of the training text, the
one nearest to all others. A model that only learnt what sentences look like can do little better,
so the CER of that answer is the line above which nothing has been learnt from speech.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from fairseq_dro.data.groups import groups_of
from fairseq_dro.data.manifest import Manifest, read_manifest
from fairseq_dro.data.manifest_writer import SAMPLE_RATE
from fairseq_dro.errors import UserError
from fairseq_dro.group_by import GroupBy, suffix_of
from fairseq_dro.runs.training_run import TrainingRun
from fairseq_dro.scoring.records import Record
from fairseq_dro.scoring.text import scored_characters, split_language_token

_MOST_SENTENCES = 200  # compared with each other while looking for the guess
_WORD_BOUNDARIES = {"letter": "|", "sentencepiece": "\u2581"}

Texts = Mapping[str, Sequence[str]]  # scored characters by group


class TrainingFacts(NamedTuple):
    """By group; a group that was decoded and not trained on has 0 seconds and no guess.

    Attributes:
        seconds: of training speech.
        mean_units: target units of an utterance, word boundaries among them.
        constant_cer: CER of the constant guess, a fraction; empty where units are no text.
    """

    seconds: Mapping[str, float]
    mean_units: Mapping[str, float]
    constant_cer: Mapping[str, float]


def references_of(records: Iterable[Record], by: GroupBy) -> Texts:
    """References of decoded utterances that have a group."""
    found: dict[str, list[str]] = {}
    for record in records:
        group = by.group_of(record)
        if group is not None:
            text = scored_characters(record.reference, record.language)
            found.setdefault(group, []).append(text)
    return found


def read_facts(
    data: Path, split: str, label_type: str, by: GroupBy, references: Texts, post_process: str,
    run: str = "the model",
) -> TrainingFacts:  # fmt: skip
    """Read the training split.

    Args:
        references: of what was decoded, which the guess is scored on.
        post_process: how units become text (``criterion.post_process``, that of decoding).
        run: what was decoded, for the message.

    Raises:
        UserError: the split cannot be read, or has none of the groups that were decoded.
    """
    manifest = read_manifest(data, split, label_type, languages_required=False)
    groups = groups_of(manifest, by)
    seconds: dict[str, float] = dict.fromkeys(references, 0.0)
    n_units: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        seconds[group] = seconds.get(group, 0.0) + int(manifest.n_samples[index]) / SAMPLE_RATE
        n_units.setdefault(group, []).append(len(manifest.labels[index].split()))
    if references and not any(seconds[group] for group in references):
        raise UserError(
            f"{data}/{split}.{suffix_of(by.columns[0])} has none of the {by.noun}s that "
            f"{run} was decoded on: name the data folder of the run with --data."
        )
    training = texts_of(manifest, groups, post_process, references)
    guesses = {
        group: constant_guess_cer(best_constant(training[group]), texts)
        for group, texts in references.items()
        if group in training
    }
    lengths = {group: sum(values) / len(values) for group, values in n_units.items()}
    return TrainingFacts(seconds, lengths, guesses)


def facts_of_run(
    run: TrainingRun, by: GroupBy, references: Texts, data: Path | None = None
) -> tuple[TrainingFacts | None, str]:
    """From the folder that was typed, else from the one that the run names, else as kept when it
    was decoded; then why not from the folder, empty where it was.

    Raises:
        UserError: the folder that was typed cannot be used. For one that was not typed this is the
            reason why there are none.
    """
    place = data if data is not None else run.data
    try:
        if place is not None:
            facts = read_facts(
                place, run.training_subset, run.label_type, by, references, run.post_process,
                str(run.folder),
            )  # fmt: skip
            return facts, ""
        named = run.option("task", "data")
        reason = (
            f"{run.folder} does not say where its data are" if named is None
            else f"the data folder of {run.folder}, {named}, is no longer there"
        )  # fmt: skip
    except UserError as error:
        if data is not None:
            raise
        reason = str(error)
    kept = run.decoded_from
    if kept.train_seconds and kept.group_by == by:
        return TrainingFacts(kept.train_seconds, {}, kept.constant_guess), reason
    return None, reason


def validation_references(run: TrainingRun) -> Texts:
    """Texts of the split that the run is validated on; empty where they are not at hand."""
    if run.data is None or not run.validations:
        return {}
    try:
        manifest = read_manifest(run.data, run.subset, run.label_type, languages_required=False)
        return texts_of(manifest, groups_of(manifest, run.group_by), run.post_process)
    except UserError:
        return {}


def texts_of(
    manifest: Manifest, groups: Sequence[str], post_process: str, wanted: Texts | None = None
) -> dict[str, list[str]]:
    """Labels as text, by group; empty where ``post_process`` makes no text of them."""
    boundary = _WORD_BOUNDARIES.get(post_process)
    found: dict[str, list[str]] = {}
    if boundary is None:
        return found
    for group, language, label in zip(groups, manifest.languages, manifest.labels):
        if wanted is None or group in wanted:
            spelled = label.replace(" ", "").replace(boundary, " ")
            _, text = split_language_token(spelled, language)
            found.setdefault(group, []).append(scored_characters(text, language))
    return found


def best_constant(sentences: Sequence[str], seed: int = 0) -> str:
    """The sentence with the fewest edits to all together; of more than 200, 200 are drawn.

    The best string of all (the generalised median string) is NP-hard to find and hardly better.
    """
    chosen = list(sentences)
    if len(chosen) > _MOST_SENTENCES:
        drawn = np.random.default_rng(seed).choice(len(chosen), _MOST_SENTENCES, replace=False)
        chosen = [chosen[index] for index in sorted(drawn)]
    candidates = sorted(set(chosen))
    edits = cdist(candidates, chosen, scorer=Levenshtein.distance, dtype=np.int32).sum(axis=1)
    return candidates[int(edits.argmin())]


def constant_guess_cer(guess: str, references: Sequence[str]) -> float:
    """Edits over reference characters, as a fraction, when every answer is ``guess``."""
    edits = sum(Levenshtein.distance(guess, reference) for reference in references)
    return edits / max(1, sum(map(len, references)))
