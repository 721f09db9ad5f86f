"""Reading image files: EXIF rotation is ignored, as is ImageNet's convention, alpha dropped, 16 bits become 8."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from PIL.Image import Image

Box = tuple[int, int, int, int]  # top, left, height and width of a part, in pixels


class UnreadableImage(ValueError):
    """A file that cannot be read, or is no image; names it."""

    def __init__(self, path: Path, reason: object) -> None:
        super().__init__(f"cannot decode the image {path} ({reason}): leave it out")


def open_image(path: Path, mode: str) -> Image:
    """The image of a file, converted to a mode of Pillow such as ``L`` or ``RGB``.

    Raises:
        UnreadableImage: The file cannot be read or decoded.
    """
    try:
        return pillow(path.read_bytes(), mode)
    except (OSError, ValueError) as error:
        raise UnreadableImage(path, error) from None


def read_resized(paths: list[Path], shape: tuple[int, int, int]) -> Tensor:
    """uint8 images (N, C, H, W) from files, resized to a shape (C, H, W) and converted to its channels.

    Raises:
        UnreadableImage: A file cannot be read or decoded.
    """
    channels, height, width = shape
    opened = (open_image(path, "L" if channels == 1 else "RGB") for path in paths)
    return torch.stack([to_tensor(image.resize((width, height))) for image in opened])


def crop(data: bytes, choose: Callable[[int, int], Box], side: int) -> Tensor:
    """uint8 RGB image (3, side, side): a part of an encoded image, resized with antialiasing.

    A JPEG is decoded at a half, a quarter or an eighth of its size, which its blocks' lower frequencies alone give
    (Wallace, 1992), where that leaves twice the pixels that are needed; antialiasing then hides the difference.

    Args:
        data: Content of an image's file.
        choose: Gives the part of an image of the given height and width.
        side: Height and width of the result.

    Raises:
        ValueError: The content cannot be decoded.
    """
    size, reduction = jpeg_size(data), 1
    if size:
        reduction = max(r for r in (1, 2, 4, 8) if r == 1 or min(choose(*size)[2:]) >= 2 * r * side)
    image = decode(data, reduction)
    height, width = size or image.shape[1:]
    top, left, h, w = choose(height, width)
    down, right = image.shape[1] / height, image.shape[2] / width  # 1 where nothing was reduced
    top, bottom = round(top * down), round((top + h) * down)
    left, right = round(left * right), round((left + w) * right)
    part = image[None, :, top:bottom, left:right]
    return F.interpolate(part, (side, side), mode="bilinear", antialias=True)[0]


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Height and width of a JPEG that libjpeg-turbo turns into RGB; None for any other content."""
    from simplejpeg import decode_jpeg_header

    try:
        height, width, space, _ = decode_jpeg_header(data)
    except ValueError:
        return None
    return (height, width) if space in ("YCbCr", "Gray", "RGB") else None


def decode(data: bytes, reduction: int = 1) -> Tensor:
    """uint8 RGB image (3, H, W) of a file's content; a JPEG's height and width can be divided by 2, 4 or 8.

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
