"""Augmentation of whole batches on their device, with parameters drawn for each sample.

Pure functions first, which take the parameters; then the classes that draw them and are named in a
config.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from project.errors import UserError


def flip(x: Tensor, flipped: Tensor) -> Tensor:
    """Mirror left and right those images of (N, C, H, W) for which ``flipped`` (N,), bool, is true."""
    return torch.where(flipped.view(-1, 1, 1, 1), x.flip(3), x)


def crop(x: Tensor, padding: int, top: Tensor, left: Tensor, mode: str = "constant") -> Tensor:
    """Images (N, C, H, W) cut out of themselves padded as ``mode`` says, at rows ``top`` and columns ``left`` (N,)."""
    height, width = x.shape[2:]
    windows = (
        F.pad(x, [padding] * 4, mode).unfold(2, height, 1).unfold(3, width, 1)
    )  # views (N, C, top, left, H, W)
    return windows[torch.arange(len(x), device=x.device), :, top, left]


def affine(x: Tensor, matrix: Tensor, mode: str) -> Tensor:
    """Images (N, C, H, W), float, whose pixel at p is the input's at ``matrix`` (N, 2, 3) applied to p; else zero.

    Coordinates are pixels right of and below the image's centre.
    """
    height, width = x.shape[2:]
    # affine_grid's coordinates run over [-1, 1] on both axes.
    scale = matrix.new_tensor([[1, height / width, 2 / width], [width / height, 1, 2 / height]])
    grid = F.affine_grid(matrix * scale, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode=mode, padding_mode="zeros", align_corners=False)


def rotate(x: Tensor, angle: Tensor, mode: str = "bilinear") -> Tensor:
    """Turn images (N, C, H, W), float, counter-clockwise by ``angle`` (N,) radians about their centre."""
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return affine(x, torch.stack([cos, -sin, zero, sin, cos, zero], 1).view(-1, 2, 3), mode)


def erase(x: Tensor, top: Tensor, left: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """Fill a box of each image (N, C, H, W), float, with the batch's mean colour, near zero once normalised.

    Args:
        x: Images.
        top: First row of the boxes (N,), int64; the parts of a box outside of its image are cut
            off.
        left: First column.
        height: Number of rows.
        width: Number of columns.
    """
    rows, columns = (
        torch.arange(x.shape[2], device=x.device),
        torch.arange(x.shape[3], device=x.device),
    )
    down = (rows >= top[:, None]) & (rows < (top + height)[:, None])
    across = (columns >= left[:, None]) & (columns < (left + width)[:, None])
    return torch.where(
        (down[:, :, None] & across[:, None, :])[:, None], x.mean((0, 2, 3), keepdim=True), x
    )


class Augmentation:
    """A random transform of a batch; subclass it and implement ``__call__``.

    Attributes:
        epoch: Of the training, which the data module keeps up to date.
    """

    epoch = 0

    def __call__(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Transformed images (N, C, H, W), float in [0, 255], and targets.

        All randomness comes from ``generator``, which lives on the device of ``x``.
        """
        raise NotImplementedError


class Flip(Augmentation):
    """Mirror each image left and right with probability one half."""

    def __call__(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        return flip(x, torch.rand(len(x), generator=generator, device=x.device) < 0.5), y


class AlternatingFlip(Augmentation):
    """Mirror each image left and right in every other epoch: in the odd ones or the even (Jordan, 2024, section 3.6).

    Which, depends on the sum of the image's values alone, so it must come before what changes them.
    """

    def __call__(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        return flip(x, (x.double().sum((1, 2, 3)) + self.epoch) % 2 == 1), y


class Crop(Augmentation):
    """Pad and crop back to size at random (He et al., 2016, section 4.2).

    Args:
        padding: Of each side, in pixels.
        mode: ``constant`` pads with zeros, ``reflect`` with what lies inside of the border.
    """

    def __init__(self, padding: int = 4, mode: Literal["constant", "reflect"] = "constant") -> None:
        if padding < 0:
            raise UserError(f"Crop: padding {padding} must not be negative")
        self.padding, self.mode = padding, mode

    def __call__(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        place = torch.randint(
            2 * self.padding + 1, (2, len(x)), generator=generator, device=x.device
        )
        top, left = place.unbind()
        return crop(x, self.padding, top, left, self.mode), y


class Rotate(Augmentation):
    """Turn each image by an angle drawn evenly from ``-degrees`` to ``degrees``.

    Args:
        degrees: Largest angle.
    """

    def __init__(self, degrees: float = 10.0) -> None:
        self.degrees = degrees

    def __call__(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        draw = torch.rand(len(x), generator=generator, device=x.device)
        return rotate(x, (2 * draw - 1) * math.radians(self.degrees)), y


class Cutout(Augmentation):
    """Erase a square with its centre at any pixel (DeVries & Taylor, 2017).

    Args:
        size: Its side in pixels.
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
        probability: Share of the images.
        min_area: Least share of an image's area.
        max_area: Greatest share; of ten drawn rectangles the first that fits is taken.
    """

    def __init__(
        self, probability: float = 0.5, min_area: float = 0.02, max_area: float = 0.33
    ) -> None:
        if not 0 <= probability <= 1 or not 0 < min_area <= max_area <= 1:
            raise UserError(
                f"RandomErasing: probability {probability}, min_area {min_area} and max_area {max_area} must be shares"
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
        place = torch.rand(2, n, generator=generator, device=x.device)
        top, left = (
            (place[0] * (rows - height + 1)).long(),
            (place[1] * (columns - width + 1)).long(),
        )
        return erase(x, top, left, height, width), y
