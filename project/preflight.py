"""Commands that need no Trainer: describe, check, prepare and export."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from project.arguments import Arguments
from project.check import check
from project.describe import build, print_layers
from project.export import export
from project.models.weights import weights_superseded
from project.prepare import prepare


def preflight(arguments: Arguments, settings: Any, instantiate: Callable[[], Any]) -> None:
    """Run one of the commands.

    Args:
        arguments: The command line.
        settings: The parsed config.
        instantiate: Makes the objects of the config, among them ``data`` and ``model``.
    """
    if arguments.command == "describe":
        print_layers(build(settings))
    elif arguments.command == "prepare":
        with weights_superseded():  # the model is not used
            prepare(instantiate().data)
    elif arguments.command == "export":
        assert arguments.run is not None  # which `read_arguments` requires
        export(arguments.run, settings, instantiate)
    else:
        built = instantiate()
        picture = Path(settings.runs_dir) / (settings.experiment or arguments.experiment) / "check.png"
        trainer = settings.trainer
        check(built.data, built.model, trainer.max_epochs or 0, str(trainer.precision), picture)
