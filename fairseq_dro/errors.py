"""The one exception for mistakes a user can make and mend."""


class UserError(ValueError):
    """A mistake in data, configuration or environment.

    The message is one sentence: what is wrong, where (``file:line`` or utterance id), what was
    expected and what to type next. Command line entry points show it without a traceback.
    """


def sentence_of(error: UserError) -> str:
    """The sentence itself, also where a data loader process sent it inside a traceback.

    torch's ``ExceptionWrapper`` raises the same class with the worker's traceback as its message.
    """
    return str(error).strip().rpartition(f"{UserError.__name__}: ")[2]
