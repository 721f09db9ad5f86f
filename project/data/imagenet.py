"""ImageNet, or any folder like it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from project.data.archives import extract_imagenet
from project.data.cached_files import CachedFiles
from project.data.contents import Files
from project.data.encoded_images import EncodedImages
from project.data.folders import class_folders, find_images, folder_classes
from project.data.imagenet_classes import (
    cached_classes,
    check_same_classes,
    class_words,
    find_classes,
)
from project.data.prepared import Format, Prepared


class ImageNet(CachedFiles):
    """Photographs in ``root/train/<class>/*`` and ``root/val/<class>/*`` (Deng et al., 2009).

    The official archives and devkit in ``root`` are extracted once. The official validation images
    are the test set, and validation is held out of the training images.
    """

    num_classes = 1000
    sources = ("train", "val")

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.setup_classes()

    @classmethod
    def metadata(cls, arguments: dict[str, Any]) -> tuple[int, tuple[int, int, int]]:
        root, cache, url = (arguments[name] for name in ("root", "cache", "cache_url"))
        names = arguments["classes"] or class_folders(Path(root) / "train")
        names = names or cached_classes(Path(root), cache, url)
        return len(names) or cls.num_classes, super().metadata(arguments)[1]

    @property
    def checksum_status(self) -> str:
        return (
            "none are published for folders; archives are compared with their MD5 when they are "
            "extracted"
        )

    def prepare_data(self) -> None:
        if self.cache is None:
            extract_imagenet(self.root)

    def prepare_cache(self, format: Format = "jpegs") -> Iterator[tuple[str, int, int, list[str]]]:
        if self.cache is not None:
            extract_imagenet(self.root)
        yield from super().prepare_cache(format)

    def setup(self, stage: str) -> None:
        self.setup_classes()
        val = self.root / "val"
        if stage == "fit" and self.cache is None and val.is_dir():
            check_same_classes(val, class_folders(val), self.classes)  # before a week of training
        super().setup(stage)

    def setup_classes(self) -> None:
        """Find the classes, unless they are still in the official archive."""
        self.classes = self.given_classes or find_classes(self.root, self.cache, self.cache_url)
        self.num_classes = len(self.classes) or type(self).num_classes
        self.class_names = class_words(self.root, self.classes)

    def load(self, train: bool) -> EncodedImages:
        split = "train" if train else "val"
        files: Files | Prepared
        if self.cache is None:
            files = self.originals(split)
        else:
            files = self.prepared(split)
            check_same_classes(self.root / split, files.class_folders(), self.classes)
        y = folder_classes(files.names, self.classes)
        return EncodedImages(files, y, self.crops, self.max_unreadable)

    def originals(self, source: str) -> Files:
        folder = self.root / source
        check_same_classes(folder, class_folders(folder), self.classes)
        return Files(folder, find_images(folder, self.classes))
