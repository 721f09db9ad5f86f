"""Folders of images, one for each class, and the dataset of their files."""

import itertools
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from project.data.images import UnreadableImage
from project.errors import UserError, printable

log = logging.getLogger(__name__)


class Contents(Protocol):
    """Encoded images by index, wherever they are."""

    def __len__(self) -> int: ...

    def path(self, index: int) -> Path:
        """The path of the file, to name it."""

    def read(self, index: int) -> bytes:
        """The file's content."""


SUFFIXES = (".jpeg", ".jpg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm")


def class_folders(folder: Path) -> list[str]:
    """Names of the folders in ``folder`` in order, but for hidden ones; none if it does not exist."""
    inside = folder.iterdir() if folder.is_dir() else ()
    return sorted(path.name for path in inside if path.is_dir() and not path.name.startswith("."))


def files_below(folder: str, above: tuple[tuple[int, int], ...] = ()) -> Iterator[str]:
    """Paths of all files below a folder, in order of their names, but for hidden ones.

    Links are followed, except to a folder that is being looked through.
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
    """Whether an entry is a folder or a link to one; not if it is a link that leads in a circle."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def images_below(folder: Path) -> tuple[list[str], list[str]]:
    """Paths of all image files below a folder, by their suffixes, and of all other files, as `files_below` has them."""
    found = list(files_below(str(folder)))
    images = [path for path in found if path.lower().endswith(SUFFIXES)]
    return images, [path for path in found if not path.lower().endswith(SUFFIXES)]


def warn_of_others(folder: Path, others: list[str]) -> None:
    """Say which files below a folder are no images, for they may be meant to be some."""
    if others:
        log.warning(
            printable(
                f"ignored {len(others)} file(s) below {folder} without an image's suffix, such as {others[0]}"
            )
        )


def find_images(folder: Path, classes: list[str]) -> tuple[np.ndarray, Tensor]:
    """The image files below ``folder``, one folder for each class, and their classes.

    Returns:
        Paths relative to ``folder`` as bytes (N,), which take little memory and are shared by
        worker processes, and int64 classes (N,).

    Raises:
        UserError: A class has no image; names the folder.
    """
    paths, y, others = [], [], []
    for k, name in enumerate(classes):
        images, ignored = images_below(folder / name)
        others += ignored
        if not images:
            raise UserError(
                f"the class folder {folder / name} holds no image: add some, or remove the folder"
            )
        paths += [os.fsencode(path[len(str(folder)) + 1 :]) for path in images]
        y += [k] * len(images)
    warn_of_others(folder, others)
    return np.array(paths), torch.tensor(y)


class Files:
    """Contents of files by index.

    Args:
        folder: Where they are.
        names: Their paths relative to it as bytes (N,).
    """

    def __init__(self, folder: Path, names: np.ndarray) -> None:
        self.folder, self.names = folder, names

    def __len__(self) -> int:
        return len(self.names)

    def path(self, index: int) -> Path:
        return self.folder / os.fsdecode(self.names[index])

    def read(self, index: int) -> bytes:
        return self.path(index).read_bytes()


def stack(images: list[Tensor]) -> Tensor:
    """Images (C, H, W) of one size as a batch (N, C, H, W) in the memory format that they are decoded in, NHWC."""
    channels, height, width = images[0].shape
    batch = torch.empty(len(images), height, width, channels, dtype=images[0].dtype).permute(
        0, 3, 1, 2
    )
    for place, image in zip(batch, images, strict=True):
        place.copy_(image)  # twenty times as fast as torch.stack
    return batch


class EncodedImages(Dataset):
    """Images that are decoded when they are needed; those that cannot be are named once, counted and skipped.

    Args:
        files: The encoded images.
        y: int64 classes (N,).
        decode: Gives the uint8 image (C, H, W) of a file's content and of the other columns of a
            sample.
        max_unreadable: Share of the N images above which it is an error that they cannot be read;
            None if that is an error only where no image is left.
    """

    def __init__(
        self,
        files: Contents,
        y: Tensor,
        decode: Callable[..., Tensor],
        max_unreadable: float | None,
    ) -> None:
        self.files, self.y, self.decode, self.max_unreadable = files, y, decode, max_unreadable
        self.unreadable = torch.zeros(
            len(files), dtype=torch.bool
        ).share_memory_()  # by all worker processes

    def __len__(self) -> int:
        return len(self.files)

    def __getitems__(self, samples: Tensor) -> tuple[Any, Tensor]:
        """A batch for indices (N,), or for rows (N, 1 + M) of an index and M further arguments of `decode`.

        Where `decode` gives something else than images, they are a list of it.

        Images that cannot be read are left out; of rows, which are for training, others of the
        batch fill up their places, so that every batch has its full size.
        """
        training = samples.ndim == 2
        rows = samples.tolist() if training else samples[:, None].tolist()
        images = [(self.image(*row), row[0]) for row in rows]
        good = [(image, index) for image, index in images if image is not None]
        if training and not good:
            raise UserError(
                f"none of a batch's {len(rows)} images can be read, such as {self.files.path(rows[0][0])}"
            )
        if training:
            good = list(itertools.islice(itertools.cycle(good), len(rows)))
        x: Any = [image for image, _ in good]
        if all(isinstance(image, Tensor) for image in x):
            x = stack(x) if x else torch.empty(0)
        return x, self.y[[index for _, index in good]]

    def image(self, index: int, *arguments: int) -> Tensor | None:
        """The image of an index; None if it cannot be read."""
        if self.unreadable[index]:
            return None
        try:
            return self.decode(self.files.read(index), *arguments)
        except (OSError, ValueError) as reason:
            self.unreadable[index] = True
            error = UnreadableImage(self.files.path(index), reason)
        self.check_bearable(error)
        log.warning(f"skipped: {error}")
        return None

    def check_bearable(self, last: UnreadableImage) -> None:
        """Raise UserError if too many images cannot be read, the last of which an error names."""
        count = int(self.unreadable.sum())
        if self.max_unreadable is None:
            if count == len(self):
                raise (
                    UserError(f"none of {count} images can be read; the last: {last}")
                    if count > 1
                    else last
                )
        elif count > self.max_unreadable * len(self):
            raise UserError(
                f"{count} of {len(self)} images cannot be read, more than the share --data.max_unreadable "
                f"{self.max_unreadable}; the last: {last}"
            )
