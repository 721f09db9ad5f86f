"""Run a command on folders, which takes no config."""

from argparse import ArgumentError
from typing import Any

from jsonargparse import ArgumentParser

from project.commands import import_command
from project.errors import UserError

STRICT: Any = {"exit_on_error": False, "allow_abbrev": False}  # of parsers


def run_folder_command(name: str, *words: str) -> None:
    """Run a command on folders.

    Raises:
        UserError: It needs runs, and none is given.
    """
    command = import_command(name)
    program = f"python -m project {name}"
    parser = ArgumentParser(prog=program, description=command.__doc__, **STRICT)
    command.add_arguments(parser)
    try:
        arguments = parser.parse_args(words)
    except ArgumentError as error:
        if str(error).endswith("required: runs"):
            raise UserError(f"give a run: {program} runs/digits") from None
        raise
    command.run(arguments)
