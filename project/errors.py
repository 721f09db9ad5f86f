"""The error that a command says on one line."""


class UserError(ValueError):
    """What was typed, or a file that was given, is wrong: the message says what is, and what to do.

    A command ends with that one line and exit status 2. Every other exception keeps its traceback, for it comes out of
    code, which is to be debugged.
    """
