"""Where the images of a user's folder are: in class folders, in ``root`` or below its splits."""

import os
import re
from pathlib import Path

import numpy as np

from project.data.folders import class_folders
from project.data.prepared import Prepared
from project.errors import UserError

SOURCE = "all"  # the one part of the cache of a folder

# Names of the splits, and what their folders may be called.
SPLITS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}


def split_of(name: str) -> str | None:
    """The split that a name stands for, if any."""
    return next((split for split, names in SPLITS.items() if name in names), None)


def split_folders(root: Path) -> list[str]:
    """Folders of the splits; empty if the class folders lie in ``root`` itself.

    A class may be called train, as long as its folder holds no folders.

    Raises:
        UserError: A split has two folders, or there is none for training.
    """
    found = [name for names in SPLITS.values() for name in names if class_folders(root / name)]
    if found and "train" not in found:
        raise UserError(
            f"{root} has {found[0]}/ with class folders, but no such train/: add it, or put all "
            f"class folders in {root} itself"
        )
    if len(found) > len({split_of(name) for name in found}):
        raise UserError(f"{root} has {' and '.join(found[1:3])}, which mean the same: keep one")
    return found


def class_names(folder: Path) -> list[str]:
    """Names of the class folders in a folder, in order; caches are none."""
    return [name for name in class_folders(folder) if not re.fullmatch(r"prepared-\d+", name)]


def find_class_names(root: Path, cache: int | None, url: str | None) -> list[str]:
    """Names of the classes of training images, in order; from the cache if it came alone.

    Raises:
        UserError: There are fewer than two.
    """
    if root.is_file():
        raise UserError(f"{root} is a file: unpack it, and give --data.root the folder")
    cached = root / f"prepared-{cache}"
    if (url or (cached / f"{SOURCE}.json").is_file()) and not class_names(root):
        files = Prepared(cached, SOURCE, url).names
        depth = splits_of(files)[1]
        return sorted({os.fsdecode(name).split(os.sep)[depth] for name in files.tolist()})
    folder = root / "train" if split_folders(root) else root
    names = class_names(folder)
    if len(names) < 2:
        found = f"only one class folder, {names[0]}" if names else "no class folders"
        raise UserError(
            f"{folder} holds {found}: give --data.root the folder with a folder for each class, or "
            "with train/, or give --data.labels a CSV file"
        )
    return names


def splits_of(names: np.ndarray) -> tuple[np.ndarray, int]:
    """The split of each file (N,), and the number of folders above the class folders.

    All files are for training if the class folders lie in the root itself.

    Args:
        names: Paths relative to the root as bytes (N,).
    """
    parts = [os.fsdecode(name).split(os.sep) for name in names.tolist()]
    if not any(part[0] == "train" and len(part) > 2 for part in parts):
        return np.full(len(parts), "train"), 0
    return np.array([split_of(part[0]) for part in parts]), 1
