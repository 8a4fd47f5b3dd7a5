"""The one exception for mistakes a user can make and mend."""


class UserError(ValueError):
    """A mistake in data, configuration or environment.

    The message is one sentence: what is wrong, where (``file:line`` or utterance id), what was
    expected and what to type next. Command line entry points show it without a traceback.
    """
