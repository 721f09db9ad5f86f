"""`python -m project predict`: classify images of your own with a run."""

import csv
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from project import plots
from project.callbacks.grad_cam_plots import check_explainable
from project.callbacks.plots import output_names
from project.cli.keys import add_checkpoint, add_explain, add_images
from project.cli.summary import print_predictions, print_summary
from project.cli.trainer import evaluation_trainer, open_run
from project.data.encoded_images import EncodedImages
from project.data.given_images import find_images, skipped
from project.errors import writing
from project.models import Classification, Objective
from project.models.checks import check_predicts
from project.models.grad_cam import CHUNK, grad_cam
from project.run.folder import Run, shown

if TYPE_CHECKING:
    from project.cli.main import CLI


SHOWN = 24  # images in a figure


def add_arguments(parser: Any) -> None:
    """Add ``--checkpoint``, ``--images`` and ``--explain``."""
    add_checkpoint(parser)
    add_images(parser)
    add_explain(parser)


def run(cli: "CLI") -> None:
    """Predict with the checkpoint that ``--checkpoint`` names."""
    cli.build(pretrained=False)
    check_predicts("predict", cli.model)
    cli.run = open_run(cli)
    if cli.config.explain:
        check_explainable(cli.model, cli.config.explain_layer)
    cli.trainer = evaluation_trainer(cli, "predict")
    data = cli.datamodule
    data.images = find_images(cli.config.images or [])
    batches = cli.trainer.predict(
        cli.model, datamodule=data, ckpt_path=str(cli.checkpoint), weights_only=True
    )
    predictions = torch.cat([batch.float() for batch in batches or []])
    rows = write_results(cli.run, data.predict_set, predictions, cli.model.objective, data)
    rows["predicted"] += f" with {cli.checkpoint.name}"
    if cli.config.explain:
        rows |= explain(cli, predictions)
    print_summary(cli.run, cli.trainer, rows)


def write_results(
    run: Run, images: EncodedImages, predictions: Tensor, objective: Objective, data: Any
) -> dict[str, str]:
    """Write predictions.csv and a figure of the first 24 images, and print the first ten.

    Returns:
        Rows for the summary.

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
    files = [images.files.path(i) for i in read.tolist()]
    write_table(run.predictions, files, columns, cells)
    print_predictions(files, columns[: 2 if isinstance(objective, Classification) else 4], cells)
    first, drawn = images.__getitems__(read[:SHOWN])
    captions, in_figure = (
        [images.files.path(i).name for i in drawn.tolist()],
        torch.isin(read, drawn),
    )
    title = f"{run.experiment}: predictions"
    if isinstance(objective, Classification):
        chosen = predictions[in_figure]
        figure = plots.top5_grid(first / 255, chosen, None, names, captions, title)
    else:
        said = [row[0] for row, wanted in zip(cells, in_figure.tolist(), strict=True) if wanted]
        captions = [f"{name}: {text}" for name, text in zip(captions, said, strict=True)]
        figure = plots.image_grid(first / 255, captions, title)
    picture = run.figures / "predictions.png"
    plots.save(figure, picture)
    written = {"table": shown(run.predictions), "picture": shown(picture)}
    return {"predicted": f"{len(read)} image(s)", **skipped(images), **written}


def explain(cli: "CLI", predictions: Tensor) -> dict[str, str]:
    """Draw Grad-CAM of the predicted class of each image, and give a row for the summary.

    Each image has a file in ``figures/cam/``, and the first 24 are in ``figures/cam.png``.

    Args:
        cli: The command.
        predictions: Class probabilities (M, K) for the images that could be read.
    """
    from torchvision.utils import save_image

    data, model, images = cli.datamodule, cli.model, cli.datamodule.predict_set
    names, folder = output_names(data, predictions.shape[1]), cli.run.figures / "cam"
    read = (~images.unreadable).nonzero()[: len(predictions), 0]
    drawn: list[Tensor] = []
    captions: list[str] = []
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for part, found in zip(read.split(CHUNK), predictions.split(CHUNK), strict=True):
        x, _ = images.__getitems__(part)
        confidence, predicted = found.max(1)
        inputs, _ = data.to_input(x.to(model.device), part)
        maps = grad_cam(model, inputs, predicted.to(model.device), cli.config.explain_layer)
        for i, image in zip(part.tolist(), plots.overlaid(x / 255, maps), strict=True):
            save_image(image, folder / f"{i:05}_{images.files.path(i).stem}.png")
            drawn += [image] if len(drawn) < SHOWN else []
        captions += [
            f"{names[k]} {p:.0%}"
            for k, p in zip(predicted.tolist(), confidence.tolist(), strict=True)
        ]
    title = f"{cli.run.experiment}: Grad-CAM of the predicted classes"
    figure = plots.image_grid(torch.stack(drawn), captions, title, 6, 2.0)
    plots.save(figure, cli.run.figures / "cam.png")
    return {"explained": shown(folder)}


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
