"""What a run would do with a folder, as far as the checks of data need to know."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairseq_dro.batching.planner import BatchPlanner, GroupSampling
from fairseq_dro.conv_layers import Layers
from fairseq_dro.group_by import BY_LANGUAGE, GroupBy
from fairseq_dro.models import wav2vec2
from fairseq_dro.models.wav2vec2 import LAYERS


@dataclass(frozen=True)
class RunSettings:
    """Values of a configuration; the defaults are those of the task.

    Attributes:
        is_of_config: a configuration said so, so its splits must exist.
        layers: (channels, kernel, stride) of the model's extractor.
        min_samples: ``task.min_sample_size``.
        max_samples, max_samples_valid: ``dataset.max_tokens`` and ``max_tokens_valid``.
        micro_batches: ``optimization.update_freq`` of the first epoch.
        post_process: how units become text; None where no configuration says it.
        compares_sums: q moves by the sums of batches, whatever they hold.
        is_whisper: the units are those of a Whisper's tokenizer, which comes with the weights.
        subsampling: frames of the encoder for one that CTC sees.
        plans_batches: False where a configuration was named and there is none to plan by.
    """

    is_of_config: bool = False
    train_subset: str = "train"
    valid_subsets: tuple[str, ...] = ("valid",)
    label_type: str = "ltr"
    group_by: GroupBy = BY_LANGUAGE
    language_token: bool = False
    skip_infeasible: bool = False
    sample_rate: int = 16_000
    batch_seconds: float = 50.0
    min_samples: int = 0
    max_samples: int | None = None
    max_samples_valid: int | None = None
    skips_too_long: bool = False
    max_utterances: int | None = None
    sampling: GroupSampling = BatchPlanner.sampling
    temperature: float = BatchPlanner.temperature
    length_noise: float = BatchPlanner.length_noise
    seed: int = BatchPlanner.seed
    workers: int = 1
    micro_batches: int = 1
    post_process: str | None = None
    compares_sums: bool = True
    is_whisper: bool = False
    whisper_path: str | None = None
    tokenizer_path: str | None = None
    plans_batches: bool = True
    layers: Layers = LAYERS
    subsampling: int = 1

    def frames_of(self, n_samples: np.ndarray) -> np.ndarray:
        """[N] frames that CTC sees of [N] samples."""
        if self.whisper_path is not None:
            from fairseq_dro.models.whisper.log_mel import n_positions  # imports torch

            frames = n_positions(n_samples)
        else:
            frames = wav2vec2.frames_of(n_samples, self.layers)
        return -(-frames // self.subsampling)

    def planner(self) -> BatchPlanner:
        """The one that training would use."""
        return BatchPlanner(
            batch_samples=self.batch_seconds * self.sample_rate,
            max_padded_samples=self.max_samples,
            max_utterances=self.max_utterances,
            sampling=self.sampling,
            temperature=self.temperature,
            length_noise=self.length_noise,
            seed=self.seed,
        )
