"""Drawing rare classes more often."""

import torch
from torch import Generator, Tensor

from project.data.targets import are_classes
from project.errors import UserError


def check_draws(y: Tensor, balance: float, repeats: int, batch_size: int) -> None:
    """Raise UserError if samples with targets ``y`` cannot be drawn so for batches of this size."""
    if not 0 <= balance <= 1:
        raise UserError(f"--data.balance {balance} must lie between 0 and 1")
    if balance and not are_classes(y):
        raise UserError("--data.balance needs one class for each sample: leave it out")
    if not 1 <= repeats <= batch_size:
        raise UserError(
            f"--data.repeats {repeats} must lie between 1 and --data.batch_size {batch_size}"
        )


def balanced_order(classes: Tensor, balance: float, generator: Generator) -> Tensor:
    """Positions (N,) of the N samples of an epoch, in which rare classes come more often.

    A class of n samples has a share of the epoch in proportion to n^(1 - balance), which is its
    own share for 0 and the same for all classes for 1 (Mahajan et al., 2018, section 2.2; Kang et
    al., 2020, section 4.1). Within a class all samples come as often, give or take one, where
    drawing with replacement would leave some out by chance.

    Args:
        classes: Classes of the samples (N,).
        balance: From 0 to 1.
        generator: Determines which samples come once more than others, and the order.
    """
    counts = classes.bincount()
    shares = torch.where(counts > 0, counts.double() ** (1 - balance), 0.0)
    # Edges that are moved by a random fraction round each share up or down, with the right mean.
    offset = torch.rand(1, generator=generator, dtype=torch.float64)
    edges = (shares.cumsum(0) / shares.sum() * len(classes) + offset).long()
    edges[-1] = len(classes)
    draws = []
    for k, count in enumerate(edges.diff(prepend=torch.zeros(1, dtype=torch.int64)).tolist()):
        members = (classes == k).nonzero()[:, 0]
        for first in range(0, count, max(len(members), 1)):
            shuffled = members[torch.randperm(len(members), generator=generator)]
            draws.append(shuffled[: count - first])
    return torch.cat(draws)[torch.randperm(len(classes), generator=generator)]
