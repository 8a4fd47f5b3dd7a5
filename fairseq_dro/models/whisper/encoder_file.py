"""The encoder of a Whisper's files, for models that do without its decoder."""

from __future__ import annotations

from fairseq_dro.convert.pretrained_whisper import PretrainedWhisper
from fairseq_dro.convert.whisper import read_whisper
from fairseq_dro.errors import UserError
from fairseq_dro.models.checkpoint_checks import require_finite_weights, require_same_weights
from fairseq_dro.models.whisper.encoder import WhisperEncoder


def read_encoder(path: str | None) -> PretrainedWhisper:
    """What ``model.whisper_path`` names; the tokenizer may be missing.

    Raises:
        UserError: it names nothing, or nothing that holds a Whisper.
    """
    if not path:
        raise UserError(
            "model.whisper_path is missing: type model.whisper_path=FOLDER, a folder or file "
            "with Whisper's weights."
        )
    return read_whisper(path, needs_tokenizer=False)


def load_encoder(encoder: WhisperEncoder, pretrained: PretrainedWhisper) -> None:
    """Give an encoder of the same sizes its weights.

    Raises:
        UserError: they are not those of its sizes, or not finite.
    """
    weights = {
        name.removeprefix("encoder."): weight
        for name, weight in pretrained.weights.items()
        if name.startswith("encoder.")
    }
    require_same_weights(weights, encoder.state_dict(), pretrained.path)
    require_finite_weights(weights, pretrained.path)
    encoder.load_state_dict(weights)
