"""What is done with runs between two trainings: the commands compare, results, report and sweep.

Each is a module with `add_arguments`, `run` and a docstring that is its help.
"""

from importlib import import_module

from jsonargparse import ArgumentParser


def run_folder_command(command: str, *args: str) -> None:
    """Run one of the commands with its arguments.

    Raises:
        UserError: An argument cannot be used.
    """
    module = import_module(f"project.commands.{command}")
    parser = ArgumentParser(
        prog=f"python -m project {command}", description=module.__doc__, exit_on_error=False
    )
    module.add_arguments(parser)
    module.run(parser.parse_args(args))
