"""Target units of a text: characters, grapheme clusters or sentencepiece units."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from fairseq_dro.errors import UserError
from fairseq_dro.text.tags import is_tag
from fairseq_dro.whole_file import whole_file

WORD_BOUNDARY = "|"
SENTENCEPIECE_MODEL = "sentencepiece.model"
MOST_SENTENCES = 1_000_000  # that a sentencepiece model is trained on, drawn evenly


class Units(ABC):
    """How a text becomes a line of labels.

    Attributes:
        label_type: suffix of the label files and of the dictionary.
    """

    label_type: ClassVar[str] = "ltr"

    @abstractmethod
    def labels(self, text: str) -> str:
        """Units separated by spaces."""


class Characters(Units):
    """Code points; words end in ``|``, as fairseq's post-processing ``letter`` wants it.

    Args:
        whole_tags: a word that is a tag is one unit.
    """

    def __init__(self, whole_tags: bool = False) -> None:
        self._whole_tags = whole_tags

    def labels(self, text: str) -> str:
        return " ".join(f"{' '.join(self._units_of(word))} |" for word in text.split())

    def _units_of(self, word: str) -> Sequence[str]:
        return (word,) if self._whole_tags and is_tag(word) else self._split(word)

    def _split(self, word: str) -> Sequence[str]:
        return word


class Graphemes(Characters):
    """Extended grapheme clusters of Unicode: a letter with its marks is one unit."""

    def _split(self, word: str) -> Sequence[str]:
        import regex

        return regex.findall(r"\X", word)


class Sentencepiece(Units):
    """Units of a sentencepiece model; the label files are called ``.spm``.

    Raises:
        UserError: there is no such model.
    """

    label_type = "spm"

    def __init__(self, model: Path) -> None:
        import sentencepiece

        if not model.is_file():
            raise UserError(f"{model} does not exist: expected a sentencepiece model.")
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
        except (RuntimeError, OSError) as error:
            raise UserError(f"{model} is not a sentencepiece model ({error}).") from None

    def labels(self, text: str) -> str:
        return " ".join(self._processor.encode(text, out_type=str))


def train_sentencepiece(
    texts: Sequence[str], n_units: int, model: Path, tags: Sequence[str] = ()
) -> None:
    """Train a unigram model on texts and write it; the same texts give the same model.

    Args:
        tags: words that are to be one unit each.

    Raises:
        UserError: the texts do not make that many units.
    """
    import io

    import sentencepiece

    step = max(1, -(-len(texts) // MOST_SENTENCES))
    written = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts[::step]), model_writer=written, vocab_size=n_units,
            model_type="unigram", character_coverage=1.0, normalization_rule_name="identity",
            bos_id=-1, eos_id=-1, pad_id=-1, num_threads=1, minloglevel=2,
            user_defined_symbols=list(tags),
        )  # fmt: skip
    except (RuntimeError, OSError) as error:
        reason = str(error).strip().rpartition("] ")[2]  # what precedes is its own source line
        raise UserError(
            f"--vocabulary-size {n_units} does not suit these texts ({reason}): choose another."
        ) from None
    model.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(model) as partial:
        partial.write_bytes(written.getvalue())
