"""A cache of resized images: JPEGs, a thousand in each file, which has an index beside it."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from project.errors import UserError


class Prepared:
    """The images of a split by index, in the cache ``folder``.

    Raises:
        UserError: The cache is not there, incomplete or damaged.
    """

    def __init__(self, folder: Path, split: str) -> None:
        self.folder = folder
        try:
            count = json.loads((folder / f"{split}.json").read_text(encoding="utf-8"))["shards"]
        except FileNotFoundError:
            raise UserError(
                f"{folder} has no prepared {split} images: make them once with "
                "python -m project prepare and the same --config and --data"
            ) from None
        self.shards = [folder / f"{split}-{k:05d}.jpegs" for k in range(count)]
        indices = [read_index(shard) for shard in self.shards]
        for shard, index in zip(self.shards, indices, strict=True):
            if not index or not shard.exists() or shard.stat().st_size != sum(index["sizes"]):
                fix = "python -m project prepare"
                raise UserError(f"{shard} is damaged or missing: {fix} fixes it")
        # The hash of each original file, which an earlier version did not keep.
        self.hashes = [value for index in indices for value in index.get("hashes", ())]
        self.names = np.array([os.fsencode(name) for index in indices for name in index["names"]])
        sizes = [np.array(index["sizes"], dtype=np.int64) for index in indices]
        self.sizes = np.concatenate(sizes)
        self.starts = np.concatenate([size.cumsum() - size for size in sizes])
        self.shard_of = np.repeat(np.arange(count), [len(size) for size in sizes])

    def __len__(self) -> int:
        return len(self.names)

    def path(self, index: int) -> Path:
        return self.shards[self.shard_of[index]] / os.fsdecode(self.names[index])

    def read(self, index: int) -> bytes:
        with self.shards[self.shard_of[index]].open("rb", buffering=0) as file:
            return os.pread(file.fileno(), int(self.sizes[index]), int(self.starts[index]))

    def class_folders(self) -> list[str]:
        """Names of the folders that the images were in, in order."""
        return sorted({os.fsdecode(name).split(os.sep, 1)[0] for name in self.names})


def read_index(shard: Path) -> dict[str, Any]:
    """The index beside a file of images; empty if there is none."""
    path = shard.with_suffix(".json")
    index: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return index
