"""By which rules texts are compared: profile, unit and alignment.

The *default* profile is that of ``scoring/text.py``. The profile *ml_superb* is that of the 2025
ML-SUPERB challenge (ESPnet, egs2/ml_superb2/asr1/local/score.py), which differs in more than one
would think:

- all Unicode punctuation (category P) is removed and the text is upper-cased;
- spaces are removed for cmn, jpn, tha and yue, as by default; elsewhere a lone punctuation mark
  leaves its two spaces;
- the CER of a language is the mean of its utterances' CERs, each with the same weight;
- an utterance whose reference is then empty is left out, of language identification as well;
- where the reference begins with ``[iso]`` and the hypothesis does not, the first five characters
  of the hypothesis are cut off all the same.

One thing is not reproduced: their texts are compared as they are, ours after NFC.
"""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Callable, Hashable, Sequence

import regex

from fairseq_dro.languages import scored_without_spaces
from fairseq_dro.scoring.edits import EditCounts, count_edits, count_sclite_edits
from fairseq_dro.scoring.records import Record
from fairseq_dro.scoring.text import normalize, scored_texts

PROFILES = ("default", "ml_superb")
UNITS = ("codepoint", "grapheme")
ALIGNMENTS = ("shortest", "sclite")
_GRAPHEME = regex.compile(r"\X")
_TOKEN_LENGTH = 5  # of "[deu]"


class _WithoutPunctuation(dict):
    """A table for str.translate that learns as it goes."""

    def __missing__(self, code: int) -> int | None:
        self[code] = None if unicodedata.category(chr(code))[0] == "P" else code
        return self[code]


_WITHOUT_PUNCTUATION = _WithoutPunctuation()


@dataclasses.dataclass(frozen=True)
class Convention:
    """How two texts are compared."""

    profile: str = "default"  # see the head of the file
    unit: str = "codepoint"  # what a character is: a code point after NFC, or a grapheme cluster
    alignment: str = "shortest"  # fewest errors, or sclite's costs

    @property
    def utterance_mean(self) -> bool:
        """Whether a language's CER is the mean over utterances, not errors over characters."""
        return self.profile == "ml_superb"

    def score(self, record: Record) -> Record:
        """The record with its texts compared anew.

        Raises:
            UserError: see ``edits.count_sclite_edits``.
        """
        reference, hypothesis = record.reference, record.hypothesis
        target = record.target_language
        if self.profile == "ml_superb":
            if target is not None and record.predicted_language is None:
                hypothesis = hypothesis[_TOKEN_LENGTH:]
            reference, hypothesis = (
                ml_superb_text(text, record.language or target)
                for text in (reference, hypothesis)
            )
            if not reference:
                return dataclasses.replace(
                    record, target_language=None, characters=EditCounts(), words=EditCounts()
                )
            pairs = (reference, hypothesis), (reference.split(), hypothesis.split())
        else:
            pairs = scored_texts(reference, hypothesis, record.language)
        units = tuple(self._units(text) for text in pairs[0])
        characters, words = self._count(*units), self._count(*pairs[1])
        if characters == record.characters and words == record.words:
            return record
        return dataclasses.replace(record, characters=characters, words=words)

    def _units(self, text: str) -> Sequence[Hashable]:
        return _GRAPHEME.findall(text) if self.unit == "grapheme" else text

    @property
    def _count(self) -> Callable[[Sequence[Hashable], Sequence[Hashable]], EditCounts]:
        return count_sclite_edits if self.alignment == "sclite" else count_edits


def ml_superb_text(text: str, language: str | None) -> str:
    """What ML-SUPERB's score.py compares; ``text`` is without language token."""
    text = normalize(text)
    if language is not None and scored_without_spaces(language):
        text = text.replace(" ", "")
    return text.translate(_WITHOUT_PUNCTUATION).upper().strip()
