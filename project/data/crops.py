"""The part of an encoded image that becomes a sample."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from project.data.resizing import Box, Interpolation, centre, crop
from project.data.transforms.augment import Augmentation
from project.errors import UserError


class Crops:
    """Crops of encoded images, uint8 (3, side, side): random in training, else the centre.

    Args:
        side: Height and width in pixels.
        min_area: Smallest fraction of an image's area in a random part.
        policies: Transforms of random parts, in order.
        short_side: Length that the short side of an image is resized to before its centre is cut.
        interpolation: How images are resized.
    """

    def __init__(
        self,
        side: int,
        min_area: float,
        policies: Sequence[Augmentation],
        short_side: int,
        interpolation: Interpolation,
    ) -> None:
        self.side, self.min_area, self.policies = side, min_area, policies
        self.short_side, self.interpolation = short_side, interpolation

    def __call__(self, data: bytes, seed: int | None = None, side: int = 0) -> Tensor:
        """A random part of the given side that ``seed`` determines; without a seed the centre.

        Raises:
            ValueError: The content cannot be decoded.
        """
        if seed is None:
            return self.centre(data)
        generator = Generator().manual_seed(seed)
        draws = torch.rand(4, 10, generator=generator, dtype=torch.float64).tolist()
        x = self.part(data, draws, side)
        if self.policies:
            x = x[None].float()
            for policy in self.policies:
                x, _ = policy(x, torch.empty(1), generator)
            x = x[0].round_().to(torch.uint8)
        return x

    def part(self, data: bytes, draws: list[list[float]], side: int) -> Tensor:
        """The random part for random numbers ``draws``, as in `random_box`."""
        return crop(
            data, lambda h, w: random_box(h, w, self.min_area, draws), side, self.interpolation
        )

    def centre(self, data: bytes) -> Tensor:
        """The centre of the resized image."""
        return centre(data, self.short_side, self.side, self.interpolation)


def crop_side(epoch: int, epochs: int | None, start: int, side: int) -> int:
    """Side of an epoch's crops, which grows evenly from ``start`` to ``side`` in steps of 32."""
    if not epochs or epochs < 1:
        raise UserError("--data.start_size grows over the run's epochs: give --trainer.max_epochs")
    grown = start + (side - start) * epoch / max(epochs - 1, 1)
    return min(max(round(grown / 32) * 32, start), side)


def random_box(height: int, width: int, min_area: float, draws: Sequence[Sequence[float]]) -> Box:
    """A random part with a ratio of 3/4 to 4/3 (Szegedy et al., 2015, section 6).

    As in torchvision's ``RandomResizedCrop``, the largest centre with such a ratio is taken if no
    draw fits.

    Args:
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        min_area: Smallest fraction of the image's area.
        draws: Numbers in [0, 1) for area, ratio, top and left, as many of each as there are tries.
    """
    low, high = 3 / 4, 4 / 3
    for area, ratio, top, left in zip(*draws, strict=True):
        target = height * width * (min_area + (1 - min_area) * area)
        aspect = low * (high / low) ** ratio
        w, h = round((target * aspect) ** 0.5), round((target / aspect) ** 0.5)
        if 0 < w <= width and 0 < h <= height:
            return int(top * (height - h + 1)), int(left * (width - w + 1)), h, w
    w = max(min(width, round(height * high)), 1)
    h = max(min(height, round(w / low)), 1) if w == width else height
    return (height - h) // 2, (width - w) // 2, h, w
