"""Published sets of photographs that torchvision downloads; only official splits are used.

They are decoded from their files, and normalised by ImageNet's statistics.
"""

import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from project.data.contents import Files
from project.data.encoded_images import EncodedImages
from project.data.image_files import ImageFiles
from project.data.published import Published


class Photographs(Published, ImageFiles):
    """Base of datasets of files.

    Args:
        classes: Names of the classes; None for torchvision's.
    """

    def __init__(self, classes: list[str] | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        if classes:
            self.class_names = classes

    @property
    def resolved_args(self) -> dict[str, Any]:
        if rank_zero_only.rank == 0:  # which writes the config
            self.prepare_data()
            self.setup_names()
        return {"classes": getattr(self, "class_names", None)}

    def setup(self, stage: str) -> None:
        self.setup_names()
        super().setup(stage)

    def setup_names(self) -> None:
        """Set the names of the classes, some of which are in the files."""
        if not hasattr(self, "class_names"):
            names = self.read(**self.split(train=True)).classes
            self.class_names = [name if isinstance(name, str) else name[0] for name in names]

    def load(self, train: bool) -> EncodedImages:
        return self.listed([self.read(**self.split(train))])

    def listed(self, parts: Sequence[Any]) -> EncodedImages:
        """The files that torchvision's datasets list, one dataset after another."""
        paths = [os.path.relpath(path, self.root) for part in parts for path in self.paths(part)]
        y = torch.tensor([label for part in parts for label in self.labels(part)])
        files = Files(self.root, np.array([os.fsencode(path) for path in paths]))
        return EncodedImages(files, y, self.crops, self.max_unreadable)

    def paths(self, found: Any) -> Sequence[Any]:
        """The files of torchvision's dataset, whose public part gives decoded images alone."""
        files: Sequence[Any] = found._image_files
        return files

    def labels(self, found: Any) -> Sequence[int]:
        """The classes of those files."""
        labels: Sequence[int] = found._labels
        return labels


class Imagenette(Photographs):
    """9,469 + 3,925 photographs of 10 classes of ImageNet that are easily told apart (Howard).

    Args:
        size: Short side of the files.
    """

    num_classes = 10

    def __init__(self, size: Literal["full", "320px", "160px"] = "full", **kwargs) -> None:
        super().__init__(**kwargs)
        self.size = size

    @property
    def file_names(self) -> Sequence[str]:
        folder = "imagenette2" + ("" if self.size == "full" else f"-{self.size[:-2]}")
        return [f"{folder}/train", f"{folder}/val"]

    def split(self, train: bool) -> dict[str, Any]:
        return {"split": "train" if train else "val", "size": self.size}

    def paths(self, found: Any) -> Sequence[Any]:
        return [path for path, _ in found._samples]

    def labels(self, found: Any) -> Sequence[int]:
        return [label for _, label in found._samples]


class Flowers102(Photographs):
    """1,020 + 1,020 + 6,149 flowers in 102 classes (Nilsback & Zisserman, 2008).

    The published validation images are used, unless ``num_folds`` is given.
    """

    num_classes = 102
    file_names = tuple(f"flowers-102/{name}" for name in ("setid.mat", "imagelabels.mat", "jpg"))

    def load(self, train: bool) -> EncodedImages:
        names = ("train", "val") if train else ("test",)
        parts = [self.read(split=name) for name in names]
        self.num_train = len(parts[0])
        return self.listed(parts)

    def held_out(self, y: Tensor) -> tuple[Tensor, Tensor]:
        if self.num_folds:
            return super().held_out(y)
        train, val = torch.arange(len(y)).tensor_split([self.num_train])
        return train, val


class OxfordIIITPet(Photographs):
    """3,680 + 3,669 cats and dogs of 37 breeds (Parkhi et al., 2012)."""

    num_classes = 37
    file_names = ("oxford-iiit-pet/images", "oxford-iiit-pet/annotations")

    def split(self, train: bool) -> dict[str, Any]:
        return {"split": "trainval" if train else "test"}

    def paths(self, found: Any) -> Sequence[Any]:
        paths: Sequence[Any] = found._images
        return paths


class Food101(Photographs):
    """75,750 + 25,250 photographs of 101 dishes (Bossard et al., 2014)."""

    num_classes = 101
    file_names = ("food-101/meta", "food-101/images")
