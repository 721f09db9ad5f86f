"""Images inside the HTML file."""

import base64
import io
from pathlib import Path
from typing import Any, NamedTuple

from project.errors import UserError


class Size(NamedTuple):
    """A bound on the size of images.

    Attributes:
        width: Greatest width in pixels.
        quality: Quality of the WebP encoding, up to 100.
    """

    width: int
    quality: int


def as_uri(image: Path | io.BytesIO, size: Size) -> str:
    """An image as a data URI in WebP, no wider than ``size``."""
    small = opened(image)
    small.thumbnail((size.width, 4 * size.width))
    packed = io.BytesIO()
    small.save(packed, "WEBP", quality=size.quality, method=4)
    return f"data:image/webp;base64,{base64.b64encode(packed.getvalue()).decode()}"


def as_gif(path: Path) -> str:
    """An animated GIF as a data URI, as it is."""
    return f"data:image/gif;base64,{base64.b64encode(path.read_bytes()).decode()}"


def opened(image: Path | io.BytesIO) -> Any:
    """A Pillow image in RGB.

    Raises:
        UserError: The file is damaged.
    """
    from PIL import Image

    try:
        with Image.open(image) as file:
            return file.convert("RGB")
    except OSError as error:
        raise UserError(
            f"cannot read the figure {image} ({error}): delete it, and it is left out"
        ) from None
