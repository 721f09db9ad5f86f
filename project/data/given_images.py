"""The user's own images, given as files and folders."""

import os
from pathlib import Path

from project.data.encoded_images import EncodedImages
from project.data.folders import SUFFIXES, images_below, warn_of_others
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
