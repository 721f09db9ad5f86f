"""`ImageDataModule`: splits, loaders, and the work on the device, for any set of labelled images."""

import logging
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from project.data.folders import EncodedImages, Files
from project.data.images import resized
from project.data.sampler import EvalBatches, EvalLoader, TrainBatches, TrainLoader
from project.data.splits import stratified_fold, stratified_split
from project.data.targets import are_classes, check_classes
from project.data.transforms.augment import Augmentation
from project.data.transforms.mix import Mix
from project.data.workers import ignore_signals
from project.errors import UserError
from project.run.seeds import derive_seed

log = logging.getLogger(__name__)


def identity(batch: Any) -> Any:
    """Collate function of datasets whose ``__getitems__`` gives a ready batch."""
    return batch


class ImageDataModule(L.LightningDataModule):
    """Base of every dataset: a subclass states its facts as class attributes and implements `load`.

    Workers make uint8 batches; the device turns them to float, augments and normalises them.
    Validation is a seeded, stratified hold-out of the training set, test the official test set,
    which `fit` never opens.

    Args:
        root: Folder of the dataset's files; the environment variable PROJECT_DATA if None, then
            ``data``.
        batch_size: Global batch: the samples of an optimiser step, shared out among devices and
            accumulated parts.
        num_workers: Processes that load; sets held in memory are fastest with 0.
        augment: Transforms of training batches, in order; None for none.
        mix: What mixes the samples of training batches and their targets after that; None for
            nothing.
        val_size: Training samples held out for validation, or their share if below 1.
        split_seed: Of that hold-out, apart from the seed of the training.
        fold: With ``num_folds``, which fold (from 0 on) is held out in place of ``val_size``:
            k-fold cross-validation.
        num_folds: Number of disjoint, stratified folds of the training set.
    """

    num_classes: int
    input_shape: tuple[int, ...]  # (C, H, W) of uint8 images, or the shape of float samples
    mean: tuple[float, ...]  # of the training set, channel by channel, with pixels in [0, 1]
    std: tuple[float, ...]
    class_names: Sequence[str]

    def __init__(
        self,
        root: str | None = None,
        batch_size: int = 128,
        num_workers: int = 0,
        augment: list[Augmentation] | None = None,
        mix: Mix | None = None,
        val_size: int | float = 0.1,
        split_seed: int = 0,
        fold: int | None = None,
        num_folds: int | None = None,
    ) -> None:
        super().__init__()
        if batch_size < 1 or num_workers < 0:
            raise UserError(
                f"batch_size {batch_size} must be positive, and num_workers {num_workers} not negative"
            )
        self.root = Path(root or os.environ.get("PROJECT_DATA") or "data").absolute()
        self.batch_size, self.num_workers, self.augment, self.mix = (
            batch_size,
            num_workers,
            augment or [],
            mix,
        )
        if (fold is None) != (num_folds is None):
            raise UserError("--data.fold and --data.num_folds belong together: give both")
        self.val_size, self.split_seed, self.fold, self.num_folds = (
            val_size,
            split_seed,
            fold,
            num_folds,
        )
        self.seed = torch.initial_seed()  # what seed_everything was given
        self.policies: list[Augmentation] = []  # of `augment`, those that workers apply
        self._statistics = torch.empty(0)
        self.images: list[Path] = []  # what predict looks at

    @classmethod
    def facts(cls, arguments: dict[str, Any]) -> tuple[int, tuple[int, ...]]:
        """Number of classes and input shape of an instance with these constructor arguments, without its files."""
        return cls.num_classes, cls.input_shape

    @property
    def integrity(self) -> str:
        """How the files are known to be whole."""
        return "there is nothing to compare with"

    @property
    def found(self) -> dict[str, Any]:
        """Arguments that were found in the files, for a run's config to keep."""
        return {}

    def load(self, train: bool) -> Any:
        """The official training or test set: a dataset with ``__getitems__`` and classes ``y`` (N,)."""
        raise NotImplementedError

    def setup(self, stage: str) -> None:
        if stage in ("fit", "validate") and not hasattr(self, "train_set"):
            self.train_set = self.load(train=True)
            check_classes(self.train_set.y, self.num_classes, type(self).__name__)
            self.train_indices, self.val_indices = self.split(self.train_set.y)
        if stage == "test":
            self.test_set = self.load(train=False)
            check_classes(self.test_set.y, self.num_classes, type(self).__name__)
        if stage == "predict":
            files = Files(Path(), np.array([os.fsencode(path) for path in self.images]))
            self.predict_set = EncodedImages(
                files, torch.arange(len(files)), self.decoder(), max_unreadable=None
            )

    def split(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Indices of the samples to train on and of those held out, of a training set with classes ``y`` (N,)."""
        if self.fold is not None and self.num_folds is not None:
            return stratified_fold(y, self.fold, self.num_folds, self.split_seed)
        return stratified_split(y, self.val_size, self.split_seed)

    def teardown(self, stage: str) -> None:
        for name in ("train_set", "test_set"):
            if (
                count := int(getattr(getattr(self, name, None), "unreadable", torch.empty(0)).sum())
            ) > 0:
                log.warning(
                    f"{count} of the {len(getattr(self, name))} images of {name} could not be read"
                )

    # ---------------------------------------------------------------- loaders

    @property
    def place(self) -> tuple[int, int]:
        """Rank of this process, and number of devices; (0, 1) without a Trainer."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    @property
    def accumulate(self) -> int:
        """Batches whose gradients make up an optimiser step."""
        return int(self.trainer.accumulate_grad_batches) if self.trainer else 1

    def train_batches(self, batch_size: int) -> TrainBatches:
        """Which samples make up which training batch of this process."""
        return TrainBatches(
            self.train_indices,
            batch_size,
            self.seed,
            *self.place,
            self.accumulate,
            self.sample_size(),
        )

    def train_dataloader(self) -> DataLoader:
        parts = self.place[1] * self.accumulate
        if self.batch_size > len(self.train_indices):
            raise UserError(
                f"--data.batch_size {self.batch_size} is more than the {len(self.train_indices)} training samples: "
                "lower it"
            )
        devices = f"{self.place[1]} device{'s' if self.place[1] > 1 else ''}"
        if self.batch_size % parts:
            raise UserError(
                f"--data.batch_size {self.batch_size} is the global batch and does not divide by {devices} x "
                f"accumulate {self.accumulate}: give a multiple of {parts}"
            )
        size = self.batch_size // parts
        log.info(
            f"global batch {self.batch_size} = {devices} x {size} x accumulate {self.accumulate}"
        )
        return self.loader(self.train_set, self.train_batches(self.batch_size), TrainLoader)

    def val_dataloader(self) -> DataLoader:
        return self.eval_loader(self.train_set, self.val_indices)

    def test_dataloader(self) -> DataLoader:
        return self.eval_loader(self.test_set, torch.arange(len(self.test_set)))

    def predict_dataloader(self) -> DataLoader:
        return self.eval_loader(self.predict_set, torch.arange(len(self.predict_set)))

    def sample_size(self) -> Callable[[int], int] | None:
        """Size of training images in an epoch, where loading them takes a seed and a size."""
        return None

    def eval_loader(self, dataset: Dataset, indices: Tensor) -> DataLoader:
        batches = EvalBatches(indices, self.batch_size // self.accumulate, *self.place)
        return self.loader(dataset, batches, EvalLoader)

    def loader(
        self, dataset: Dataset, batches: TrainBatches | EvalBatches, kind: type[DataLoader]
    ) -> DataLoader:
        return kind(
            dataset,
            batch_sampler=batches,
            num_workers=self.num_workers,
            collate_fn=identity,
            worker_init_fn=ignore_signals,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self.num_workers > 0,
        )

    # ---------------------------------------------------------------- on the device

    def transfer_batch_to_device(
        self, batch: tuple[Tensor, Tensor], device: torch.device, dataloader_idx: int
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
        """What the network gets of a batch: floats, augmented if a step is given, and normalised.

        Args:
            x: uint8 images (N, C, H, W), or float samples of any shape (N, *input_shape).
            y: Targets (N,) or (N, K).
            step: Of the run, which determines the augmentation; None for none.
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
        generator = torch.Generator(x.device).manual_seed(
            derive_seed(self.seed, step, self.place[0])
        )
        for transform in self.augment:
            x, y = transform(x, y, generator)
        if self.mix:
            y = F.one_hot(y, self.num_classes) if are_classes(y) else y
            x, y = self.mix(x, y.to(x), generator)
        return x, y

    def statistics(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the training set.

        They are (C, 1, 1) for images, of pixels in [0, 255], and otherwise as the class states them.
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

    # ---------------------------------------------------------------- the user's own images

    def decoder(self) -> Callable[[bytes], Tensor]:
        """Function from an encoded image of any size to a uint8 image (C, H, W); ValueError says why it cannot."""
        channels, height, width = self.input_shape
        return partial(resized, shape=(channels, height, width))
