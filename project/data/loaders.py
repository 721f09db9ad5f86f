"""DataLoaders of ready batches: a training that goes on in mid-epoch, and evaluation."""

import logging
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from project.data.sampler import EvalBatches, TrainBatches
from project.data.workers import ignore_signals
from project.errors import UserError

log = logging.getLogger(__name__)


def identity(batch: Any) -> Any:
    """Collate function of datasets whose ``__getitems__`` gives a ready batch."""
    return batch


def check_batch_size(batch_size: int, samples: int, world_size: int, accumulate: int) -> None:
    """Log how a global batch is divided among devices and accumulated parts.

    Raises:
        UserError: It cannot be divided, or there are fewer training samples.
    """
    if batch_size > samples:
        raise UserError(
            f"--data.batch_size {batch_size} is more than the {samples} training samples: lower it"
        )
    parts, devices = world_size * accumulate, f"{world_size} device{'s' if world_size > 1 else ''}"
    if batch_size % parts:
        raise UserError(
            f"--data.batch_size {batch_size} is the global batch and does not divide by {devices} "
            f"x accumulate {accumulate}: give a multiple of {parts}"
        )
    size = batch_size // parts
    log.info(f"global batch {batch_size} = {devices} x {size} x accumulate {accumulate}")


class EvalLoader(DataLoader):
    """A DataLoader that leaves out batches of which no sample could be read."""

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        return (batch for batch in super().__iter__() if len(batch[1]))


class TrainLoader(DataLoader):
    """A DataLoader that can start in mid-epoch; Lightning keeps its state in the checkpoint."""

    batch_sampler: Any  # a TrainBatches
    dataset: Any
    delivered = 0  # samples of the epoch that all processes have got
    saved_epoch = -1  # of a checkpoint; if Lightning ended it early, the next epoch begins at 0

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        self.delivered = self.delivered if self.saved_epoch == self.batch_sampler.epoch else 0
        self.batch_sampler.start, self.saved_epoch = self.delivered, -1
        batches: Any
        if self.num_workers or self.pin_memory:
            batches = super().__iter__()
        else:  # a DataLoader would only add time to each step
            batches = map(self.dataset.__getitems__, self.batch_sampler)
        for batch in batches:
            self.delivered += self.batch_sampler.part
            yield batch

    def state_dict(self) -> dict[str, int]:
        batches = self.batch_sampler
        return {
            "epoch": batches.epoch,
            "samples": self.delivered,
            "batch_size": batches.part * batches.accumulate,
        }

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.saved_epoch = state["epoch"]
        # Earlier versions counted batches.
        self.delivered = state.get("samples", state.get("delivered", 0) * self.batch_sampler.part)


def new_loader(
    dataset: Dataset, batches: TrainBatches | EvalBatches, num_workers: int
) -> DataLoader:
    """The loader of training or evaluation batches, whichever ``batches`` are."""
    kind = TrainLoader if isinstance(batches, TrainBatches) else EvalLoader
    return kind(
        dataset,
        batch_sampler=batches,
        num_workers=num_workers,
        collate_fn=identity,
        worker_init_fn=ignore_signals,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=num_workers > 0,
    )
