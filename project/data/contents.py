"""Encoded images by index: files of their own, or some of the images of other contents."""

import os
from pathlib import Path
from typing import Protocol

import numpy as np


class Contents(Protocol):
    """Encoded images by index, in files of their own or in a cache."""

    def __len__(self) -> int: ...

    def path(self, index: int) -> Path:
        """The path of the file, to name it."""

    def read(self, index: int) -> bytes:
        """The file's content."""


class Files:
    """Encoded images in files of their own.

    Args:
        folder: Folder that the paths start from.
        names: Paths relative to ``folder`` as bytes (N,).
    """

    def __init__(self, folder: Path, names: np.ndarray) -> None:
        self.folder, self.names = folder, names

    def __len__(self) -> int:
        return len(self.names)

    def path(self, index: int) -> Path:
        return self.folder / os.fsdecode(self.names[index])

    def read(self, index: int) -> bytes:
        return self.path(index).read_bytes()


class Selection:
    """Some of the images of other contents.

    Args:
        files: The other contents.
        rows: Indices in them (N,).
    """

    def __init__(self, files: Contents, rows: np.ndarray) -> None:
        self.files, self.rows = files, rows

    def __len__(self) -> int:
        return len(self.rows)

    def path(self, index: int) -> Path:
        return self.files.path(self.rows[index])

    def read(self, index: int) -> bytes:
        return self.files.read(self.rows[index])
