"""`python -m project predict`: classify images of your own with a run."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from project import plots
from project.cli.keys import add_checkpoint, add_images
from project.cli.summary import print_summary
from project.cli.trainer import evaluation_trainer, open_run
from project.data.encoded_images import EncodedImages
from project.data.given_images import find_images, skipped
from project.errors import writing
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
    probabilities = torch.cat([batch.float() for batch in batches or []])
    rows = write_results(cli.run, data.predict_set, probabilities, data.class_names)
    rows["predicted"] += f" with {cli.checkpoint.name}"
    print_summary(cli.run, cli.trainer, rows)


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
