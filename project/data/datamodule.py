"""`ImageDataModule`: splits and loaders of any set of labelled images."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from project.data.balance import check_draws
from project.data.device import DeviceTransforms
from project.data.encoded_images import without_classes
from project.data.images import resized
from project.data.loaders import check_batch_size, new_loader
from project.data.sampler import EvalBatches, TrainBatches
from project.data.splits import stratified_fold, stratified_part, stratified_split
from project.data.targets import check_classes
from project.data.transforms.augment import Augmentation
from project.data.transforms.mix import Mix
from project.errors import UserError


class ImageDataModule(DeviceTransforms):
    """Base of every dataset: a subclass states its metadata as class attributes and writes `load`.

    Workers make uint8 batches; the device turns them to float, augments and normalises them.
    Validation is a seeded, stratified hold-out of the training set. The test set is the official
    one, which `fit` never opens.

    Args:
        root: Folder of the dataset's files; the environment variable PROJECT_DATA if None, then
            ``data``.
        batch_size: Number of samples in an optimiser step, divided among devices and accumulated
            parts.
        num_workers: Processes that load; sets held in memory are fastest with 0.
        augment: Transforms of training batches, in order; None for none.
        mix: Mixes the samples of training batches and their targets after that; None for nothing.
        val_size: Training samples held out for validation, or their fraction if below 1.
        split_seed: Seed of that hold-out, apart from the seed of the training.
        fold: Fold of ``num_folds``, from 0 on, that is held out in place of ``val_size``.
        num_folds: Number of disjoint, stratified folds of the training set.
        fraction: Fraction of the training samples that are trained on, with the classes in
            proportion; a smaller one is part of a larger one. Validation stays as it is.
        balance: From 0 for all samples once an epoch to 1 for all classes alike often.
        repeats: How often an image is in a batch, each time with another augmentation.
    """

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
        fraction: float = 1.0,
        balance: float = 0.0,
        repeats: int = 1,
    ) -> None:
        super().__init__(augment, mix)
        if batch_size < 1 or num_workers < 0:
            said = f"batch_size {batch_size} must be positive, num_workers {num_workers}"
            raise UserError(f"{said} not negative")
        if (fold is None) != (num_folds is None):
            raise UserError("--data.fold and --data.num_folds belong together: give both")
        if not 0 < fraction <= 1:
            raise UserError(f"--data.fraction {fraction} must lie above 0, and at most be 1")
        self.root = Path(root or os.environ.get("PROJECT_DATA") or "data").absolute()
        self.batch_size, self.num_workers = batch_size, num_workers
        self.val_size, self.split_seed = val_size, split_seed
        self.fold, self.num_folds, self.fraction = fold, num_folds, fraction
        self.balance, self.repeats = balance, repeats
        self.policies: list[Augmentation] = []  # those of `augment` that workers apply
        self.given: list[Path] = []  # the files that `predict` is given

    @classmethod
    def metadata(cls, arguments: dict[str, Any]) -> tuple[int, tuple[int, ...]]:
        """Number of classes and input shape for these constructor arguments, without the files."""
        return cls.num_classes, cls.input_shape

    @property
    def checksum_status(self) -> str:
        """What the files were compared with, for `check` to say."""
        return "there is nothing to compare with"

    @property
    def resolved_args(self) -> dict[str, Any]:
        """Arguments whose values come from the files, for a run's config to keep."""
        return {}

    def load(self, train: bool) -> Any:
        """The official training or test set: a dataset with ``__getitems__`` and targets ``y``."""
        raise NotImplementedError

    def held_out(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Indices in the training set, with targets ``y``, for training and for validation."""
        if self.num_folds is None:
            return stratified_split(y, self.val_size, self.split_seed)
        return stratified_fold(y, self.fold or 0, self.num_folds, self.split_seed)

    def setup(self, stage: str) -> None:
        if stage in ("fit", "validate") and not hasattr(self, "train_set"):
            self.train_set = self.load(train=True)
            y = self.train_set.y
            check_classes(y, self.num_classes, type(self).__name__)
            rest, self.val_indices = self.held_out(y)
            self.train_indices = stratified_part(rest, y, self.fraction, self.split_seed)
            check_draws(y, self.balance, self.repeats, self.batch_size)
        if stage == "test":
            self.test_set = self.load(train=False)
            check_classes(self.test_set.y, self.num_classes, type(self).__name__)
        if stage == "predict":
            self.predict_set: Any = without_classes(self.given, self.decoder())

    def decoder(self) -> Callable[[bytes], Tensor]:
        """Function from an encoded image of any size to uint8 (C, H, W), or a ValueError."""
        channels, height, width = self.input_shape
        return partial(resized, shape=(channels, height, width))

    def sample_size(self) -> Callable[[int], int] | None:
        """Size of training images in an epoch, where loading them takes a seed and a size."""
        return None

    @property
    def train_targets(self) -> Tensor:
        """Targets (N,) or (N, K) of the samples that are trained on."""
        return self.train_set.y[self.train_indices]

    def train_batches(self, batch_size: int) -> TrainBatches:
        """The samples of each training batch of this process."""
        options = self.rank, self.world_size, self.accumulate, self.sample_size()
        draws = self.train_targets if self.balance else None, self.balance, self.repeats
        return TrainBatches(self.train_indices, batch_size, self.seed, *options, *draws)

    def train_dataloader(self) -> DataLoader:
        samples = len(self.train_indices)
        check_batch_size(self.batch_size, samples, self.world_size, self.accumulate)
        return new_loader(self.train_set, self.train_batches(self.batch_size), self.num_workers)

    def val_dataloader(self) -> DataLoader:
        return self.eval_loader(self.train_set, self.val_indices)

    def test_dataloader(self) -> DataLoader:
        return self.eval_loader(self.test_set, torch.arange(len(self.test_set)))

    def predict_dataloader(self) -> DataLoader:
        return self.eval_loader(self.predict_set, torch.arange(len(self.predict_set)))

    def eval_loader(self, dataset: Dataset, indices: Tensor) -> DataLoader:
        size = self.batch_size // self.accumulate
        batches = EvalBatches(indices, size, self.rank, self.world_size)
        return new_loader(dataset, batches, self.num_workers)
