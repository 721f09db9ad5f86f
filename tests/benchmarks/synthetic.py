"""Images that cost nothing to read, so that only the training is measured."""

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from project.data import ImageDataModule


class Batch(Dataset):
    """The same random uint8 images (B, *shape) in every batch, in memory that GPUs copy from at once."""

    def __init__(
        self, count: int, batch: int, num_classes: int, shape: tuple[int, int, int]
    ) -> None:
        generator = torch.Generator().manual_seed(0)
        self.y = torch.randint(num_classes, (count,), generator=generator)
        self.x = torch.randint(256, (batch, *shape), dtype=torch.uint8, generator=generator)
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
        shape: Of an image.
        batches: Of an epoch, more than a benchmark waits for.
        kwargs: Of `ImageDataModule`.
    """

    def __init__(
        self,
        classes: int = 1000,
        shape: tuple[int, int, int] = (3, 224, 224),
        batches: int = 1000,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_classes, self.input_shape, self.batches = classes, shape, batches
        self.class_names = [str(k) for k in range(classes)]
        self.mean, self.std = (0.5,) * shape[0], (0.25,) * shape[0]

    @classmethod
    def metadata(cls, arguments: dict[str, Any]) -> tuple[int, tuple[int, int, int]]:
        return arguments["classes"], tuple(arguments["shape"])

    def load(self, train: bool) -> Batch:
        return Batch(
            (self.batches + 1) * self.batch_size,
            self.batch_size,
            self.num_classes,
            self.input_shape,
        )

    def split(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """The last batch is for validation."""
        order = torch.arange(len(y))
        return order[: -self.batch_size], order[-self.batch_size :]
