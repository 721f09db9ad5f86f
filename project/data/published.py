"""Bases of published datasets that torchvision downloads, checks and reads."""

import contextlib
import json
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_only

from project.data.download import DownloadedDataModule, damaged
from project.data.pixel_statistics import statistics
from project.data.sampler import TensorImages
from project.errors import UserError
from project.run.folder import write_atomically


class Published(DownloadedDataModule):
    """Base of datasets that are called as torchvision's classes, and have their files in `root`."""

    @property
    def published(self) -> Any:
        """The class of torchvision."""
        from torchvision import datasets

        return getattr(datasets, type(self).__name__)

    @property
    def folder(self) -> Path:
        return self.root

    def split(self, train: bool) -> dict[str, Any]:
        """The arguments by which torchvision's class knows the training or test set."""
        return {"split": "train" if train else "test"}

    def fetch(self) -> None:
        for train in (True, False):
            self.published(self.root, download=True, **self.split(train))

    def read(self, **split: Any) -> Any:
        """Torchvision's dataset of a split.

        Raises:
            UserError: Its files are damaged.
        """
        try:
            return self.published(self.root, **split)
        except (AssertionError, OSError, RuntimeError, ValueError) as error:
            raise damaged(self.root / self.file_names[0], str(error) or "torchvision") from None

    @property
    def checksum_status(self) -> str:
        return "what torchvision downloads has the published MD5"


class SmallImages(Published):
    """Base of datasets that are held in memory.

    Their mean and standard deviation are measured on the whole training set when it is there for
    the first time, and kept in a file beside it and in a run's config.

    Args:
        mean: Mean of each channel, of pixels in [0, 1]; None for that of the training set.
        std: Standard deviation of each channel.
    """

    def __init__(
        self, mean: list[float] | None = None, std: list[float] | None = None, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        if (mean is None) != (std is None):
            raise UserError("--data.mean and --data.std belong together: give both")
        if mean and std:
            self.mean, self.std = mean, std

    @property
    def title(self) -> str:
        """Name of the dataset, which the file of its statistics is called after."""
        return type(self).__name__

    @property
    def resolved_args(self) -> dict[str, Any]:
        if rank_zero_only.rank == 0:  # which writes the config
            self.prepare_data()
            self.measure()
        return {name: getattr(self, name, None) for name in ("mean", "std")}

    def setup(self, stage: str) -> None:
        self.measure()
        super().setup(stage)

    def measure(self) -> None:
        """Set mean and standard deviation, unless they are given, from their file or the images."""
        if hasattr(self, "mean"):
            return
        path = self.root / f"{self.title}-statistics.json"
        if path.is_file():
            measured = json.loads(path.read_text())
        else:
            images = self.load(train=True)
            found = statistics(images, torch.arange(len(images)))
            values = [[round(value, 4) for value in part.tolist()] for part in found]
            measured = dict(zip(("mean", "std"), values, strict=True))
            with contextlib.suppress(UserError):  # in a folder of someone else
                write_atomically(path, json.dumps(measured))
        self.mean, self.std = measured["mean"], measured["std"]

    def load(self, train: bool) -> TensorImages:
        found = self.read(**self.split(train))
        x = torch.as_tensor(found.data)
        y = torch.as_tensor(found.targets if hasattr(found, "targets") else found.labels)
        return TensorImages(x.unsqueeze(1) if x.ndim == 3 else x.contiguous(), y.long())
