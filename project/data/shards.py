"""Making the cache of resized images, which `prepared` reads."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader, Dataset

from project.data.content_split import content_hash
from project.data.contents import Files
from project.data.images import decode, jpeg_size
from project.data.prepared import SUFFIXES, Format, read_index
from project.data.resizing import reduced, resize_part
from project.data.webdataset import tar_of

SHARD = 1000  # images in a file
QUALITY = 95  # JPEG quality of the images


def shrink(data: bytes, short_side: int) -> bytes:
    """An encoded image as a JPEG of the given short side; a smaller JPEG stays as it is.

    Raises:
        ValueError: It cannot be decoded.
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


@dataclass(frozen=True)
class Shards(Dataset):
    """Item k makes the k-th file of a split, unless it is there already and whole.

    Args:
        folder: Folder of the cache.
        split: Name of this part of the cache, such as ``train``.
        files: The split's images.
        short_side: Length of the short side that they are resized to.
        classes: Names of the class folders in order, for a WebDataset.
        format: How the files are packed.
    """

    folder: Path
    split: str
    files: Files
    short_side: int
    classes: Sequence[str]
    format: Format

    def __len__(self) -> int:
        return -(-len(self.files) // SHARD)

    def __getitem__(self, k: int) -> dict[str, Any]:
        """The file's index."""
        members = range(k * SHARD, min((k + 1) * SHARD, len(self.files)))
        shard = self.folder / f"{self.split}-{k:05d}{SUFFIXES[self.format]}"
        source = fingerprint([self.files.path(i) for i in members])
        index = read_index(shard)
        same = index.get("source") == source and shard.exists()
        if same and md5(shard.read_bytes()) == index["md5"]:
            return index
        index = {"source": source, "names": [], "sizes": [], "hashes": [], "unreadable": []}
        images = []
        for i in members:
            try:
                original = self.files.read(i)
                image = shrink(original, self.short_side)
            except (OSError, ValueError) as error:
                index["unreadable"].append(f"{self.files.path(i)} ({error})")
                continue
            images.append(image)
            index["names"].append(os.fsdecode(self.files.names[i]))
            index["sizes"].append(len(image))
            index["hashes"].append(content_hash(original))
        content = b"".join(images)
        if self.format == "webdataset":
            labels = [self.label(Path(name)) for name in index["names"]]
            content, index["starts"] = tar_of(images, members.start, labels)
        index |= {"md5": md5(content), "length": len(content)}
        write(shard, content)
        write(shard.with_suffix(".json"), json.dumps(index).encode())
        return index

    def label(self, name: Path) -> int | None:
        """The number of an image's class, if it lies in a class folder."""
        folder = name.parent.name
        return self.classes.index(folder) if folder in self.classes else None


def prepare(shards: Shards, num_workers: int) -> Iterator[dict[str, Any]]:
    """Make the missing files of a split; yields the index of each file once it is there.

    It can be stopped at any time, and then goes on with the next file, with the same bytes.
    """
    folder, split = shards.folder, shards.split
    folder.mkdir(parents=True, exist_ok=True)
    yield from DataLoader(shards, batch_size=None, num_workers=num_workers)
    for partial in folder.glob(f"{split}-*.partial"):  # of processes that were killed
        partial.unlink(missing_ok=True)
    summary = {"images": len(shards.files), "shards": len(shards), "format": shards.format}
    write(folder / f"{split}.json", json.dumps(summary).encode())


def fingerprint(paths: list[Path]) -> str:
    """Hash that changes if a file is added, removed or replaced by one of another size."""
    sizes = [
        (os.fsencode(path.name), path.stat().st_size if path.exists() else -1) for path in paths
    ]
    return md5(repr(sizes).encode())


def md5(data: bytes) -> str:
    """MD5 in hexadecimal digits."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def write(path: Path, data: bytes) -> None:
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
