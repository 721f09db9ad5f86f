"""The predictions of images: a table, a figure of the first ones, and Grad-CAM."""

import shutil
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from project import plots
from project.callbacks.plots import output_names
from project.cli.summary import print_predictions
from project.commands.predict.rows import write_table
from project.data.encoded_images import EncodedImages
from project.data.given_images import skipped
from project.models import Classification, Objective
from project.models.grad_cam import CHUNK, grad_cam
from project.run.folder import Run, shown

if TYPE_CHECKING:
    from project.cli.main import CLI


SHOWN = 24  # images in a figure


def write_images(
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
    rows = [[file, *row] for file, row in zip(files, cells, strict=True)]
    write_table(run.predictions, ["image", *columns], rows)
    print_predictions("image", list(map(shown, files)), objective, columns, cells)
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
