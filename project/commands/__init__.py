"""The commands: a module or folder for each, which is imported when its command is used.

Each module's docstring is its help, and its function ``run`` is called: commands on a config take
the `CLI`, commands on run folders take the parsed arguments. ``add_arguments(parser)`` is optional.
"""

from importlib import import_module
from types import ModuleType

CONFIG_COMMANDS = {
    "fit": "train",
    "validate": "evaluate on the validation set",
    "test": "evaluate on the test set",
    "predict": "classify images of your own",
    "describe": "show the layers of a network",
    "check": "find out what is wrong with data and model",
    "prepare": "make a cache of resized images",
    "export": "write the network to one file",
}
FOLDER_COMMANDS = {
    "compare": "say what differs between runs",
    "report": "write one HTML file with all there is to see",
    "results": "write the results of experiments",
    "sweep": "search hyperparameters with Optuna",
}
COMMANDS = CONFIG_COMMANDS | FOLDER_COMMANDS


def import_command(name: str) -> ModuleType:
    """The module of a command."""
    return import_module(f"project.commands.{name}")
