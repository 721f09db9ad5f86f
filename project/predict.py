"""Predictions for the user's own images."""

import csv
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from project.errors import UserError

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}


def find_images(paths: list[str]) -> list[Path]:
    """The files among ``paths``, and the images in the folders among them and below, in order of their names.

    Raises:
        UserError: A path does not exist, or a folder holds no image.
    """
    if not paths:
        raise UserError("predict needs --images: give image files and folders")
    found = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
            if not inside:
                raise UserError(f"--images {path} holds no image ({', '.join(sorted(SUFFIXES))})")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise UserError(f"--images {path} does not exist: check its spelling")
    return found


def write_predictions(path: Path, images: list[Path], probabilities: Tensor, class_names: Sequence[str]) -> None:
    """One row an image: its path, then the five likeliest classes and their probabilities.

    Args:
        path: CSV file to write.
        images: N files.
        probabilities: (N, K).
        class_names: K names.
    """
    top = probabilities.topk(min(5, len(class_names)), dim=1)
    columns = [f"{what}{place}" for place in range(1, top.values.shape[1] + 1) for what in ("class", "probability")]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", *columns])
        for image, values, indices in zip(images, top.values.tolist(), top.indices.tolist(), strict=True):
            pairs = [(class_names[k], f"{p:.6f}") for p, k in zip(values, indices, strict=True)]
            writer.writerow([image, *(cell for pair in pairs for cell in pair)])
