"""Images that cost nothing to read, so that only the training is measured."""

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from project.data import ImageDataModule


class Batch(Dataset):
    """The same random uint8 images (B, 3, side, side) in every batch, in memory that GPUs copy from at once."""

    def __init__(self, count: int, batch: int, num_classes: int, side: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.y = torch.randint(num_classes, (count,), generator=generator)
        self.x = torch.randint(256, (batch, 3, side, side), dtype=torch.uint8, generator=generator)
        if torch.cuda.is_available():
            self.x, self.y = self.x.pin_memory(), self.y.pin_memory()

    def __len__(self) -> int:
        return len(self.y)

    def __getitems__(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        return self.x[: len(indices)], self.y[: len(indices)]


class Synthetic(ImageDataModule):
    """Stands for a dataset, on a command line of `fit`.

    Args:
        classes: Number of classes.
        side: Height and width of the images.
        batches: Of an epoch.
        kwargs: Of `ImageDataModule`.
    """

    mean = (0.5, 0.5, 0.5)
    std = (0.25, 0.25, 0.25)

    def __init__(self, classes: int = 1000, side: int = 224, batches: int = 100, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes, self.input_shape = classes, (3, side, side)
        self.class_names = [str(k) for k in range(classes)]
        self.side, self.batches = side, batches

    @classmethod
    def facts(cls, arguments: dict[str, Any]) -> tuple[int, tuple[int, int, int]]:
        return arguments["classes"], (3, arguments["side"], arguments["side"])

    def load(self, train: bool) -> Batch:
        return Batch((self.batches + 1) * self.batch_size, self.batch_size, self.num_classes, self.side)

    def split(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """The last batch is for validation."""
        order = torch.arange(len(y))
        return order[: -self.batch_size], order[-self.batch_size :]
