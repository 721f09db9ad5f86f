"""Image files in folders, one folder for each class."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from project.errors import UserError, printable

log = logging.getLogger(__name__)

SUFFIXES = (".jpeg", ".jpg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm")


def class_folders(folder: Path) -> list[str]:
    """Sorted names of the folders in ``folder`` that are not hidden; none if it does not exist."""
    inside = folder.iterdir() if folder.is_dir() else ()
    return sorted(path.name for path in inside if path.is_dir() and not path.name.startswith("."))


def files_below(folder: str, above: tuple[tuple[int, int], ...] = ()) -> Iterator[str]:
    """Paths of all files below a folder that are not hidden, in the order of their names.

    Links are followed, except to a folder above them: ``os.walk``, and with it torchvision's
    ``make_dataset``, would go round in circles.
    """
    status = os.stat(folder)
    above = (*above, (status.st_dev, status.st_ino))
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        if not is_folder(entry):
            yield entry.path
        elif (entry.stat().st_dev, entry.stat().st_ino) not in above:
            yield from files_below(entry.path, above)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one; a link to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def images_below(folder: Path) -> tuple[list[str], list[str]]:
    """Paths of all files below a folder that have an image's suffix, and of all others."""
    paths = list(files_below(str(folder)))
    images = [path for path in paths if path.lower().endswith(SUFFIXES)]
    return images, [path for path in paths if not path.lower().endswith(SUFFIXES)]


def warn_of_others(folder: Path, others: list[str]) -> None:
    """Warn of the files below a folder that do not look like images but may be meant as such."""
    if others:
        ignored = f"ignored {len(others)} file(s) below {folder} without an image's suffix"
        log.warning(printable(f"{ignored}, such as {others[0]}"))


def find_images(folder: Path, classes: list[str]) -> np.ndarray:
    """The image files of each class, which has a folder of its own in ``folder``.

    Returns:
        Paths relative to ``folder`` as bytes (N,), which take little memory and which worker
        processes share.

    Raises:
        UserError: A class has no image.
    """
    paths, others = [], []
    for name in classes:
        images, ignored = images_below(folder / name)
        others += ignored
        if not images:
            raise UserError(
                f"the class folder {folder / name} holds no image: add some, or remove the folder"
            )
        paths += [os.fsencode(path[len(str(folder)) + 1 :]) for path in images]
    warn_of_others(folder, others)
    return np.array(paths)


def folder_classes(names: np.ndarray, classes: list[str], depth: int = 0) -> Tensor:
    """int64 classes (N,) of files: positions in ``classes`` of the folders that they are in.

    Args:
        names: Paths as bytes (N,).
        classes: Names of the class folders.
        depth: Number of folders above the class folders.

    Raises:
        UserError: A folder is not among the classes.
    """
    position = {name: k for k, name in enumerate(classes)}
    found = [os.fsdecode(name).split(os.sep)[depth] for name in names.tolist()]
    if unknown := {*found} - position.keys():
        raise UserError(f"the class {min(unknown)} is new: begin a new run to learn it")
    return torch.tensor([position[name] for name in found])
