"""Reading image files; EXIF rotation is ignored, alpha dropped, and 16 bits become 8."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from project.errors import UserError, printable

if TYPE_CHECKING:
    from PIL.Image import Image

Box = tuple[int, int, int, int]  # top, left, height and width of a part, in pixels


class UnreadableImage(UserError):
    """A file that cannot be read, or is no image."""

    def __init__(self, path: Path | str, reason: object) -> None:
        super().__init__(printable(f"cannot decode the image {path} ({reason}): leave it out"))


def resized(data: bytes, shape: tuple[int, int, int]) -> Tensor:
    """Decode an image, and resize and convert it to a shape.

    Args:
        data: Content of an image file.
        shape: Shape (C, H, W) of the result, uint8.

    Raises:
        ValueError: The content cannot be decoded.
    """
    channels, height, width = shape
    return to_tensor(pillow(data, "L" if channels == 1 else "RGB").resize((width, height)))


def crop(data: bytes, choose: Callable[[int, int], Box], side: int) -> Tensor:
    """Part of an encoded image as uint8 (3, side, side), resized with antialiasing.

    A JPEG is decoded at a half, a quarter or an eighth of its size, out of the lower
    frequencies of its blocks (Wallace, 1992), where that leaves twice the pixels that are needed;
    antialiasing then hides the difference.

    Args:
        data: Content of an image file.
        choose: Function from an image's height and width to the part.
        side: Height and width of the result.

    Raises:
        ValueError: The content cannot be decoded.
    """
    size = jpeg_size(data)
    reduction = reduced(min(choose(*size)[2:]), side) if size else 1
    image = decode(data, reduction)
    return resize_part(image, choose(*(size or image.shape[1:])), reduction, (side, side))


def reduced(pixels: int, needed: int) -> int:
    """Largest divisor (1, 2, 4 or 8) of a JPEG's size that leaves twice the needed pixels."""
    return max((r for r in (2, 4, 8) if pixels >= 2 * r * needed), default=1)


def resize_part(image: Tensor, box: Box, reduction: int, size: tuple[int, int]) -> Tensor:
    """Part of a decoded image as uint8 (3, *size), resized with antialiasing.

    Args:
        image: Decoded image (3, H, W), uint8.
        box: The part, in pixels before the reduction.
        reduction: Divisor of the size that the image was decoded with.
        size: Height and width of the result.
    """
    top, left, height, width = box
    if reduction == 1:
        part = image[None, :, top : top + height, left : left + width]
        part = part.contiguous(memory_format=torch.channels_last)  # twice as fast
        return F.interpolate(part, size, mode="bilinear", antialias=True)[0]
    from PIL import Image

    edges = (left, top, left + width, top + height)
    limits = (*image.shape[:0:-1], *image.shape[:0:-1])
    inside = tuple(min(edge / reduction, limit) for edge, limit in zip(edges, limits, strict=True))
    # The edges lie between pixels, which only Pillow supports.
    pixels = Image.fromarray(image.permute(1, 2, 0).numpy())
    return to_tensor(pixels.resize(size[::-1], Image.Resampling.BILINEAR, box=inside))


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Height and width of a JPEG that libjpeg-turbo turns into RGB; None for any other content."""
    from simplejpeg import decode_jpeg_header

    try:
        height, width, space, _ = decode_jpeg_header(data)
    except ValueError:
        return None
    return (height, width) if space in ("YCbCr", "Gray", "RGB") else None


def decode(data: bytes, reduction: int = 1) -> Tensor:
    """uint8 RGB image (3, H, W) of a file's content; ``reduction`` divides the size of a JPEG.

    Raises:
        ValueError: The content cannot be decoded.
    """
    from simplejpeg import decode_jpeg

    if size := jpeg_size(data):
        least = {"min_height": -(-size[0] // reduction), "min_width": -(-size[1] // reduction)}
        try:
            return torch.from_numpy(decode_jpeg(data, "RGB", **least)).permute(2, 0, 1)
        except ValueError:  # libjpeg-turbo has a warning; Pillow tells a blemish from damage
            pass
    return to_tensor(pillow(data, "RGB"))


def pillow(data: bytes, mode: str) -> Image:
    """An encoded image in a mode of Pillow.

    Raises:
        ValueError: The content cannot be decoded.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as file:
            file.load()
    except UnidentifiedImageError:
        raise ValueError("it is no image of a known format" if data else "it is empty") from None
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(str(error)) from None
    image: Image.Image = file
    if image.mode.startswith("I"):  # Pillow would clip its 16 bits at 255
        image = image.point(lambda value: value * (1 / 256)).convert("L")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert(mode)


def to_tensor(image: Image) -> Tensor:
    """uint8 (C, H, W) of an image in mode ``L`` or ``RGB``."""
    import numpy as np

    return torch.from_numpy(np.array(image)).view(image.height, image.width, -1).permute(2, 0, 1)
