"""Augmentation of whole batches on their device, with parameters drawn for each sample.

The functions take the parameters; the classes draw them, and a config names the classes.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from project.errors import UserError


def flip(x: Tensor, flipped: Tensor) -> Tensor:
    """Mirror those images of (N, C, H, W) left to right for which ``flipped`` (N,) is true."""
    return torch.where(flipped.view(-1, 1, 1, 1), x.flip(3), x)


def crop(x: Tensor, padding: int, top: Tensor, left: Tensor, mode: str = "constant") -> Tensor:
    """Pad images (N, C, H, W), and cut each back to size at ``top`` and ``left`` (N,).

    ``mode`` is a padding mode of `torch.nn.functional.pad`.
    """
    height, width = x.shape[2:]
    padded = F.pad(x, [padding] * 4, mode)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # views (N, C, top, left, H, W)
    return windows[torch.arange(len(x), device=x.device), :, top, left]


def affine(x: Tensor, matrix: Tensor, mode: str) -> Tensor:
    """Images (N, C, H, W), float: the pixel at p is the input's at ``matrix`` (N, 2, 3) times p.

    Coordinates are pixels right of and below the image's centre; pixels from outside are zero.
    """
    height, width = x.shape[2:]
    # affine_grid's coordinates run over [-1, 1] on both axes.
    scale = matrix.new_tensor([[1, height / width, 2 / width], [width / height, 1, 2 / height]])
    grid = F.affine_grid(matrix * scale, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode=mode, padding_mode="zeros", align_corners=False)


def rotate(x: Tensor, angle: Tensor, mode: str = "bilinear") -> Tensor:
    """Turn float images (N, C, H, W) counter-clockwise by ``angle`` (N,) radians."""
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return affine(x, torch.stack([cos, -sin, zero, sin, cos, zero], 1).view(-1, 2, 3), mode)


class Augmentation:
    """A random transform of a batch; a subclass implements ``__call__``.

    Attributes:
        epoch: Current epoch, which the data module sets.
    """

    epoch = 0

    def __call__(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Transformed images (N, C, H, W), float in [0, 255], and targets.

        All randomness comes from ``generator``, which lives on the device of ``x``.
        """
        raise NotImplementedError


class Flip(Augmentation):
    """Mirror each image left to right with probability one half."""

    def __call__(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        return flip(x, torch.rand(len(x), generator=generator, device=x.device) < 0.5), y


class AlternatingFlip(Augmentation):
    """Mirror each image left to right in every other epoch (Jordan, 2024, section 3.6).

    The sum of the image's values decides between odd and even epochs, so this must come before
    transforms that change the values.
    """

    def __call__(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        return flip(x, (x.double().sum((1, 2, 3)) + self.epoch) % 2 == 1), y


class Crop(Augmentation):
    """Pad and crop back to size at random (He et al., 2016, section 4.2).

    Args:
        padding: Pixels added at each side.
        mode: ``constant`` pads with zeros, ``reflect`` mirrors the image.
    """

    def __init__(self, padding: int = 4, mode: Literal["constant", "reflect"] = "constant") -> None:
        if padding < 0:
            raise UserError(f"Crop: padding {padding} must not be negative")
        self.padding, self.mode = padding, mode

    def __call__(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        shape, most = (2, len(x)), 2 * self.padding
        top, left = torch.randint(most + 1, shape, generator=generator, device=x.device)
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


class Shrink(Augmentation):
    """Train the run's first epochs on smaller images, which take less time (Howard, 2018).

    https://www.fast.ai/posts/2018-08-10-fastai-diu-imagenet.html; ``--data.start_size`` does it for
    image files.

    Args:
        size: Height and width of the images in those epochs, in pixels.
        epochs: How many epochs.
    """

    def __init__(self, size: int, epochs: int) -> None:
        if size < 1 or epochs < 0:
            raise UserError(
                f"Shrink: size {size} must be positive, and epochs {epochs} not negative"
            )
        self.size, self.epochs = size, epochs

    def __call__(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        if self.epoch >= self.epochs:
            return x, y
        return F.interpolate(x, self.size, mode="bilinear", antialias=True), y
