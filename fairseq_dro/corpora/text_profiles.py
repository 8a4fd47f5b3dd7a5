"""Rules that turn published text into what a model is trained to write; pure functions.

Every rule ends in Unicode NFC with single spaces between words and none at the ends.

========== ===========================================================================
as_is      the text as it is
keep_case  letters, marks and inner apostrophes; the rest becomes spaces or vanishes
lower      the same in lower case
ml_superb  ``[...]`` is taken out, ASCII punctuation vanishes, the rest is upper-cased
========== ===========================================================================
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable

from fairseq_dro.corpora.spelling import as_target_text, as_words

_BRACKETED = re.compile(r"\[[^\]]*\]")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def ml_superb(text: str) -> str:
    """The benchmark's rule (``process_text``, ESPnet ``egs2/ml_superb/asr1/local/data_prep.py``).

    One deviation: there, everything between the first ``[`` and the last ``]`` of a line goes,
    here each pair of brackets with what it holds.
    """
    return _spaced(_BRACKETED.sub("", text).translate(_NO_PUNCTUATION).upper())


def _spaced(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


PROFILES: dict[str, Callable[[str], str]] = {
    "as_is": _spaced,
    "keep_case": as_words,
    "lower": as_target_text,
    "ml_superb": ml_superb,
}
