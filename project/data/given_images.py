"""The user's own images, given as files and folders, or in memory."""

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from project.data.datamodule import ImageDataModule
from project.data.encoded_images import EncodedImages
from project.data.features import Features
from project.data.folders import SUFFIXES, images_below, warn_of_others
from project.data.images import UnreadableImage
from project.errors import UserError


def find_images(paths: list[str]) -> list[Path]:
    """The files among ``paths`` and the images in and below the folders, sorted by name.

    Hidden files and folders are left out, as in a dataset: macOS puts one beside each image.

    Raises:
        UserError: A path does not exist, or a folder holds no image.
    """
    if not paths:
        raise UserError("predict needs --images: give image files and folders")
    found: list[Path] = []
    for path in map(Path, paths):
        if os.path.isdir(path):  # unlike Path.is_dir, it takes a name that is too long
            inside, others = images_below(path)
            if not inside:
                raise UserError(f"--images {path} holds no image ({', '.join(sorted(SUFFIXES))})")
            warn_of_others(path, others)
            found += map(Path, inside)
        elif os.path.isfile(path):
            found.append(path)
        else:
            raise UserError(f"--images {path} does not exist: check its spelling")
    return found


def skipped(images: EncodedImages) -> dict[str, str]:
    """A row for a summary that counts the images that cannot be read; none if all can be."""
    count = int(images.unreadable.sum())
    return {"skipped": f"{count} of {len(images)} image(s), which cannot be read"} if count else {}


def name_of(image: Any, index: int) -> str:
    """The path of an image, or its index in a list if it is given in memory."""
    return os.fspath(image) if isinstance(image, str | os.PathLike) else f"at index {index}"


def as_sample(image: Any, index: int, data: ImageDataModule) -> Tensor:
    """A sample as the dataset has them: uint8 (C, H, W), or float32 of another shape.

    Args:
        image: A file's path, a PIL image or an array; for a dataset without images a sample, or a
            row of a table.
        index: Its index in the user's list, for errors.
        data: The dataset that the network was trained on.

    Raises:
        UserError: It cannot be read.
    """
    name = name_of(image, index)
    if len(data.input_shape) == 3:
        try:
            return data.decoder()(encoded(image))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UnreadableImage(name, reason) from None
    if isinstance(image, Mapping) and isinstance(data, Features):
        return data.features(image)
    try:
        sample = torch.as_tensor(image, dtype=torch.float32)
    except (TypeError, ValueError) as error:
        raise UserError(f"the sample {name} is no array of numbers: {error}") from None
    if sample.shape != data.input_shape:
        wrong, right = list(sample.shape), list(data.input_shape)
        raise UserError(f"the sample {name} has the shape {wrong}: give samples of {right}")
    return sample


def encoded(image: Any) -> bytes:
    """The content of an image's file, or of a lossless file of an image in memory.

    Raises:
        OSError: The file cannot be read, or no file can hold the image.
        ValueError: It is no image.
    """
    if isinstance(image, str | os.PathLike):
        return Path(image).read_bytes()
    from PIL import Image

    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or 0 in image.shape:
            raise ValueError(
                f"it is {image.dtype} of shape {list(image.shape)}, and not uint8 of [H, W] or "
                "[H, W, C]"
            )
        channels = image.shape[2] if image.ndim == 3 else 1
        if channels not in (1, 3, 4):
            raise ValueError(f"it has {channels} channels, and not 1, 3 or 4")
        image = Image.fromarray(image[..., 0] if image.ndim == 3 and channels == 1 else image)
    if not isinstance(image, Image.Image):
        raise ValueError(f"it is a {type(image).__name__}, and no path, PIL image or NumPy array")
    file = io.BytesIO()
    plain = image.convert("RGB") if image.mode in ("CMYK", "YCbCr", "HSV") else image
    plain.save(file, "PNG", compress_level=0)
    return file.getvalue()
