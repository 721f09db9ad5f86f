"""The samples of each batch: a function of (seed, epoch, step, rank), not of what ran before."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from project.data.balance import balanced_order
from project.run.seeds import derive_seed


class TensorImages(Dataset):
    """Samples and targets held in memory; ``__getitems__`` gives a ready batch.

    Args:
        x: uint8 images (N, C, H, W), or float samples (N, *input_shape).
        y: int64 classes (N,), or other targets (N,) or (N, K).
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
        batch_size: Size of the global batch.
        seed: With the epoch it determines the permutation.
        rank: Which slice of each global batch to take.
        world_size: Number of slices.
        accumulate: Parts of a global batch that come one after another, before an optimiser step.
        size: Size of the images of an epoch. With it, batches are rows (B, 3) of an index, a seed
            and that size for each sample, in place of the indices (B,).
        classes: Classes of the samples (N,), for ``balance``.
        balance: From 0 for all samples once to 1 for all classes alike, as in `balanced_order`.
        repeats: How often each sample of a global batch is in it, as in `repeated`.
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
        classes: Tensor | None = None,
        balance: float = 0.0,
        repeats: int = 1,
    ) -> None:
        self.indices, self.part, self.seed = indices, batch_size // accumulate, seed
        self.rank, self.world_size, self.accumulate, self.size = rank, world_size, accumulate, size
        self.classes, self.balance, self.repeats = classes, balance, repeats
        self.epoch = 0
        self.start = 0  # samples that a resumed run skips, as they were drawn before

    @property
    def sampler(self) -> "TrainBatches":
        """This object: Lightning looks for `set_epoch` at ``batch_sampler.sampler``."""
        return self

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.batches_of(len(self.indices))

    def batches_of(self, samples: int) -> int:
        """Number of batches in as many complete global batches as there are in so many samples."""
        return max(samples, 0) // (self.part * self.accumulate) * self.accumulate

    def __iter__(self) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(derive_seed(self.seed, self.epoch))
        if self.balance and self.classes is not None:
            order = balanced_order(self.classes, self.balance, generator)
        else:
            order = torch.randperm(len(self.indices), generator=generator)
        order = repeated(self.indices[order], self.part * self.accumulate, self.repeats)
        if self.size:
            seeds = torch.randint(2**62, order.shape, generator=generator)
            order = torch.stack([order, seeds, torch.full_like(order, self.size(self.epoch))], 1)
        count = self.batches_of(len(order) - self.start)
        shape = (count, self.world_size, self.part // self.world_size, *order.shape[1:])
        batches = order[self.start : self.start + count * self.part].view(shape)
        return iter(batches[:, self.rank].unbind())


def repeated(order: Tensor, batch_size: int, repeats: int) -> Tensor:
    """An epoch (N,) whose global batches hold each of their samples ``repeats`` times.

    Only batch_size / repeats samples of a batch are distinct, and differ by their augmentation
    (Hoffer et al., 2020). An epoch has as many steps as without, and so fewer of the samples. The
    same sample comes again after all others of the batch, so that no mixing is with itself.

    Args:
        order: Samples in the order in which they would come once each (N,).
        batch_size: Size of the global batch.
        repeats: Times that each sample comes; the last ones come once less if it does not divide.
    """
    distinct, count = -(-batch_size // repeats), len(order) // batch_size
    tiled = order[: count * distinct].view(count, distinct).repeat(1, repeats)[:, :batch_size]
    # The rest is for a run that goes on in mid-epoch with another size of batches.
    return torch.cat([tiled.flatten(), order[count * distinct :]])[: len(order)]


class EvalBatches(Sampler):
    """Batches in order, with every sample once over all ranks: no padding, so batches may be short.

    All ranks have the same number of batches, since a network may communicate in each of them;
    with fewer samples than ranks some are empty.

    Args:
        indices: Samples to evaluate (N,).
        batch_size: Largest size of a global batch.
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
