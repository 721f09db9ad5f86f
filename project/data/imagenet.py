"""ImageNet, or any folder of images with a folder for each class."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor
from torch.utils.data import Dataset

from project.data.base import ImageDataModule
from project.data.images import open_image, to_tensor

SUFFIXES = {".jpeg", ".jpg", ".png"}


class ImageNet(ImageDataModule):
    """Photographs in ``root/train/<class>/*`` and ``root/val/<class>/*``, such as ImageNet (Deng et al., 2009).

    Classes are those found. Training images are random crops (Szegedy et al., 2015, section 6); others have their short
    side resized to 8/7 of ``image_size`` and their centre cropped. The official validation images are the test set, and
    validation is held out of the training images.

    Args:
        image_size: Height and width of the crops in pixels.
        min_area: Least share of a training image's area in its crop.
    """

    num_classes = 1000
    input_shape = (3, 224, 224)
    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)
    crops_at_random = True

    def __init__(self, image_size: int = 224, min_area: float = 0.08, **kwargs) -> None:
        super().__init__(**kwargs)
        if image_size < 1 or not 0 < min_area <= 1:
            raise ValueError(f"image_size {image_size} must be positive, and min_area {min_area} a share of the area")
        self.input_shape, self.min_area = (3, image_size, image_size), min_area
        self.class_names = self.find_classes("train")
        self.num_classes = len(self.class_names)

    @classmethod
    def facts(cls, arguments: dict[str, Any]) -> tuple[int, tuple[int, int, int]]:
        folder, size = Path(arguments["root"]) / "train", arguments["image_size"]
        return len(class_folders(folder)) or cls.num_classes, (3, size, size)

    def find_classes(self, split: str) -> list[str]:
        """Names of the folders of a split in order.

        Raises:
            ValueError: There are none.
        """
        folder = self.root / split
        names = class_folders(folder)
        if not names:
            raise ValueError(f"{folder} holds no folder for each class: give --data.root a folder with train/ and val/")
        return names

    def load(self, train: bool) -> "FolderImages":
        split = "train" if train else "val"
        if (names := self.find_classes(split)) != self.class_names:
            odd = sorted(set(names) ^ set(self.class_names))[0]
            raise ValueError(f"{self.root / 'train'} and {self.root / split} have other classes, such as {odd}")
        paths, classes = [], []
        for k, name in enumerate(names):
            found = sorted(p for p in (self.root / split / name).iterdir() if p.suffix.lower() in SUFFIXES)
            if not found:
                raise ValueError(f"the class folder {self.root / split / name} holds no image")
            paths += found
            classes += [k] * len(found)
        return FolderImages(paths, torch.tensor(classes), self.read, self.random_crop)

    def read(self, paths: list[Path]) -> Tensor:
        """uint8 images (N, 3, H, W): the centres of the files' images."""
        from torchvision.transforms.v2.functional import center_crop, resize

        size = self.input_shape[1]
        images = [center_crop(resize(decode(p), [size * 8 // 7], antialias=True), [size, size]) for p in paths]
        return torch.stack(images)

    def random_crop(self, path: Path, seed: int) -> Tensor:
        """uint8 image (3, H, W): a random part of the file's image, determined by ``seed``."""
        from torchvision.transforms.v2.functional import resized_crop

        image = decode(path)
        _, height, width = image.shape
        top, left, height, width = crop_box(height, width, self.min_area, Generator().manual_seed(seed))
        return resized_crop(image, top, left, height, width, list(self.input_shape[1:]), antialias=True)


def class_folders(folder: Path) -> list[str]:
    """Names of the folders in ``folder`` in order, but for hidden ones; none if it does not exist."""
    inside = folder.iterdir() if folder.is_dir() else ()
    return sorted(path.name for path in inside if path.is_dir() and not path.name.startswith("."))


class FolderImages(Dataset):
    """Images read from files when they are needed.

    Args:
        paths: N files.
        y: int64 classes (N,).
        read: Gives the uint8 batch (M, C, H, W) of M files.
        random_crop: Gives the uint8 image (C, H, W) of a file and a seed.
    """

    def __init__(
        self,
        paths: list[Path],
        y: Tensor,
        read: Callable[[list[Path]], Tensor],
        random_crop: Callable[[Path, int], Tensor],
    ) -> None:
        self.paths, self.y, self.read, self.random_crop = paths, y, read, random_crop

    def __len__(self) -> int:
        return len(self.paths)

    def __getitems__(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """A batch: the centres for indices (N,), random crops for (N, 2) of an index and a seed each."""
        if samples.ndim == 1:
            return self.read([self.paths[i] for i in samples.tolist()]), self.y[samples]
        crops = [self.random_crop(self.paths[i], seed) for i, seed in samples.tolist()]
        return torch.stack(crops), self.y[samples[:, 0]]


def decode(path: Path) -> Tensor:
    """uint8 RGB image (3, H, W)."""
    return to_tensor(open_image(path, "RGB"))


def crop_box(height: int, width: int, min_area: float, generator: Generator) -> tuple[int, int, int, int]:
    """Top, left, height and width of a crop with ``min_area`` to all of the area and a ratio of 3/4 to 4/3.

    As torchvision's ``RandomResizedCrop``: ten tries, then the largest centre with such a ratio.
    """
    low, high = 3 / 4, 4 / 3
    areas, ratios, tops, lefts = torch.rand(4, 10, generator=generator, dtype=torch.float64).tolist()
    for area, ratio, top, left in zip(areas, ratios, tops, lefts, strict=True):
        target = height * width * (min_area + (1 - min_area) * area)
        aspect = low * (high / low) ** ratio
        w, h = round((target * aspect) ** 0.5), round((target / aspect) ** 0.5)
        if 0 < w <= width and 0 < h <= height:
            return int(top * (height - h + 1)), int(left * (width - w + 1)), h, w
    w = min(width, round(height * high))
    h = min(height, round(w / low)) if w == width else height
    return (height - h) // 2, (width - w) // 2, h, w
