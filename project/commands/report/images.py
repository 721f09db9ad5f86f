"""Images inside the HTML file."""

import base64
import io
from pathlib import Path
from typing import NamedTuple


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
    from PIL import Image

    with Image.open(image) as opened:
        small = opened.convert("RGB")
    small.thumbnail((size.width, 4 * size.width))
    packed = io.BytesIO()
    small.save(packed, "WEBP", quality=size.quality, method=4)
    return f"data:image/webp;base64,{base64.b64encode(packed.getvalue()).decode()}"
