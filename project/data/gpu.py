"""Decoding training JPEGs on a GPU, by NVIDIA's nvJPEG, where processor cores are few."""

import warnings
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from project.data.crops import Crops, random_box
from project.data.images import decode, jpeg_size
from project.data.resizing import Box, Interpolation


@dataclass
class Encoded:
    """A training sample that the device is to decode.

    Attributes:
        content: Content of a JPEG file.
        box: Part of the image that becomes the sample.
        side: Height and width that the part is resized to.
        interpolation: How it is resized.
    """

    content: bytes
    box: Box
    side: int
    interpolation: Interpolation


class LaterCrops(Crops):
    """As `Crops`, but leaves random parts of JPEGs to the device."""

    def part(  # type: ignore[override]
        self, data: bytes, draws: list[list[float]], side: int
    ) -> Tensor | Encoded:
        size = jpeg_size(data)
        if size is None:  # no JPEG
            return super().part(data, draws, side)
        return Encoded(data, random_box(*size, self.min_area, draws), side, self.interpolation)


def decode_on(device: torch.device, samples: list[Tensor | Encoded]) -> Tensor:
    """uint8 images (N, 3, side, side) on a device.

    Raises:
        ValueError: A file is damaged.
    """
    from torchvision.io import ImageReadMode, decode_jpeg

    encoded = [sample for sample in samples if isinstance(sample, Encoded)]
    contents = [torch.frombuffer(bytearray(s.content), dtype=torch.uint8) for s in encoded]
    with warnings.catch_warnings():
        # It is deprecated since torchvision 0.29, which does not require its successor.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            decoded = decode_jpeg(contents, ImageReadMode.RGB, device) if contents else []
        except RuntimeError:  # libjpeg-turbo or Pillow may read all, or say what is wrong
            decoded = [decode(sample.content).to(device) for sample in encoded]
    images = iter(decoded)
    return torch.stack(
        [resized(next(images), s) if isinstance(s, Encoded) else s.to(device) for s in samples]
    )


def resized(image: Tensor, sample: Encoded) -> Tensor:
    """The sample out of its decoded image (3, H, W), resized with antialiasing, as uint8."""
    (top, left, height, width), size = sample.box, (sample.side, sample.side)
    part = image[None, :, top : top + height, left : left + width].float()
    whole = F.interpolate(part, size, mode=sample.interpolation, antialias=True)[0]
    return whole.round_().clamp_(0, 255).to(torch.uint8)
