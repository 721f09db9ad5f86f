"""`python -m project check`: find mistakes in data and model, in seconds."""

from pathlib import Path
from typing import TYPE_CHECKING

from project.cli.machine import adapt, adapt_workers
from project.commands.check.card import Card
from project.commands.check.data import check_data
from project.commands.check.model import check_model
from project.data import ImageDataModule
from project.errors import UserError
from project.models import Architecture

if TYPE_CHECKING:
    from project.cli.main import CLI


def run(cli: "CLI") -> None:
    """Check the configured data and model."""
    cli.build()
    shape = getattr(cli.datamodule, "input_shape", ())
    if len(shape) not in (1, 3) or not isinstance(cli.model, Architecture):
        raise UserError(
            "check is for an architecture on images (C, H, W) or features (D,): try other "
            "trainings with fit --trainer.fast_dev_run true"
        )
    config, trainer = cli.config, cli.config.trainer
    adapted = {"accelerator": trainer.accelerator, "precision": trainer.precision}
    if config.adapt_to_machine:
        adapt(adapted, cli.model, training=True)
        adapt_workers(cli.datamodule, devices=1)
    picture = Path(config.runs_dir) / (config.experiment or cli.arguments.experiment) / "check.png"
    precisions = (str(trainer.precision), str(adapted["precision"]))
    check(cli.datamodule, cli.model, max(trainer.max_epochs or 0, 0), precisions, picture)


def check(
    data: ImageDataModule,
    model: Architecture,
    epochs: int,
    precisions: tuple[str, str],
    picture: Path,
) -> None:
    """Print a card of checks of the data, the model and both together.

    The test set is opened, but only to compare its images with the others.

    Args:
        data: The dataset; missing files are downloaded.
        model: The model, which is left as it is.
        epochs: Number of epochs of a run, to estimate its time; 0 for no end.
        precisions: The Trainer's precision in the config, and the one that `fit` uses on this
            machine.
        picture: PNG file for a figure of augmented images.

    Raises:
        UserError: A check failed; the card says why.
    """
    card = Card(f"{type(data).__name__} and {type(model).__name__}")
    check_data(card, data, picture)
    check_model(card, data, model, epochs, *precisions)
    card.print()
    if wrong := card.wrong:
        raise UserError(
            f"check found {len(wrong)} problem(s): {', '.join(wrong)}; see the card above"
        )
