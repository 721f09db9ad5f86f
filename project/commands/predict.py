"""Predictions for the user's own images."""

import csv
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from project import plots
from project.data.folders import EncodedImages
from project.data.given_images import skipped
from project.errors import writing
from project.run.folder import Run


def write_results(
    run: Run, images: EncodedImages, probabilities: Tensor, names: Sequence[str]
) -> dict[str, str]:
    """Write predictions.csv and a picture of the first 24 images.

    Args:
        run: Where they go.
        images: The user's N images, in order.
        probabilities: (M, K) of those that could be read.
        names: Of the K classes.

    Returns:
        Rows for the summary.
    """
    read = (~images.unreadable).nonzero()[: len(probabilities), 0]
    write_predictions(
        run.predictions, [images.files.path(i) for i in read.tolist()], probabilities, names
    )
    pictures, drawn = images.__getitems__(read[:24])
    captions, shown = [images.files.path(i).name for i in drawn.tolist()], torch.isin(read, drawn)
    title = f"{run.experiment}: predictions"
    figure = plots.top5_grid(pictures / 255, probabilities[shown], None, names, captions, title)
    plots.save(figure, run.figures / "predictions.png")
    return {"predicted": f"{len(read)} image(s)", **skipped(images), "table": str(run.predictions)}


def write_predictions(
    path: Path, images: list[Path], probabilities: Tensor, class_names: Sequence[str]
) -> None:
    """One row an image: its path, then the five likeliest classes and their probabilities.

    The table is UTF-8, so that every program reads it: a byte of a path that is not is written as
    an escape.

    Args:
        path: CSV file to write.
        images: N files.
        probabilities: (N, K).
        class_names: K names.
    """
    top = probabilities.topk(min(5, len(class_names)), dim=1)
    columns = [
        f"{what}{place}"
        for place in range(1, top.values.shape[1] + 1)
        for what in ("class", "probability")
    ]
    with (
        writing(path),
        path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["image", *columns])
        for image, values, indices in zip(
            images, top.values.tolist(), top.indices.tolist(), strict=True
        ):
            pairs = [(class_names[k], f"{p:.6f}") for p, k in zip(values, indices, strict=True)]
            writer.writerow([image, *(cell for pair in pairs for cell in pair)])
