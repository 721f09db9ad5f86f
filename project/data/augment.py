"""Augmentation of whole batches on their device, with parameters drawn for each sample.

Pure functions first, which take the parameters; then the classes that draw them and are named in a config.
"""

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def flip(x: Tensor, flipped: Tensor) -> Tensor:
    """Mirror left and right those images of (N, C, H, W) for which ``flipped`` (N,), bool, is true."""
    return torch.where(flipped.view(-1, 1, 1, 1), x.flip(3), x)


def shift(x: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Move images (N, C, H, W) by whole pixels ``down`` and ``right`` (N,), int64; zeros come in at the edges.

    It is the same as cropping HxW at (-down, -right) from the zero-padded image.
    """
    n, _, height, width = x.shape
    rows = torch.arange(height, device=x.device) - down[:, None]
    columns = torch.arange(width, device=x.device) - right[:, None]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    sample = torch.arange(n, device=x.device)[:, None, None]
    moved = x[sample, :, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]]
    return moved.permute(0, 3, 1, 2) * inside[:, None]


def rotate(x: Tensor, angle: Tensor) -> Tensor:
    """Turn images (N, C, H, W), float, counter-clockwise by ``angle`` (N,) radians about their centre, bilinearly."""
    height, width = x.shape[2:]
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    # grid_sample's coordinates run over [-1, 1] on both axes, so that a rotation of pixels scales by the aspect ratio.
    matrix = torch.stack([cos, -sin * height / width, zero, sin * width / height, cos, zero], 1).view(-1, 2, 3)
    grid = F.affine_grid(matrix, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


class Augmentation:
    """A random transform of a batch; subclass it and implement ``__call__``."""

    def __call__(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Transformed images (N, C, H, W), float in [0, 255], and targets.

        All randomness comes from ``generator``, which lives on the device of ``x``.
        """
        raise NotImplementedError


class Flip(Augmentation):
    """Mirror each image left and right with probability one half."""

    def __call__(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        return flip(x, torch.rand(len(x), generator=generator, device=x.device) < 0.5), y


class Crop(Augmentation):
    """Pad with zeros and crop back to size at random: a shift of up to ``padding`` pixels (He et al., 2016).

    Args:
        padding: Largest shift along each axis, in pixels.
    """

    def __init__(self, padding: int = 4) -> None:
        self.padding = padding

    def __call__(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        down, right = torch.randint(
            -self.padding, self.padding + 1, (2, len(x)), generator=generator, device=x.device
        ).unbind()
        return shift(x, down, right), y


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
