"""Reading image files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from PIL.Image import Image


def open_image(path: Path, mode: str) -> Image:
    """The decoded image of a file, converted to a mode of Pillow such as ``L`` or ``RGB``; EXIF rotation is ignored.

    Raises:
        ValueError: The file cannot be decoded; names it.
    """
    from PIL import Image

    try:
        with Image.open(path) as file:
            return file.convert(mode)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"cannot decode the image {path} ({error}): leave it out") from None


def to_tensor(image: Image) -> Tensor:
    """uint8 (C, H, W) of an image in mode ``L`` or ``RGB``."""
    import numpy as np

    return torch.from_numpy(np.array(image)).view(image.height, image.width, -1).permute(2, 0, 1)
