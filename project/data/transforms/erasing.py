"""Erasing a box of each image of a batch."""

import torch
from torch import Generator, Tensor

from project.data.transforms.augment import Augmentation
from project.errors import UserError


def erase(x: Tensor, top: Tensor, left: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """Fill a box of each float image with the batch's mean colour, near zero once normalised.

    Args:
        x: Images (N, C, H, W).
        top: First row of each box (N,), int64; what lies outside the image is cut off.
        left: First column of each box (N,).
        height: Number of rows of each box (N,).
        width: Number of columns of each box (N,).
    """
    rows, columns = (torch.arange(size, device=x.device) for size in x.shape[2:])
    down = (rows >= top[:, None]) & (rows < (top + height)[:, None])
    across = (columns >= left[:, None]) & (columns < (left + width)[:, None])
    box = (down[:, :, None] & across[:, None, :])[:, None]
    return torch.where(box, x.mean((0, 2, 3), keepdim=True), x)


class Cutout(Augmentation):
    """Erase a square with its centre at any pixel (DeVries & Taylor, 2017).

    Args:
        size: Side of the square in pixels.
    """

    def __init__(self, size: int = 16) -> None:
        if size < 1:
            raise UserError(f"Cutout: size {size} must be positive")
        self.size = size

    def __call__(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        top, left = (
            torch.randint(side, (len(x),), generator=generator, device=x.device) - self.size // 2
            for side in x.shape[2:]
        )
        size = torch.full_like(top, self.size)
        return erase(x, top, left, size, size), y


class RandomErasing(Augmentation):
    """Erase a rectangle of an image with some probability (Zhong et al., 2020).

    Args:
        probability: Probability that an image is erased.
        min_area: Smallest fraction of the image's area.
        max_area: Largest fraction; the first of ten drawn rectangles that fits is taken.
    """

    def __init__(
        self, probability: float = 0.5, min_area: float = 0.02, max_area: float = 0.33
    ) -> None:
        if not 0 <= probability <= 1 or not 0 < min_area <= max_area <= 1:
            raise UserError(
                f"RandomErasing: probability {probability}, min_area {min_area} and max_area "
                f"{max_area} must be fractions"
            )
        self.probability, self.min_area, self.max_area = probability, min_area, max_area

    def __call__(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        n, _, rows, columns = x.shape
        area, ratio = torch.rand(2, n, 10, generator=generator, device=x.device)
        area = rows * columns * (self.min_area + (self.max_area - self.min_area) * area)
        ratio = 0.3 * (3.3 / 0.3) ** ratio
        height, width = (area * ratio).sqrt().round().long(), (area / ratio).sqrt().round().long()
        fits = (height < rows) & (width < columns)
        first = fits.int().argmax(1, keepdim=True)
        erased = torch.rand(n, generator=generator, device=x.device) < self.probability
        height, width = (
            size.gather(1, first)[:, 0] * (fits.any(1) & erased) for size in (height, width)
        )
        down, across = torch.rand(2, n, generator=generator, device=x.device)
        top, left = (down * (rows - height + 1)).long(), (across * (columns - width + 1)).long()
        return erase(x, top, left, height, width), y
