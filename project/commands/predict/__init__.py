"""`python -m project predict`: predict images, or rows of a table, with a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from project.callbacks.grad_cam_plots import check_explainable
from project.cli.keys import add_checkpoint, add_explain, add_images
from project.cli.summary import print_summary
from project.cli.trainer import evaluation_trainer, open_run
from project.commands.predict.images import explain, write_images
from project.commands.predict.rows import write_rows
from project.data.given_images import find_images
from project.errors import UserError
from project.models.checks import check_predicts

if TYPE_CHECKING:
    from project.cli.main import CLI


def add_arguments(parser: Any) -> None:
    """Add ``--checkpoint``, ``--images``, ``--table`` and ``--explain``."""
    add_checkpoint(parser)
    add_images(parser)
    parser.add_argument(
        "--table", type=str | None, help="CSV file with the columns that the run was trained on."
    )
    add_explain(parser)


def run(cli: "CLI") -> None:
    """Predict with the checkpoint that ``--checkpoint`` names."""
    cli.build(pretrained=False)
    check_predicts("predict", cli.model)
    data = cli.datamodule
    data.given = given_files(cli.config, data.input_shape)
    cli.run = open_run(cli)
    if cli.config.explain:
        check_explainable(cli.model, cli.config.explain_layer)
    cli.trainer = evaluation_trainer(cli, "predict")
    batches = cli.trainer.predict(
        cli.model, datamodule=data, ckpt_path=str(cli.checkpoint), weights_only=True
    )
    predictions = torch.cat([batch.float() for batch in batches or []])
    write = write_rows if cli.config.table else write_images
    rows = write(cli.run, data.predict_set, predictions, cli.model.objective, data)
    rows["predicted"] += f" with {cli.checkpoint.name}"
    if cli.config.explain:
        rows |= explain(cli, predictions)
    print_summary(cli.run, cli.trainer, rows)


def given_files(config: Any, input_shape: tuple[int, ...]) -> list[Path]:
    """The images that ``--images`` names, or the table of ``--table``.

    Args:
        config: The command's config.
        input_shape: That of the run's samples, which says which of the two it takes.

    Raises:
        UserError: The other one is given, or a file does not exist.
    """
    if len(input_shape) == 3:
        if config.table:
            raise UserError("--table is for runs on a table, and this one needs --images")
        return find_images(config.images or [])
    if config.images or not config.table:
        raise UserError(
            "this run was trained on features, not on images: give --table with rows like those "
            "of its CSV file; without such a file, predict arrays in Python by load(RUN).predict"
        )
    return [Path(config.table)]
