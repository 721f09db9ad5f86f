"""Reading image files; EXIF rotation is ignored, alpha dropped, and 16 bits become 8."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from project.errors import UserError, printable

if TYPE_CHECKING:
    from PIL.Image import Image


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
