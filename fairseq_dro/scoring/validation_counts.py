"""What a validation counts of a text that a decoder wrote, so that sums by group give rates."""

from __future__ import annotations

from fairseq_dro.scoring.as_written import count_as_written, loops
from fairseq_dro.scoring.lower import lower_form
from fairseq_dro.scoring.utterances import count_text_errors

LOWER = ("char_errors", "reference_characters", "word_errors", "words")
AS_WRITTEN = (
    "written_char_errors", "written_characters", "written_word_errors", "written_words",
    "n_looping", "n_recognised",
)  # fmt: skip
AT_END = tuple(f"{name}_at_end" for name in LOWER)
COLUMNS = (*LOWER, *AS_WRITTEN, *AT_END)


def count(
    reference: str,
    hypothesis: str,
    language: str,
    *,
    stopped: str | None = None,
    at_end: bool = False,
    only_at_end: bool = False,
) -> list[int]:
    """By ``COLUMNS``: errors and lengths in lower case without punctuation, and as written.

    Args:
        stopped: what the decoder stopped at, see ``Record.stopped``.
        at_end: this is the last validation of a run, which counts more utterances.
        only_at_end: this is one of those that other validations do not have.
    """
    lower = count_text_errors(
        lower_form(reference, language), lower_form(hypothesis, language), language
    )
    characters, words = count_as_written(reference, hypothesis, language)
    written = (
        characters.errors, characters.reference_length, words.errors, words.reference_length,
        int(loops(hypothesis, stopped)), 1,
    )  # fmt: skip
    always = [0] * len((*lower, *written)) if only_at_end else [*lower, *written]
    return [*always, *(lower if at_end else [0] * len(lower))]
