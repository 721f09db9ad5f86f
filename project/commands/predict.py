"""`python -m project predict`: classify images of your own with a run."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from project import plots
from project.callbacks.plots import output_names
from project.cli.keys import add_checkpoint, add_images
from project.cli.summary import print_summary
from project.cli.trainer import evaluation_trainer, open_run
from project.data.encoded_images import EncodedImages
from project.data.given_images import find_images, skipped
from project.errors import writing
from project.models import Classification, Objective
from project.run.folder import Run

if TYPE_CHECKING:
    from project.cli.main import CLI


def add_arguments(parser: Any) -> None:
    """Add ``--checkpoint`` and ``--images``."""
    add_checkpoint(parser)
    add_images(parser)


def run(cli: "CLI") -> None:
    """Predict with the checkpoint that ``--checkpoint`` names."""
    cli.build(pretrained=False)
    cli.run = open_run(cli)
    cli.trainer = evaluation_trainer(cli, "predict")
    data = cli.datamodule
    data.images = find_images(cli.config.images or [])
    batches = cli.trainer.predict(
        cli.model, datamodule=data, ckpt_path=str(cli.checkpoint), weights_only=True
    )
    predictions = torch.cat([batch.float() for batch in batches or []])
    rows = write_results(cli.run, data.predict_set, predictions, cli.model.objective, data)
    rows["predicted"] += f" with {cli.checkpoint.name}"
    print_summary(cli.run, cli.trainer, rows)


def write_results(
    run: Run, images: EncodedImages, predictions: Tensor, objective: Objective, data: Any
) -> dict[str, str]:
    """Write predictions.csv and a figure of the first 24 images, and give rows for the summary.

    Args:
        run: The run whose folder gets them.
        images: The user's N images, in order.
        predictions: Predictions (M, K) for the images that could be read.
        objective: What the predictions are.
        data: The data module, which may have names of the K outputs.
    """
    read = (~images.unreadable).nonzero()[: len(predictions), 0]
    names = output_names(data, predictions.shape[1])
    columns, cells = objective.table(predictions, names)
    write_table(run.predictions, [images.files.path(i) for i in read.tolist()], columns, cells)
    first, drawn = images.__getitems__(read[:24])
    captions, shown = [images.files.path(i).name for i in drawn.tolist()], torch.isin(read, drawn)
    title = f"{run.experiment}: predictions"
    if isinstance(objective, Classification):
        chosen = predictions[shown]
        figure = plots.top5_grid(first / 255, chosen, None, names, captions, title)
    else:
        said = [row[0] for row, wanted in zip(cells, shown.tolist(), strict=True) if wanted]
        captions = [f"{name}: {text}" for name, text in zip(captions, said, strict=True)]
        figure = plots.image_grid(first / 255, captions, title)
    plots.save(figure, run.figures / "predictions.png")
    return {"predicted": f"{len(read)} image(s)", **skipped(images), "table": str(run.predictions)}


def write_table(path: Path, images: list[Path], columns: list[str], rows: list[list[Any]]) -> None:
    """Write a row for each image: its path, then the cells of its prediction.

    The table is UTF-8, so that every program reads it: a byte of a path that is not is written as
    an escape.

    Args:
        path: CSV file to write.
        images: N files.
        columns: Names of the cells.
        rows: Cells of the N images.
    """
    with (
        writing(path),
        path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["image", *columns])
        writer.writerows([image, *row] for image, row in zip(images, rows, strict=True))
