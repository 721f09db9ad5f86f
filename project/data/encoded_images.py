"""A dataset of image files, which are decoded when a batch needs them."""

import itertools
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from project.data.contents import Contents, Files
from project.data.images import UnreadableImage
from project.errors import UserError

log = logging.getLogger(__name__)


def stack(images: list[Tensor]) -> Tensor:
    """A batch (N, C, H, W) of images (C, H, W), NHWC in memory as they are decoded."""
    channels, height, width = images[0].shape
    batch = torch.empty(len(images), height, width, channels, dtype=images[0].dtype)
    for row, image in zip(batch, images, strict=True):
        row.copy_(image.permute(1, 2, 0))  # twenty times as fast as torch.stack
    return batch.permute(0, 3, 1, 2)


class EncodedImages(Dataset):
    """Images that are decoded when a batch needs them.

    Images that cannot be decoded are named once, counted and skipped.

    Args:
        files: The encoded images.
        y: Targets (N,) or (N, K), such as int64 classes.
        decode: Function from a file's content, and from the further columns of a sample, to a
            uint8 image (C, H, W).
        max_unreadable: Largest fraction of the N images that may be unreadable; None if it is an
            error only that no image is left.
    """

    def __init__(
        self,
        files: Contents,
        y: Tensor,
        decode: Callable[..., Tensor],
        max_unreadable: float | None,
    ) -> None:
        self.files, self.y, self.decode, self.max_unreadable = files, y, decode, max_unreadable
        # All worker processes share it.
        self.unreadable = torch.zeros(len(files), dtype=torch.bool).share_memory_()

    def __len__(self) -> int:
        return len(self.files)

    def __getitems__(self, samples: Tensor) -> tuple[Any, Tensor]:
        """A batch for indices (N,), or for rows (N, 1 + M) of an index and M arguments of `decode`.

        Rows are for training. Unreadable images are left out; in training, others of the batch
        are repeated in their place, so that every batch has its full size. The images are a list
        where `decode` returns something other than tensors.
        """
        training = samples.ndim == 2
        rows = samples.tolist() if training else samples[:, None].tolist()
        images = [(self.image(*row), row[0]) for row in rows]
        good = [(image, index) for image, index in images if image is not None]
        if training and not good:
            path = self.files.path(rows[0][0])
            raise UserError(f"none of a batch's {len(rows)} images can be read, such as {path}")
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
            if isinstance(reason, UserError):  # of a cache that cannot be fetched
                raise
            self.unreadable[index] = True
            error = UnreadableImage(self.files.path(index), reason)
        self.check_unreadable(error)
        log.warning(f"skipped: {error}")
        return None

    def check_unreadable(self, last: UnreadableImage) -> None:
        """Raise UserError if too many images are unreadable; ``last`` names one of them."""
        count, total, most = int(self.unreadable.sum()), len(self), self.max_unreadable
        if most is None and count == total:
            if count == 1:
                raise last
            raise UserError(f"none of {count} images can be read; the last: {last}")
        if most is not None and count > most * total:
            raise UserError(
                f"{count} of {total} images cannot be read, more than the fraction "
                f"--data.max_unreadable {most}; the last: {last}"
            )


def without_classes(paths: list[Path], decode: Callable[[bytes], Tensor]) -> EncodedImages:
    """The images of a user, with their indices in place of classes."""
    files = Files(Path(), np.array([os.fsencode(path) for path in paths]))
    return EncodedImages(files, torch.arange(len(files)), decode, max_unreadable=None)
