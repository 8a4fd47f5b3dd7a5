"""A trained model by itself: audio in, text out, without a manifest and without references.

    model = fairseq_dro.load("runs/finetune/ctc_dro")
    print(model.transcribe("talk.mp3").text)

Shapes: B pieces of audio, S samples of the longest.
"""

from __future__ import annotations

import atexit
import dataclasses
import math
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from fairseq import checkpoint_utils, tasks
from fairseq.data.data_utils import post_process
from omegaconf import OmegaConf

from fairseq_dro import own_runs
from fairseq_dro.decoding import published
from fairseq_dro.decoding.greedy import GreedyDecoder
from fairseq_dro.decoding.infer_options import configuration_of, post_process_of
from fairseq_dro.decoding.long_audio import cut, read_audio
from fairseq_dro.decoding.unlabelled import write_dictionary
from fairseq_dro.errors import UserError
from fairseq_dro.models.family import family_of, least_samples
from fairseq_dro.models.whisper.log_mel import MAX_SECONDS
from fairseq_dro.runs.decodable import checkpoint_of
from fairseq_dro.scoring.text import split_language_token

MOST_SECONDS = 25.0
"""Of a piece: Whisper takes 30 s, and wav2vec 2.0 was trained on shorter audio."""
BATCH_SECONDS = 100.0
"""Padded seconds of the pieces that are decoded together."""

Progress = Callable[[Sequence[Any]], Iterable[Any]]


class Decoder(Protocol):
    """What a model family has to do for `SpeechModel`.

    Attributes:
        most_seconds: of audio that it takes at once.
    """

    most_seconds: float

    def texts(
        self, source: torch.Tensor, padding_mask: torch.Tensor, language: str | None
    ) -> list[str]:
        """B texts.

        Args:
            source: [B, S] audio, zeros behind each end.
            padding_mask: [B, S] True behind the end.
            language: ISO 639-3; None where it is not known. A CTC model does not ask.

        Raises:
            UserError: the model asks, and does not know this language.
        """


class CtcDecoder:
    """Greedy search, and units joined to text as in training, without a language token."""

    most_seconds = math.inf

    def __init__(self, model: Any, task: Any, join: str) -> None:
        self.model, self.join = model, join
        self.dictionary = task.target_dictionary
        self.greedy = GreedyDecoder(self.dictionary)
        self.writes_tokens = bool(task.cfg.get("language_token", False))

    def texts(
        self, source: torch.Tensor, padding_mask: torch.Tensor, language: str | None
    ) -> list[str]:
        net_input = {"source": source, "padding_mask": padding_mask}
        found = self.greedy.generate([self.model], {"net_input": net_input})
        units = (self.dictionary.string(one[0]["tokens"].int()) for one in found)
        texts = (post_process(line, self.join) for line in units)
        return [split_language_token(text, any_code=self.writes_tokens)[1] for text in texts]


class WhisperDecoder:
    """Greedy search behind a prompt of the language, detected where it is not given."""

    most_seconds = float(MAX_SECONDS)

    def __init__(self, model: Any, task: Any) -> None:
        self.model, self.task = model, task

    def texts(
        self, source: torch.Tensor, padding_mask: torch.Tensor, language: str | None
    ) -> list[str]:
        if language is not None:
            self._require_token(language)
        given = [language] * len(source)
        found = self.task.recogniser.recognise(self.model, source, padding_mask, given)
        return [one.text for one in found]

    def _require_token(self, language: str) -> None:
        """Without a token it would be detected, whatever was given."""
        self.task.name_tokens_of_unseen([language])
        if self.task.vocabulary.token_of(language) is None:
            raise UserError(
                f"the model has no token for the language {language}: give a code of ISO 639-3 "
                "such as deu, or none, and the language is detected."
            )


@dataclasses.dataclass(frozen=True)
class TranscribedPiece:
    """A stretch of a recording and its text, in seconds from the start."""

    start: float
    end: float
    text: str


@dataclasses.dataclass(frozen=True)
class Transcript:
    """What was said in a recording."""

    seconds: float
    pieces: tuple[TranscribedPiece, ...]

    @property
    def text(self) -> str:
        """All of it in one line."""
        return " ".join(filter(None, (one.text.strip() for one in self.pieces)))

    def as_record(self) -> dict[str, Any]:
        """In plain values, with times in seconds."""
        return {
            "seconds": self.seconds,
            "text": self.text,
            "pieces": [dataclasses.asdict(one) for one in self.pieces],
        }


class SpeechModel:
    """See ``fairseq_dro.load``."""

    def __init__(self, path: str | Path, device: str | None = None) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        state, self.path = _read(Path(path))
        saved = configuration_of(state, str(self.path))
        self.task = tasks.setup_task(_task_options(saved, state))
        (self.model,), _ = checkpoint_utils.load_model_ensemble(
            [str(self.path)], task=self.task, state=state
        )
        self.model.to(self.device).eval()
        family = family_of(self.model)
        self._least = least_samples(family.frames_of) if family else 1
        self.decoder: Decoder = (
            WhisperDecoder(self.model, self.task)
            if hasattr(self.task, "recogniser")
            else CtcDecoder(self.model, self.task, post_process_of(saved))
        )

    @property
    def sample_rate(self) -> int:
        """Samples a second of the audio that `texts` takes."""
        return int(self.task.cfg.sample_rate)

    def transcribe(
        self,
        path: str | Path,
        language: str | None = None,
        *,
        most_seconds: float = MOST_SECONDS,
        progress: Progress = lambda batches: batches,
    ) -> Transcript:
        """The text of a recording of any length, cut at silences.

        Args:
            path: a file that soundfile reads, at any rate, with any number of channels.
            language: ISO 639-3, for models that ask for it (Whisper); None: it is detected.
            most_seconds: length of the longest piece, 1 or more.
            progress: wraps the list of batches, to show how far it is.

        Raises:
            UserError: the file is not there, or is no audio; the model asks for a language and
                does not know this one; ``most_seconds`` is out of range.
        """
        if not 1 <= most_seconds <= self.decoder.most_seconds:
            most = self.decoder.most_seconds
            raise UserError(
                f"pieces of {most_seconds:g} s (most_seconds) are out of range: this model takes 1 "
                + (f"to {most:g} s." if math.isfinite(most) else "s or more.")
            )
        audio = read_audio(path, self.sample_rate)
        pieces = list(cut(audio, self.sample_rate, most_seconds))
        size = max(int(BATCH_SECONDS / most_seconds), 1)
        batches = [pieces[i : i + size] for i in range(0, len(pieces), size)]
        found = []
        for batch in progress(batches):
            texts = self.texts([audio[one.begin : one.end] for one in batch], language)
            found += [
                TranscribedPiece(*(round(n / self.sample_rate, 3) for n in one), text)
                for one, text in zip(batch, texts)
            ]
        return Transcript(round(len(audio) / self.sample_rate, 3), tuple(found))

    @torch.no_grad()
    def texts(self, audio: Sequence[np.ndarray], language: str | None = None) -> list[str]:
        """Texts of B pieces of audio, each [S] float32 at ``sample_rate``.

        What is too short for a frame of the model has the empty text.
        """
        rows = [row for row, one in enumerate(audio) if len(one) >= self._least]
        texts = [""] * len(audio)
        if not rows:
            return texts
        tensors = [torch.from_numpy(np.ascontiguousarray(audio[row])) for row in rows]
        if self.task.cfg.normalize:  # as raw_audio_dataset.py:69
            tensors = [F.layer_norm(one, one.shape) for one in tensors]
        lengths = torch.tensor([len(one) for one in tensors])
        source = torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True)
        padding_mask = torch.arange(source.size(1)) >= lengths.unsqueeze(1)
        found = self.decoder.texts(
            source.to(self.device), padding_mask.to(self.device), language
        )
        for row, text in zip(rows, found):
            texts[row] = text
        return texts


def _read(path: Path) -> tuple[dict[str, Any], Path]:
    file = checkpoint_of(path)
    if file.is_dir():
        return published.as_checkpoint(str(file)), file
    return checkpoint_utils.load_checkpoint_to_cpu(str(file)), file


def _task_options(saved: Any, state: dict[str, Any]) -> Any:
    """Those of training, with a data folder that holds the dictionary alone."""
    if saved.task.get("labels") is None:
        raise UserError(
            "this is a pre-trained model, which has no output layer to write with: fine-tune it "
            "first, with `fairseq-dro train`."
        )
    folder = Path(tempfile.mkdtemp(prefix="fairseq_dro_dictionary_"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    write_dictionary(folder / f"dict.{saved.task.labels}.txt", state)
    options = OmegaConf.create(OmegaConf.to_container(saved.task, resolve=True, enum_to_str=True))
    options.data = str(folder)
    if own_runs.is_own_task(options._name):
        options.allow_unseen = True
    return options
