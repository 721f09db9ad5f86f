"""Which samples of a training set are held out: seeded and stratified by class."""

import torch
from torch import Tensor

from project.errors import UserError
from project.run.seeds import derive_seed


def stratified_order(y: Tensor, seed: int) -> Tensor:
    """A permutation (N,) drawn from ``seed`` of which every stretch has the classes ``y`` (N,) in proportion."""
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(derive_seed(seed)))
    if y.ndim != 1 or y.dtype != torch.int64:
        return order  # there are no classes
    classes = y[order]
    # Position of each sample within its class, as a fraction: any range of fractions has all
    # classes in proportion.
    place = torch.empty(len(y), dtype=torch.float64)
    for k in classes.unique():
        members = (classes == k).nonzero()[:, 0]
        place[members] = (torch.arange(len(members), dtype=torch.float64) + 0.5) / len(members)
    return order[place.argsort(stable=True)]


def stratified_split(y: Tensor, size: int | float, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of a part and of its complement, both in ascending order; the part has each class in proportion.

    Args:
        y: Class of each sample (N,).
        size: Samples to hold out, or their share if it is a float below 1.
        seed: Of the draw.

    Returns:
        The rest and the held-out part.

    Raises:
        UserError: Nothing would be left in either part.
    """
    count = round(size * len(y)) if isinstance(size, float) else size
    if not 0 < count < len(y):
        raise UserError(
            f"cannot hold out {size} of {len(y)} training samples: give another --data.val_size"
        )
    ranked = stratified_order(y, seed)
    return ranked[count:].sort().values, ranked[:count].sort().values


def stratified_fold(y: Tensor, fold: int, num_folds: int, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of all samples but those of one of ``num_folds`` parts, and of that part, as in `stratified_split`.

    The parts of all folds are disjoint and cover everything; their sizes differ by one at most.

    Raises:
        UserError: There is no such part, or not a sample for each.
    """
    if not 2 <= num_folds <= len(y):
        raise UserError(
            f"--data.num_folds {num_folds} must lie between 2 and the {len(y)} training samples"
        )
    if not 0 <= fold < num_folds:
        raise UserError(
            f"--data.fold {fold} of {num_folds} folds must lie between 0 and {num_folds - 1}"
        )
    parts = list(stratified_order(y, seed).tensor_split(num_folds))
    held_out = parts.pop(fold)
    return torch.cat(parts).sort().values, held_out.sort().values
