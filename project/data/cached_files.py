"""Base of datasets that are image files with a folder for each class, or a cache of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from project.data.archives import extract_imagenet
from project.data.crops import Crops
from project.data.datamodule import ImageDataModule
from project.data.encoded_images import Contents, EncodedImages, Files
from project.data.folders import class_folders, find_images
from project.data.imagenet_classes import check_same_classes, class_words, find_classes
from project.data.prepared import Prepared
from project.data.shards import prepare
from project.errors import UserError


class CachedFiles(ImageDataModule):
    """Images in ``root/train/<class>/*`` and ``root/val/<class>/*``; a subclass gives `crops`.

    Args:
        cache: Read images of this short side, which ``python -m project prepare``
            made; None for the original ones.
        max_unreadable: Largest fraction of a split's images that may be skipped because they
            cannot be read.
        classes: Names of the class folders in order; None for the folders in ``root/train``.
    """

    def __init__(
        self,
        cache: int | None = None,
        max_unreadable: float = 0.05,
        classes: list[str] | None = None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if not 0 <= max_unreadable <= 1:
            raise UserError(f"max_unreadable {max_unreadable} must be a fraction of the images")
        if cache is not None and cache < 1:
            raise UserError(f"cache {cache} must be a positive number of pixels")
        self.cache, self.max_unreadable, self.given_classes = cache, max_unreadable, classes
        self.setup_classes()

    @classmethod
    def metadata(cls, arguments: dict[str, Any]) -> tuple[int, tuple[int, ...]]:
        names = arguments["classes"] or class_folders(Path(arguments["root"]) / "train")
        return len(names) or cls.num_classes, cls.input_shape

    @property
    def checksum_status(self) -> str:
        return (
            "none are published for folders; archives are compared with their MD5 when they are "
            "extracted"
        )

    @property
    def resolved_args(self) -> dict[str, Any]:
        return {"classes": self.classes}

    def prepare_data(self) -> None:
        if self.cache is None:
            extract_imagenet(self.root)

    def setup(self, stage: str) -> None:
        self.setup_classes()
        val = self.root / "val"
        if stage == "fit" and self.cache is None and val.is_dir():
            check_same_classes(val, class_folders(val), self.classes)  # before a week of training
        super().setup(stage)

    def setup_classes(self) -> None:
        """Find the classes, unless they are still in the official archive."""
        self.classes = self.given_classes or find_classes(self.root, self.cache)
        self.num_classes = len(self.classes) or type(self).num_classes
        self.class_names = class_words(self.root, self.classes)

    @property
    def cache_folder(self) -> Path:
        return self.root / f"prepared-{self.cache}"

    def load(self, train: bool) -> EncodedImages:
        split = "train" if train else "val"
        files: Contents
        if self.cache is None:
            files, y = self.originals(split)
        else:
            files = Prepared(self.cache_folder, split)
            check_same_classes(self.root / split, files.class_folders(), self.classes)
            y = files.classes(self.classes)
        return EncodedImages(files, y, self.crops, self.max_unreadable)

    def originals(self, split: str) -> tuple[Files, Tensor]:
        """The image files of a split and their classes (N,)."""
        folder = self.root / split
        check_same_classes(folder, class_folders(folder), self.classes)
        names, y = find_images(folder, self.classes)
        return Files(folder, names), y

    @property
    def crops(self) -> Crops:
        """Function from an encoded image to the uint8 image of a sample."""
        raise NotImplementedError

    def prepare_cache(self) -> Iterator[tuple[str, int, int, list[str]]]:
        """Make the cache of ``python -m project prepare``.

        Yields:
            The split, the numbers of images done and in all, and what is said of unreadable ones.
        """
        if self.cache is None:
            raise UserError(
                "prepare makes images of a short side in pixels: give it, such as --data.cache 256"
            )
        extract_imagenet(self.root)
        self.setup_classes()
        for split in ("train", "val"):
            done, (files, _) = 0, self.originals(split)
            for index in prepare(self.cache_folder, split, files, self.cache, self.num_workers):
                done += len(index["names"]) + len(index["unreadable"])
                yield split, done, len(files), index["unreadable"]
