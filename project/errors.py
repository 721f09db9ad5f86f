"""The error that a command says on one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UserError(ValueError):
    """What was typed, or a file that was given, is wrong: the message says what is, and what to do.

    A command ends with that one line and exit status 2. Every other exception keeps its traceback,
    for it comes out of code, which is to be debugged.
    """


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise UserError if ``path`` cannot be written."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write {path} ({error.strerror}): give another place, or free its disk"
        ) from None


def printable(text: str) -> str:
    """``text`` on one line, with � for control characters and bytes that are not UTF-8."""
    return "".join(" " if c.isspace() else c if c.isprintable() else "\ufffd" for c in text)
