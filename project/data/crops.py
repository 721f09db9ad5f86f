"""Which part of an encoded image becomes a sample."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from project.data.images import Box, crop, decode
from project.data.transforms.augment import Augmentation


class Crops:
    """Images (3, side, side), uint8, of encoded ones: random parts for training, the centre otherwise.

    Args:
        side: Height and width in pixels.
        min_area: Least share of an image's area in a random part.
        policies: Transforms of random parts, in order.
    """

    def __init__(self, side: int, min_area: float, policies: Sequence[Augmentation]) -> None:
        self.side, self.min_area, self.policies = side, min_area, policies

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
            data, lambda height, width: random_box(height, width, self.min_area, draws), side
        )

    def centre(self, data: bytes) -> Tensor:
        """The middle of the image after its short side was resized to 8/7 of ``side``, as is usual for evaluation."""
        from torchvision.transforms.v2.functional import center_crop, resize

        return center_crop(
            resize(decode(data), [self.side * 8 // 7], antialias=True), [self.side, self.side]
        )


def random_box(height: int, width: int, min_area: float, draws: Sequence[Sequence[float]]) -> Box:
    """A part with ``min_area`` to all of the area and a ratio of 3/4 to 4/3 (Szegedy et al., 2015, section 6).

    As torchvision's ``RandomResizedCrop``: as many tries as there are draws, then the largest
    centre with such a ratio.

    Args:
        height: Of the image in pixels.
        width: Of the image in pixels.
        min_area: Least share of the area.
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
