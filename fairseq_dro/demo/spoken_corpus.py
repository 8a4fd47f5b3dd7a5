"""Plan and speak a synthetic multilingual corpus, deterministic by seed.

Every sentence is one to three words of :func:`vocabulary` in random order. Sentences of valid and
test have two or three, occur once, and are never heard in training; words and voices are shared
between splits. Languages get unequal hours to train on and as many utterances to test, and every
third language, counted from the last one, is spoken in noise: the last language has both the fewest
utterances and the most noise.
"""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairseq_dro.data.manifest_writer import SAMPLE_RATE
from fairseq_dro.demo.espeak import synthesiser
from fairseq_dro.demo.spoken_languages import SpokenLanguage, vocabulary
from fairseq_dro.errors import UserError
from fairseq_dro.processes import n_cores

logger = logging.getLogger(__name__)

VARIANTS = ("m3", "f2", "m7", "f4")  # espeak-ng's own speaker variants: two low, two high
_EVAL_SHARE = 0.2  # of the training utterances of a mean language, for valid and test each
_LEAST_EVAL = 8


@dataclass(frozen=True)
class SpokenUtterance:
    """What is to be said, and how.

    Attributes:
        noise_db: signal-to-noise ratio in dB, or None for clean speech.
        seed: of the noise.
    """

    utterance_id: str
    split: str
    language: str
    text: str
    voice: str
    words_per_minute: int
    pitch: int
    noise_db: float | None
    seed: int


def train_counts(n_languages: int, n_utterances: int, spread: float = 3.0) -> list[int]:
    """Training utterances per language: a geometric series, at least 12 each.

    Args:
        spread: the first language has so many times the utterances of the last.
    """
    shares = np.geomspace(spread, 1.0, n_languages)
    return [max(12, round(share)) for share in shares / shares.sum() * n_utterances]


def noise_levels(n_languages: int, noise_db: float = 6.0) -> list[float | None]:
    """Signal-to-noise ratio per language in dB, None for clean speech.

    Args:
        noise_db: of the last language; each third before it has 10.
    """
    levels: list[float | None] = [None] * n_languages
    for index in range(n_languages - 4, -1, -3):
        levels[index] = 10.0
    levels[-1] = noise_db
    return levels


def plan_corpus(
    languages: Sequence[SpokenLanguage],
    n_utterances: int,
    n_words: int,
    seed: int,
    spread: float = 3.0,
    noise_db: float = 6.0,
) -> list[SpokenUtterance]:
    """Decide every utterance; no sentence of valid or test occurs a second time.

    Args:
        n_utterances: of the training split, over all languages.
        n_words: at most this many entries of each vocabulary are used.
        spread: the first language has so many times the training utterances of the last.
        noise_db: signal-to-noise ratio of the last language.

    Raises:
        UserError: a vocabulary is too small for that many different sentences.
    """
    counts = train_counts(len(languages), n_utterances, spread)
    levels = noise_levels(len(languages), noise_db)
    n_eval = max(_LEAST_EVAL, round(_EVAL_SHARE * n_utterances / len(languages)))
    plan: list[SpokenUtterance] = []
    for language, n_train, level in zip(languages, counts, levels):
        # The language's own generator: its speech does not depend on the other languages.
        generator = np.random.default_rng([seed, *language.code.encode()])
        splits = ["valid"] * n_eval + ["test"] * n_eval + ["train"] * n_train
        words = vocabulary(language)[:n_words]
        held_out = _held_out_sentences(words, 2 * n_eval, generator, language)
        sentences = held_out + _training_sentences(words, n_train, generator, held_out)
        for number, (split, text) in enumerate(zip(splits, sentences)):
            variant = VARIANTS[int(generator.integers(len(VARIANTS)))]
            plan.append(
                SpokenUtterance(
                    utterance_id=f"espeak_{language.code}_{number:06d}",
                    split=split,
                    language=language.code,
                    text=text,
                    voice=f"{language.voice}+{variant}",
                    words_per_minute=int(generator.integers(140, 201)),
                    pitch=int(generator.integers(30, 71)),
                    noise_db=level,
                    seed=int(generator.integers(2**31)),
                )
            )
    return plan


def _held_out_sentences(
    words: tuple[str, ...],
    n_sentences: int,
    generator: np.random.Generator,
    language: SpokenLanguage,
) -> list[str]:
    sentences: dict[str, None] = {}
    for _ in range(20 * n_sentences):
        sentences[_sentence(words, 2, generator)] = None
        if len(sentences) == n_sentences:
            return list(sentences)
    raise UserError(
        f"{language.code}: {len(words)} words do not make {n_sentences} different sentences for "
        "valid and test; lower --utterances or raise --words."
    )


def _training_sentences(
    words: tuple[str, ...], n_sentences: int, generator: np.random.Generator, held_out: list[str]
) -> list[str]:
    sentences = list(words)  # each word alone first: training knows every word and symbol
    forbidden = set(held_out)
    while len(sentences) < n_sentences:
        sentence = _sentence(words, 1, generator)
        if sentence not in forbidden:
            sentences.append(sentence)
    return sentences[:n_sentences]


def _sentence(words: tuple[str, ...], fewest: int, generator: np.random.Generator) -> str:
    chosen = generator.choice(
        len(words), size=int(generator.integers(fewest, 4)), replace=False
    )
    return " ".join(words[index] for index in chosen)


def speak_corpus(
    plan: Sequence[SpokenUtterance], folder: Path, workers: int | None = None
) -> Iterator[list[tuple[SpokenUtterance, Path]]]:
    """Write ``folder/<language>/<id>.flac`` and yield what was spoken of one language at a time.

    Each language is spoken in a fresh process from its first utterance to its last: the library
    keeps state between sentences (such as the phase of the pitch flutter), so only this makes the
    samples independent of the number of workers and of the other languages.

    Raises:
        UserError: the synthesiser stays silent for a sentence, or the wheel is missing.
    """
    by_language: dict[str, list[SpokenUtterance]] = {}
    for utterance in plan:
        by_language.setdefault(utterance.language, []).append(utterance)
    context = multiprocessing.get_context("spawn")
    jobs = [(utterances, str(folder)) for utterances in by_language.values()]
    n_workers = min(len(jobs), workers or n_cores())
    with context.Pool(n_workers, maxtasksperchild=1) as pool:
        yield from pool.imap(_speak_language, jobs, chunksize=1)


def _speak_language(
    job: tuple[list[SpokenUtterance], str]
) -> list[tuple[SpokenUtterance, Path]]:
    import soundfile

    utterances, folder = job
    written = []
    for utterance in utterances:
        samples = synthesise(utterance)
        path = Path(folder) / utterance.language / f"{utterance.utterance_id}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, SAMPLE_RATE, subtype="PCM_16")
        written.append((utterance, path))
    return written


def synthesise(utterance: SpokenUtterance) -> np.ndarray:
    """One utterance with its noise: [T] float32 at 16 kHz, within -1 and 1.

    Raises:
        UserError: the synthesiser stays silent, as it does for a script it cannot read.
    """
    speech = synthesiser().speak(
        utterance.text, utterance.voice, words_per_minute=utterance.words_per_minute,
        pitch=utterance.pitch,
    )  # fmt: skip
    loudness = float(np.sqrt(np.mean(np.square(speech)))) if len(speech) else 0.0
    if loudness < 1e-4:
        raise UserError(
            f"libespeak-ng's voice {utterance.voice} stays silent for {utterance.text!r} "
            f"(utterance {utterance.utterance_id}): leave {utterance.language} out of --languages."
        )
    if utterance.noise_db is not None:
        speech = add_noise(speech, utterance.noise_db, utterance.seed)
    peak = float(np.abs(speech).max())
    return speech / peak * 0.9 if peak > 0.9 else speech


def add_noise(speech: np.ndarray, noise_db: float, seed: int) -> np.ndarray:
    """Add white noise ``noise_db`` dB below the speech's mean power; [T] float32, not clipped."""
    noise = np.random.default_rng(seed).standard_normal(len(speech))
    loudness = float(np.sqrt(np.mean(np.square(speech))))
    return speech + (loudness / 10 ** (noise_db / 20) * noise).astype(np.float32)


def fingerprint(plan: Sequence[SpokenUtterance]) -> str:
    """A short digest of a plan, to recognise a folder that was made from the same one."""
    return hashlib.sha256(repr(list(plan)).encode()).hexdigest()[:16]
