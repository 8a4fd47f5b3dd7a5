"""Encoders that stay as they are: raw audio to all their hidden layers.

A family is a class with the methods of `FrozenEncoder`. Hidden layer 0 is what the first block
sees (after the convolutions and positions), layer i what block i made, and the last is the
encoder's output, behind its last layer norm where it has one: s3prl's and Hugging Face's order.

Whatever the family, an utterance has the same hidden layers alone and in any batch, so that they
can be computed once.

Shapes: B utterances, S samples, L hidden layers, T frames, C channels.
"""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

import numpy as np
import torch
from fairseq.models.wav2vec.wav2vec2_asr import Wav2Vec2CtcConfig, Wav2VecEncoder
from omegaconf import OmegaConf
from torch import nn

from fairseq_dro.errors import UserError
from fairseq_dro.models.layer_weighted.options import LayerWeightedCtcConfig
from fairseq_dro.models.wav2vec2 import Wav2Vec2
from fairseq_dro.models.whisper.dims import WhisperDims
from fairseq_dro.models.whisper.encoder import WhisperEncoder
from fairseq_dro.models.whisper.encoder_file import load_encoder, read_encoder
from fairseq_dro.models.whisper.log_mel import MAX_SECONDS, SAMPLE_RATE, n_positions


class FrozenEncoder(Protocol):
    """A module that never trains.

    Attributes:
        n_layers: L.
        width: C.
        most_samples: of audio that it takes at once; None: any number.
        takes_int16: whether audio may come in 16 bits, too.
        found_options: options of the section ``model`` that its file said.
    """

    n_layers: int
    width: int
    most_samples: int | None
    takes_int16: bool
    found_options: dict[str, Any]

    def frames_of(self, n_samples: np.ndarray) -> np.ndarray:
        """[N] frames of [N] samples."""

    def hidden(
        self, source: torch.Tensor, padding_mask: torch.Tensor | None
    ) -> tuple[list[torch.Tensor], torch.Tensor | None]:
        """L times [B, T, C], and [B, T] True behind the end of an utterance, None where none is.

        Args:
            source: [B, S] audio, zeros behind each end.
            padding_mask: [B, S] True behind the end.
        """


class WhisperLayers(nn.Module):
    """Whisper's encoder, without its decoder."""

    takes_int16 = True

    def __init__(self, dims: WhisperDims, pad_to_seconds: int) -> None:
        super().__init__()
        self.model = WhisperEncoder(dims, pad_to_seconds=pad_to_seconds)
        self.n_layers = dims.n_audio_layer + 1
        self.width = dims.n_audio_state
        self.most_samples = MAX_SECONDS * SAMPLE_RATE
        self.found_options = {"dims": dims.as_dict()}

    @classmethod
    def of(cls, cfg: LayerWeightedCtcConfig) -> WhisperLayers:
        """From ``whisper_path``, or of the sizes that a checkpoint holds, without its weights."""
        if cfg.normalize:
            raise UserError(
                "task.normalize=true scales the audio, which Whisper takes as it is: set "
                "task.normalize=false."
            )
        if cfg.dims is not None:
            return cls(WhisperDims.of(cfg.dims), cfg.pad_to_seconds)
        pretrained = read_encoder(cfg.whisper_path)
        encoder = cls(WhisperDims.of(pretrained.dims), cfg.pad_to_seconds)
        load_encoder(encoder.model, pretrained)
        return encoder

    def frames_of(self, n_samples: np.ndarray) -> np.ndarray:
        return n_positions(n_samples)

    def hidden(
        self, source: torch.Tensor, padding_mask: torch.Tensor | None
    ) -> tuple[list[torch.Tensor], torch.Tensor | None]:
        layers: list[torch.Tensor] = []
        outside = self.model(source, padding_mask, layers)["encoder_padding_mask"]
        if self.model.pad_to_seconds:  # the silence behind an utterance is no part of it
            n_frames = n_positions(source.size(1))
            layers = [layer[:, :n_frames] for layer in layers]
            if padding_mask is not None:
                own = n_positions((~padding_mask).sum(1, keepdim=True))
                outside = torch.arange(n_frames, device=source.device) >= own
        return layers, outside


class Wav2Vec2Layers(nn.Module):
    """wav2vec 2.0, XLS-R or MMS as fairseq builds them."""

    takes_int16 = False

    def __init__(self, cfg: LayerWeightedCtcConfig) -> None:
        """From ``w2v_path``, or by the options that a checkpoint holds, without its weights."""
        super().__init__()
        options = OmegaConf.structured(
            Wav2Vec2CtcConfig(
                w2v_path=cfg.w2v_path, w2v_args=cfg.w2v_args, normalize=cfg.normalize,
                data=cfg.data, ddp_backend="legacy_ddp", apply_mask=False, layerdrop=0.0,
            )
        )  # fmt: skip
        whole = Wav2VecEncoder(options)
        self.model = whole.w2v_model
        self.n_layers = len(self.model.encoder.layers) + 1
        self.width = self.model.encoder.embedding_dim
        self.most_samples = None
        self.found_options = {"w2v_args": options.w2v_args}
        # its group norm takes the mean over all frames, padding among them
        self.mixes_padding = options.w2v_args.model.extractor_mode == "default"
        self._frames = Wav2Vec2(whole).frames_of

    def frames_of(self, n_samples: np.ndarray) -> np.ndarray:
        return self._frames(n_samples)

    def hidden(
        self, source: torch.Tensor, padding_mask: torch.Tensor | None
    ) -> tuple[list[torch.Tensor], torch.Tensor | None]:
        if padding_mask is None or not self.mixes_padding:
            return self._hidden(source, padding_mask)
        n_samples = (~padding_mask).sum(1).tolist()
        alone = [self._hidden(row[None, :n], None)[0] for row, n in zip(source, n_samples)]
        layers = [
            nn.utils.rnn.pad_sequence([one[0] for one in layer], batch_first=True)
            for layer in zip(*alone)
        ]
        n_frames = torch.tensor([one[0].size(1) for one in alone], device=source.device)
        outside = torch.arange(layers[0].size(1), device=source.device) >= n_frames.unsqueeze(1)
        return layers, outside

    def _hidden(
        self, source: torch.Tensor, padding_mask: torch.Tensor | None
    ) -> tuple[list[torch.Tensor], torch.Tensor | None]:
        first: list[torch.Tensor] = []
        block = self.model.encoder.layers[0]
        handle = block.register_forward_pre_hook(lambda _, args: first.append(args[0]))
        try:
            found = self.model.extract_features(source, padding_mask)
        finally:
            handle.remove()
        n_frames = found["x"].size(1)  # fairseq pads to a multiple of required_seq_len_multiple
        inner = [layer[0] for layer in found["layer_results"][:-1]]  # [T, B, C]
        layers = [layer[:n_frames].transpose(0, 1) for layer in (*first, *inner)]
        return [*layers, found["x"]], found["padding_mask"]


def frozen_encoder(cfg: LayerWeightedCtcConfig) -> WhisperLayers | Wav2Vec2Layers:
    """The encoder that the options name, or that a checkpoint's options describe.

    Raises:
        UserError: they name none or two, or a file is not what it must be.
    """
    if cfg.whisper_path and cfg.w2v_path:
        raise UserError(
            "model.w2v_path and model.whisper_path name two encoders, and one is trained on: leave "
            "one out."
        )
    if cfg.whisper_path or cfg.dims is not None:
        return WhisperLayers.of(cfg)
    if cfg.w2v_path or cfg.w2v_args is not None:
        return Wav2Vec2Layers(cfg)
    raise UserError(
        "the encoder is missing: type model.w2v_path=FILE (wav2vec 2.0, XLS-R, MMS) or "
        "model.whisper_path=FOLDER."
    )


def checksum_of(encoder: nn.Module) -> str:
    """Sixteen digits that another encoder does not have: of all its weights and buffers."""
    digest = hashlib.sha256()
    for name, value in sorted(encoder.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)}".encode())
        digest.update(value.detach().float().contiguous().numpy())
    return digest.hexdigest()[:16]
