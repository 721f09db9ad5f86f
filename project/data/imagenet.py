"""ImageNet, or any folder of images with a folder for each class."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from project.data.archives import class_words, extract_imagenet, has_archive
from project.data.crops import Crops
from project.data.datamodule import ImageDataModule
from project.data.encoded_images import EncodedImages, Files
from project.data.folders import class_folders, find_images
from project.data.gpu import LaterCrops, decode_on
from project.data.prepared import Prepared, prepare
from project.data.transforms.policies import Policy
from project.errors import UserError


class ImageNet(ImageDataModule):
    """Photographs in ``root/train/<class>/*`` and ``root/val/<class>/*``, such as ImageNet (Deng et al., 2009).

    The official archives and devkit in ``root`` are extracted once. Classes are those found.
    Training images are random crops (Szegedy et al., 2015, section 6), to which the workers apply
    RandAugment and TrivialAugment; others have their short side resized to 8/7 of ``image_size``
    and their centre cropped. The official validation images are the test set, and validation is
    held out of the training images.

    Args:
        image_size: Height and width of the crops in pixels.
        start_size: Of training crops in the first epoch; it grows evenly to ``image_size`` in the
            last, in steps of 32.
        min_area: Least share of a training image's area in its crop.
        cache: Read images of this short side, which ``python -m project prepare`` made; None for
            the original ones.
        decode_on_gpu: Leave decoding training JPEGs to the device, where the processor is too slow;
            a damaged file is then an error.
        max_unreadable: Share of a split's images that may be skipped because they cannot be read.
        classes: Names of the class folders in order; None for those found in ``root/train``.
    """

    num_classes = 1000
    input_shape = (3, 224, 224)
    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)

    def __init__(
        self,
        image_size: int = 224,
        start_size: int | None = None,
        min_area: float = 0.08,
        cache: int | None = None,
        decode_on_gpu: bool = False,
        max_unreadable: float = 0.05,
        classes: list[str] | None = None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if image_size < 1 or not 0 < min_area <= 1:
            raise UserError(
                f"image_size {image_size} must be positive, and min_area {min_area} a share of the area"
            )
        if not 0 <= max_unreadable <= 1:
            raise UserError(f"max_unreadable {max_unreadable} must be a share of the images")
        if start_size is not None and not 0 < start_size <= image_size:
            raise UserError(
                f"start_size {start_size} must lie between 1 and image_size {image_size}"
            )
        if cache is not None and cache < 1:
            raise UserError(f"cache {cache} must be a positive number of pixels")
        self.input_shape, self.start_size = (3, image_size, image_size), start_size
        self.min_area, self.cache, self.max_unreadable = min_area, cache, max_unreadable
        self.decode_on_gpu = decode_on_gpu
        if not decode_on_gpu:
            self.policies = [t for t in self.augment if isinstance(t, Policy)]
            self.augment = [t for t in self.augment if not isinstance(t, Policy)]
        self.given_classes = classes
        self.setup_classes()

    @classmethod
    def metadata(cls, arguments: dict[str, Any]) -> tuple[int, tuple[int, int, int]]:
        names = arguments["classes"] or class_folders(Path(arguments["root"]) / "train")
        size = arguments["image_size"]
        return len(names) or cls.num_classes, (3, size, size)

    @property
    def checksum_status(self) -> str:
        return "none are published for folders; archives are compared with their MD5 when they are extracted"

    @property
    def resolved_args(self) -> dict[str, Any]:
        return {"classes": self.classes}

    def prepare_data(self) -> None:
        if self.cache is None:
            extract_imagenet(self.root)

    def setup(self, stage: str) -> None:
        self.setup_classes()
        if stage == "fit" and self.cache is None and (self.root / "val").is_dir():
            self.check_classes(
                "val", class_folders(self.root / "val")
            )  # before a week of training, not after
        super().setup(stage)

    def setup_classes(self) -> None:
        """Find the classes, unless they are still in the official archive."""
        self.classes = self.given_classes or find_classes(self.root, self.cache)
        self.num_classes = len(self.classes) or type(self).num_classes
        self.class_names = class_words(self.root, self.classes)

    # ---------------------------------------------------------------- images

    @property
    def cache_folder(self) -> Path:
        return self.root / f"prepared-{self.cache}"

    def load(self, train: bool) -> EncodedImages:
        split = "train" if train else "val"
        if self.cache is None:
            folder = self.root / split
            self.check_classes(split, class_folders(folder))
            names, y = find_images(folder, self.classes)
            return EncodedImages(Files(folder, names), y, self.crops, self.max_unreadable)
        files = Prepared(self.cache_folder, split)
        self.check_classes(split, files.class_folders())
        return EncodedImages(files, files.classes(self.classes), self.crops, self.max_unreadable)

    def check_classes(self, split: str, found: list[str]) -> None:
        """Raise UserError if a split has other classes than the run."""
        if odd := sorted(set(found) ^ set(self.classes)):
            where = (
                f"{self.root / split} lacks"
                if odd[0] in self.classes
                else f"only {self.root / split} has"
            )
            raise UserError(
                f"the splits have different classes: {where} {odd[0]}" + f" ({len(odd)} differ)"
            )

    @property
    def crops(self) -> Crops:
        kind = LaterCrops if self.decode_on_gpu else Crops
        return kind(self.input_shape[1], self.min_area, self.policies)

    def transfer_batch_to_device(
        self, batch: tuple[Any, Tensor], device: torch.device, dataloader_idx: int
    ) -> tuple[Tensor, Tensor]:
        x, y = batch
        x = decode_on(device, x) if isinstance(x, list) else x
        return super().transfer_batch_to_device((x, y), device, dataloader_idx)

    def decoder(self) -> Callable[[bytes], Tensor]:
        return self.crops.centre

    def train_size(self, epoch: int) -> int:
        """Height and width of the training crops of an epoch."""
        size = self.input_shape[1]
        if self.start_size is None:
            return size
        epochs = self.trainer.max_epochs
        if not epochs or epochs < 1:
            raise UserError(
                "--data.start_size grows over the run's epochs: give --trainer.max_epochs"
            )
        grown = self.start_size + (size - self.start_size) * epoch / max(epochs - 1, 1)
        return min(max(round(grown / 32) * 32, self.start_size), size)

    def sample_size(self) -> Callable[[int], int]:
        return self.train_size

    # ---------------------------------------------------------------- the cache

    def prepare_cache(self) -> Iterator[tuple[str, int, int, list[str]]]:
        """Make the cache; gives the split, the images done and to do, and messages of those that cannot be read."""
        if self.cache is None:
            raise UserError(
                "prepare makes images of a short side in pixels: give it, such as --data.cache 256"
            )
        extract_imagenet(self.root)
        self.setup_classes()
        for split in ("train", "val"):
            folder = self.root / split
            self.check_classes(split, class_folders(folder))
            names, _ = find_images(folder, self.classes)
            done, files = 0, Files(folder, names)
            for index in prepare(self.cache_folder, split, files, self.cache, self.num_workers):
                done += len(index["names"]) + len(index["unreadable"])
                yield split, done, len(names), index["unreadable"]


def find_classes(root: Path, cache: int | None) -> list[str]:
    """Names of the folders of classes in order; none while they are in the official archive.

    Raises:
        UserError: There are none.
    """
    if root.is_file():
        raise UserError(
            f"{root} is a file: unpack it, and give --data.root the folder that holds train/ and val/"
        )
    folder, cached = root / "train", root / f"prepared-{cache}"
    if names := class_folders(folder):
        return names
    if cache is not None and cached.exists():
        return Prepared(cached, "train").class_folders()
    if has_archive(root, "train"):
        return []
    packed = [p.name for p in root.glob("train.*") if p.is_file()]
    hint = (
        f"unpack {packed[0]} there" if packed else "give --data.root a folder with train/ and val/"
    )
    raise UserError(f"{folder} holds no folder for each class: {hint}")
