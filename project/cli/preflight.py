"""Commands that need no Trainer: describe, check, prepare and export."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from project.cli.arguments import Arguments
from project.cli.machine import adapt, adapt_workers
from project.commands.check import check
from project.commands.describe import build, print_layers
from project.commands.export import export
from project.commands.prepare import prepare
from project.models.pretrained import skip_pretrained


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
        with skip_pretrained():  # the model is not used
            data = instantiate().data
        if settings.adapt_to_machine:
            adapt_workers(data, devices=1)
        prepare(data)
    elif arguments.command == "export":
        assert arguments.run is not None  # which `read_arguments` requires
        export(arguments.run, settings, instantiate)
    else:
        built, trainer = instantiate(), settings.trainer
        config = {"accelerator": trainer.accelerator, "precision": trainer.precision}
        if settings.adapt_to_machine:
            adapt(config, built.model, training=True)
            adapt_workers(built.data, devices=1)
        picture = (
            Path(settings.runs_dir) / (settings.experiment or arguments.experiment) / "check.png"
        )
        precisions = (str(trainer.precision), str(config["precision"]))
        check(built.data, built.model, trainer.max_epochs or 0, precisions, picture)
