"""The one exception for mistakes a user can make and fix."""

from __future__ import annotations


class UserError(ValueError):
    """A mistake in data, configuration or environment.

    The message is one sentence: what is wrong, where (``file:line`` or utterance id), what was
    expected and what to type next. Command line entry points show it without a traceback.
    """


def sentence_of(error: BaseException) -> str | None:
    """The sentence of a user's mistake, or None for any other error.

    Loader processes and workers that fairseq has started hand their error over inside a traceback
    (torch's ``ExceptionWrapper`` and ``ProcessRaisedException``): there it is the end of the text.
    """
    _, name, sentence = str(error).strip().rpartition(f"{UserError.__name__}: ")
    if name:
        return sentence
    return str(error) if isinstance(error, UserError) else None
