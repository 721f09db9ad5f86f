"""What happens to a batch on its device: float, augmented, mixed and normalised."""

from collections.abc import Sequence
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor

from project.data.targets import are_classes
from project.data.transforms.augment import Augmentation
from project.data.transforms.mix import Mix
from project.run.seeds import derive_seed


class DeviceTransforms(L.LightningDataModule):
    """Base of `ImageDataModule` that turns the workers' uint8 batches into a network's input.

    Args:
        augment: Transforms of training batches, in order.
        mix: Mixes the samples of training batches and their targets after that; None for nothing.
    """

    num_classes: int
    input_shape: tuple[int, ...]  # (C, H, W) of uint8 images, or the shape of float samples
    mean: Sequence[float]  # of the training set, channel by channel, with pixels in [0, 1]
    std: Sequence[float]

    def __init__(self, augment: list[Augmentation] | None, mix: Mix | None) -> None:
        super().__init__()
        self.augment, self.mix = augment or [], mix
        self.seed = torch.initial_seed()  # what seed_everything was given
        self._statistics = torch.empty(0)

    @property
    def rank(self) -> int:
        """Number of this process, 0 without a Trainer."""
        return self.trainer.global_rank if self.trainer else 0

    @property
    def world_size(self) -> int:
        """Number of processes, 1 without a Trainer."""
        return self.trainer.world_size if self.trainer else 1

    @property
    def accumulate(self) -> int:
        """Batches whose gradients make up an optimiser step."""
        return int(self.trainer.accumulate_grad_batches) if self.trainer else 1

    def transfer_batch_to_device(
        self, batch: tuple[Any, Tensor], device: torch.device, dataloader_idx: int
    ) -> tuple[Tensor, Tensor]:
        x, y = batch
        return x.to(device, non_blocking=True), y.to(device, non_blocking=True)

    def on_after_batch_transfer(
        self, batch: tuple[Tensor, Tensor], dataloader_idx: int
    ) -> tuple[Tensor, Tensor]:
        training = self.trainer is not None and self.trainer.training
        for transform in self.augment:
            transform.epoch = self.trainer.current_epoch if training else 0
        return self.to_input(
            *batch, step=self.trainer.fit_loop.total_batch_idx if training else None
        )

    def to_input(self, x: Tensor, y: Tensor, step: int | None = None) -> tuple[Tensor, Tensor]:
        """The network's input and targets: floats, augmented if a step is given, and normalised.

        Args:
            x: uint8 images (N, C, H, W), or float samples of any shape (N, *input_shape).
            y: Targets (N,) or (N, K).
            step: Step of the run, which determines the augmentation; None for no augmentation.
        """
        x = x.clone() if x.is_floating_point() else x.float()
        if (self.augment or self.mix) and step is not None:
            x, y = self.augmented(x, y, step)
        mean, std = self.statistics(x.device)
        return x.sub_(mean).div_(std), y

    def augmented(self, x: Tensor, y: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Random transforms of images (N, C, H, W) in [0, 255], determined by (seed, step, rank).

        Mixed targets are class probabilities (N, num_classes).
        """
        generator = torch.Generator(x.device).manual_seed(derive_seed(self.seed, step, self.rank))
        for transform in self.augment:
            x, y = transform(x, y, generator)
        if self.mix:
            y = F.one_hot(y, self.num_classes) if are_classes(y) else y
            x, y = self.mix(x, y.to(x), generator)
        return x, y

    def statistics(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the training set.

        For images they are (C, 1, 1), of pixels in [0, 255]; otherwise as the class has them.
        """
        if not len(self._statistics) or self._statistics.device != device:
            self._statistics = torch.tensor([self.mean, self.std], device=device)
            if len(self.input_shape) == 3:
                self._statistics = self._statistics[..., None, None] * 255
        mean, std = self._statistics
        return mean, std

    def displayable(self, x: Tensor) -> Tensor:
        """Normalised images (N, C, H, W) back in [0, 1]."""
        mean, std = self.statistics(x.device)
        return ((x * std + mean) / 255).clamp(0, 1)
