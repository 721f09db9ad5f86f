"""Decoding training JPEGs on a GPU, by NVIDIA's nvJPEG, where processor cores are few."""

import warnings
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from project.data.crops import Crops, random_box
from project.data.images import Box, decode, jpeg_size


@dataclass
class Encoded:
    """A training sample that waits for the device.

    Attributes:
        content: Of a JPEG's file.
        box: The part that is wanted.
        side: Height and width to resize it to.
    """

    content: bytes
    box: Box
    side: int


class LaterCrops(Crops):
    """As `Crops`, but random parts of JPEGs are left to the device; other files have none to leave it to."""

    def part(self, data: bytes, draws: list[list[float]], side: int) -> Tensor | Encoded:  # type: ignore[override]
        size = jpeg_size(data)
        return (
            Encoded(data, random_box(*size, self.min_area, draws), side)
            if size
            else super().part(data, draws, side)
        )


def decode_on(device: torch.device, samples: list[Tensor | Encoded]) -> Tensor:
    """uint8 images (N, 3, side, side) on a device.

    Raises:
        ValueError: A file is damaged.
    """
    from torchvision.io import ImageReadMode, decode_jpeg

    encoded = [sample for sample in samples if isinstance(sample, Encoded)]
    contents = [
        torch.frombuffer(bytearray(sample.content), dtype=torch.uint8) for sample in encoded
    ]
    with (
        warnings.catch_warnings()
    ):  # deprecated since torchvision 0.29, but its successor is no dependency of it
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            images = iter(
                decode_jpeg(contents, mode=ImageReadMode.RGB, device=device) if contents else []
            )
        except (
            RuntimeError
        ):  # one of them; libjpeg-turbo or Pillow may read it, or say what is wrong
            images = iter([decode(sample.content).to(device) for sample in encoded])
    return torch.stack(
        [
            resized(next(images), sample.box, sample.side)
            if isinstance(sample, Encoded)
            else sample.to(device)
            for sample in samples
        ]
    )


def resized(image: Tensor, box: Box, side: int) -> Tensor:
    """A part of an image (3, H, W), resized with antialiasing, as uint8."""
    top, left, height, width = box
    part = image[None, :, top : top + height, left : left + width].float()
    return (
        F.interpolate(part, (side, side), mode="bilinear", antialias=True)[0]
        .round_()
        .to(torch.uint8)
    )
