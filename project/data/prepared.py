"""A cache of resized images: JPEGs, a thousand in each file, which has an index beside it."""

import json
import os
from pathlib import Path
from typing import Any, Literal

import numpy as np

from project.data.remote import Remote
from project.errors import UserError

Format = Literal["jpegs", "webdataset"]
SUFFIXES: dict[Format, str] = {"jpegs": ".jpegs", "webdataset": ".tar"}


class Prepared:
    """The images of a split by index, in the cache ``folder``.

    Args:
        folder: Folder of the cache.
        split: Name of this part of the cache, such as ``train``.
        url: Where the files of the cache are fetched from when they are first needed, if they are
            not in the folder.

    Raises:
        UserError: The cache is not there, incomplete or damaged.
    """

    def __init__(self, folder: Path, split: str, url: str | None = None) -> None:
        self.folder, self.remote = folder, Remote(url, folder) if url else None
        if self.remote:
            self.remote.fetch(f"{split}.json")
        try:
            summary = json.loads((folder / f"{split}.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(
                f"{folder} has no prepared {split} images: make them once with "
                "python -m project prepare and the same --config and --data"
            ) from None
        count, suffix = summary["shards"], SUFFIXES[summary.get("format", "jpegs")]
        self.shards = [folder / f"{split}-{k:05d}{suffix}" for k in range(count)]
        if self.remote:
            self.remote.fetch(*(f"{shard.stem}.json" for shard in self.shards))
        indices = [read_index(shard) for shard in self.shards]
        for shard, index in zip(self.shards, indices, strict=True):
            length = index.get("length", sum(index.get("sizes", ())))
            there = shard.stat().st_size == length if shard.exists() else self.remote
            if not index or not there:
                fix = "python -m project prepare"
                raise UserError(f"{shard} is damaged or missing: {fix} fixes it")
        # The hash of each original file, which an earlier version did not keep.
        self.hashes = [value for index in indices for value in index.get("hashes", ())]
        self.names = np.array([os.fsencode(name) for index in indices for name in index["names"]])
        sizes = [np.array(index["sizes"], dtype=np.int64) for index in indices]
        self.sizes = np.concatenate(sizes)
        starts = [
            np.array(index["starts"]) if "starts" in index else size.cumsum() - size
            for index, size in zip(indices, sizes, strict=True)
        ]
        self.starts = np.concatenate(starts)
        self.md5s = [index["md5"] for index in indices]
        self.shard_of = np.repeat(np.arange(count), [len(size) for size in sizes])

    def __len__(self) -> int:
        return len(self.names)

    def path(self, index: int) -> Path:
        return self.shards[self.shard_of[index]] / os.fsdecode(self.names[index])

    def read(self, index: int) -> bytes:
        shard = self.shards[self.shard_of[index]]
        if self.remote and not shard.exists():
            self.remote.fetch(shard.name, md5=self.md5s[self.shard_of[index]])
        with shard.open("rb", buffering=0) as file:
            return os.pread(file.fileno(), int(self.sizes[index]), int(self.starts[index]))

    def class_folders(self) -> list[str]:
        """Names of the folders that the images were in, in order."""
        return sorted({os.fsdecode(name).split(os.sep, 1)[0] for name in self.names})


def read_index(shard: Path) -> dict[str, Any]:
    """The index beside a file of images; empty if there is none."""
    path = shard.with_suffix(".json")
    index: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return index
