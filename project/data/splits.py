"""Which samples of a training set are held out: seeded and stratified by class.

scikit-learn's splitters would pick other samples for the same seed, and a run that is resumed would
then train on what it held out. One permutation also serves hold-outs of any size, and folds whose
sizes differ by one at most.
"""

import torch
from torch import Tensor

from project.errors import UserError
from project.run.seeds import derive_seed


def stratified_order(y: Tensor, seed: int) -> Tensor:
    """A random permutation (N,) that has the classes of ``y`` in proportion in any range of it.

    Args:
        y: int64 classes (N,). With other targets, the permutation is random only.
        seed: Seed of the permutation.
    """
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(derive_seed(seed)))
    if y.ndim != 1 or y.dtype != torch.int64:
        return order  # there are no classes
    classes = y[order]
    # Any range of positions within the classes, as fractions, has the classes in proportion.
    position = torch.empty(len(y), dtype=torch.float64)
    for k in classes.unique():
        members = (classes == k).nonzero()[:, 0]
        position[members] = (torch.arange(len(members), dtype=torch.float64) + 0.5) / len(members)
    return order[position.argsort(stable=True)]


def stratified_split(y: Tensor, size: int | float, seed: int) -> tuple[Tensor, Tensor]:
    """A part of the samples that has the classes in proportion, and the rest.

    Args:
        y: Targets (N,) or (N, K), as in `stratified_order`.
        size: Number of samples to hold out, or their fraction if it is a float.
        seed: Seed of the permutation.

    Returns:
        Indices of the rest and of the held-out part, both in ascending order.

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


def check_fold(fold: int, num_folds: int, samples: int) -> None:
    """Raise UserError if there is no such fold, or there are fewer samples than folds."""
    if not 2 <= num_folds <= samples:
        raise UserError(
            f"--data.num_folds {num_folds} must lie between 2 and the {samples} training samples"
        )
    if not 0 <= fold < num_folds:
        raise UserError(
            f"--data.fold {fold} of {num_folds} folds must lie between 0 and {num_folds - 1}"
        )


def stratified_fold(y: Tensor, fold: int, num_folds: int, seed: int) -> tuple[Tensor, Tensor]:
    """As `stratified_split`, with one of ``num_folds`` parts held out.

    The parts are disjoint and cover all samples; their sizes differ by one at most.

    Raises:
        UserError: There is no such part, or there are fewer samples than parts.
    """
    check_fold(fold, num_folds, len(y))
    parts = list(stratified_order(y, seed).tensor_split(num_folds))
    held_out = parts.pop(fold)
    return torch.cat(parts).sort().values, held_out.sort().values


def stratified_part(indices: Tensor, y: Tensor, fraction: float, seed: int) -> Tensor:
    """A fraction of some samples that has the classes in proportion, in ascending order.

    With the same seed, a smaller part is a part of a larger one.

    Args:
        indices: The samples (M,).
        y: Targets of all samples (N,) or (N, K), as in `stratified_order`.
        fraction: Fraction of the M samples, of which one at least remains.
        seed: Seed of the order in which they are taken.
    """
    if fraction == 1:
        return indices
    order = stratified_order(y[indices], seed)
    return indices[order[: max(round(fraction * len(indices)), 1)]].sort().values
