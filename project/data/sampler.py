"""Which samples make up which batch: a function of (seed, epoch, step, rank), never of what ran before."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from project.run.seeds import derive_seed


class TensorImages(Dataset):
    """Images and classes held in memory; indexing with a list or tensor of indices gives a ready batch.

    Args:
        x: uint8 images (N, C, H, W).
        y: int64 classes (N,).
    """

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.x[index], self.y[index]

    def __getitems__(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        return self.x.index_select(0, indices), self.y.index_select(0, indices)


class TrainBatches(Sampler):
    """Shuffled global batches, each in ``accumulate`` parts of which each rank takes its slice.

    The last global batch of an epoch is dropped if it is incomplete.

    Args:
        indices: Samples to draw from (N,).
        batch_size: Global batch.
        seed: With the epoch it determines the permutation.
        rank: Which slice of each global batch to take.
        world_size: Number of slices.
        accumulate: Parts of a global batch that come one after another, before an optimiser step.
        size: Of the images of an epoch; with it batches are rows (B, 3) of an index, a seed and
            that size for each sample, in place of the indices (B,).
    """

    def __init__(
        self,
        indices: Tensor,
        batch_size: int,
        seed: int,
        rank: int,
        world_size: int,
        accumulate: int = 1,
        size: Callable[[int], int] | None = None,
    ) -> None:
        self.indices, self.part, self.seed = indices, batch_size // accumulate, seed
        self.rank, self.world_size, self.accumulate, self.size = rank, world_size, accumulate, size
        self.epoch = 0
        self.start = (
            0  # samples of the epoch that were drawn before, when a run goes on in its middle
        )

    @property
    def sampler(self) -> "TrainBatches":
        """Itself: ``batch_sampler.sampler`` is where Lightning looks for `set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.batches_of(len(self.indices))

    def batches_of(self, samples: int) -> int:
        """Parts of the complete global batches that so many samples make."""
        return max(samples, 0) // (self.part * self.accumulate) * self.accumulate

    def __iter__(self) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(derive_seed(self.seed, self.epoch))
        order = self.indices[torch.randperm(len(self.indices), generator=generator)]
        if self.size:
            seeds = torch.randint(2**62, order.shape, generator=generator)
            order = torch.stack([order, seeds, torch.full_like(order, self.size(self.epoch))], 1)
        count = self.batches_of(len(order) - self.start)
        shape = (count, self.world_size, self.part // self.world_size, *order.shape[1:])
        batches = order[self.start : self.start + count * self.part].view(shape)
        return iter(batches[:, self.rank].unbind())


class EvalBatches(Sampler):
    """Batches in order, with every sample once over all ranks: no padding, so batches may be short.

    All ranks have as many batches, since a network may communicate in each of them; with fewer
    samples than ranks some are empty.

    Args:
        indices: Samples to evaluate (N,).
        batch_size: Global batch, at most.
        rank: Which of ``world_size`` interleaved parts to take.
        world_size: Number of parts.
    """

    def __init__(self, indices: Tensor, batch_size: int, rank: int, world_size: int) -> None:
        count = max(-(-len(indices) // batch_size), 1)
        self.batches = indices[rank::world_size].tensor_split(count)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.batches)


class EvalLoader(DataLoader):
    """A DataLoader that leaves out batches of which no sample could be read."""

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        return (batch for batch in super().__iter__() if len(batch[1]))


class TrainLoader(DataLoader):
    """A DataLoader that can start in mid-epoch; Lightning keeps its state in the checkpoint."""

    batch_sampler: Any  # a TrainBatches
    dataset: Any
    delivered = 0  # samples of an epoch, to all processes
    saved_epoch = -1  # of a checkpoint; Lightning may end an epoch early, and then the next begins at its beginning

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        self.delivered = self.delivered if self.saved_epoch == self.batch_sampler.epoch else 0
        self.batch_sampler.start, self.saved_epoch = self.delivered, -1
        direct = (
            not self.num_workers and not self.pin_memory
        )  # then a DataLoader only adds to each step
        batches = (
            map(self.dataset.__getitems__, self.batch_sampler) if direct else super().__iter__()
        )
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
