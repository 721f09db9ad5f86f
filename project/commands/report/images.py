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


def as_film(path: Path, size: Size) -> str:
    """An animated GIF as a data URI in WebP, no wider than ``size``."""
    from PIL import Image, ImageSequence

    frames, durations = [], []
    with Image.open(path) as film:
        for frame in ImageSequence.Iterator(film):
            durations.append(frame.info.get("duration", 100))
            frames.append(frame.convert("RGB"))
            frames[-1].thumbnail((size.width, 4 * size.width))
    packed, more = io.BytesIO(), {"append_images": frames[1:], "duration": durations, "loop": 0}
    frames[0].save(packed, "WEBP", save_all=True, quality=size.quality, method=2, **more)
    return f"data:image/webp;base64,{base64.b64encode(packed.getvalue()).decode()}"


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
