"""A cache of images that were resized once: JPEGs one after another in files of a thousand, each with its index."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from project.data.encoded_images import Files
from project.data.images import decode, jpeg_size, reduced, resize_part
from project.errors import UserError

SHARD = 1000  # images in a file
QUALITY = 95  # of the JPEGs
Progress = Callable[[int, int], None]


def shrink(data: bytes, short_side: int) -> bytes:
    """An encoded image as a JPEG of the given short side; a smaller JPEG stays as it is.

    Raises:
        UserError: It cannot be decoded.
    """
    from simplejpeg import encode_jpeg

    size = jpeg_size(data)
    reduction = reduced(min(size), short_side) if size else 1
    image = decode(data, reduction)
    height, width = size or image.shape[1:]
    scale = short_side / min(height, width)
    if scale < 1:
        shape = (max(round(height * scale), short_side), max(round(width * scale), short_side))
        image = resize_part(image, (0, 0, height, width), reduction, shape)
    elif size:
        return data
    pixels = image.permute(1, 2, 0).contiguous().numpy()
    return encode_jpeg(pixels, quality=QUALITY, colorsubsampling="420")


class Shards(Dataset):
    """Item k makes the k-th file of a split, unless it is there already and whole.

    Args:
        folder: Of the cache.
        split: ``train`` or ``val``.
        files: The split's images.
        short_side: What to resize them to.
    """

    def __init__(self, folder: Path, split: str, files: Files, short_side: int) -> None:
        self.folder, self.split, self.files, self.short_side = folder, split, files, short_side

    def __len__(self) -> int:
        return -(-len(self.files) // SHARD)

    def __getitem__(self, k: int) -> dict[str, Any]:
        """The file's index."""
        members = range(k * SHARD, min((k + 1) * SHARD, len(self.files)))
        shard = self.folder / f"{self.split}-{k:05d}.jpegs"
        source = fingerprint([self.files.path(i) for i in members])
        index = read_index(shard)
        if (
            index.get("source") == source
            and shard.exists()
            and md5(shard.read_bytes()) == index["md5"]
        ):
            return index
        index = {"source": source, "names": [], "sizes": [], "unreadable": []}
        content = bytearray()
        for i in members:
            try:
                image = shrink(self.files.read(i), self.short_side)
            except (OSError, ValueError) as error:
                index["unreadable"].append(f"{self.files.path(i)} ({error})")
                continue
            content += image
            index["names"].append(os.fsdecode(self.files.names[i]))
            index["sizes"].append(len(image))
        index["md5"] = md5(content)
        write(shard, content)
        write(shard.with_suffix(".json"), json.dumps(index).encode())
        return index


def prepare(
    folder: Path, split: str, files: Files, short_side: int, num_workers: int
) -> Iterator[dict[str, Any]]:
    """Make the files of a split that are missing; gives the index of each when it is there.

    It can be stopped at any time and goes on with the next file; the bytes are the same in any
    case.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shards = Shards(folder, split, files, short_side)
    yield from DataLoader(shards, batch_size=None, num_workers=num_workers)
    for partial in folder.glob(f"{split}-*.partial"):  # of processes that were killed
        partial.unlink(missing_ok=True)
    write(
        folder / f"{split}.json", json.dumps({"images": len(files), "shards": len(shards)}).encode()
    )


class Prepared:
    """Contents of a split's images by index.

    Raises:
        UserError: The cache is not there, incomplete or damaged.
    """

    def __init__(self, folder: Path, split: str) -> None:
        self.folder = folder
        try:
            count = json.loads((folder / f"{split}.json").read_text(encoding="utf-8"))["shards"]
        except FileNotFoundError:
            raise UserError(
                f"{folder} has no prepared {split} images: make them once with python -m project prepare and the same "
                "--config and --data"
            ) from None
        self.shards = [folder / f"{split}-{k:05d}.jpegs" for k in range(count)]
        indices = [read_index(shard) for shard in self.shards]
        for shard, index in zip(self.shards, indices, strict=True):
            if not index or not shard.exists() or shard.stat().st_size != sum(index["sizes"]):
                raise UserError(
                    f"{shard} is damaged or missing: python -m project prepare mends it"
                )
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

    def classes(self, known: list[str]) -> Tensor:
        """int64 classes (N,): positions in ``known`` of the folders that the images were in."""
        position = {name: k for k, name in enumerate(known)}
        return torch.tensor(
            [position[os.fsdecode(name).split(os.sep, 1)[0]] for name in self.names]
        )

    def class_folders(self) -> list[str]:
        """Names of the folders that the images were in, in order."""
        return sorted({os.fsdecode(name).split(os.sep, 1)[0] for name in self.names})


def read_index(shard: Path) -> dict[str, Any]:
    """The index beside a file of images; empty if there is none."""
    path = shard.with_suffix(".json")
    index: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return index


def fingerprint(paths: list[Path]) -> str:
    """Changes if a file is added, removed or replaced by another of a different size."""
    sizes = [
        (os.fsencode(path.name), path.stat().st_size if path.exists() else -1) for path in paths
    ]
    return md5(repr(sizes).encode())


def md5(data: bytes | bytearray) -> str:
    """In hexadecimal digits."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def write(path: Path, data: bytes | bytearray) -> None:
    """Write a whole file or nothing; another process may do the same at the same time."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except FileNotFoundError:  # another process has made everything, and removed it
        if not path.exists():
            raise
    finally:
        partial.unlink(missing_ok=True)
