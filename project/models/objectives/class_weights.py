"""Factors of the classes in a loss."""

from typing import Any, Literal

import torch
from torch import Tensor

from project.errors import UserError


class ClassWeights:
    """A factor for each class, as given or from the number of training samples of the class.

    Args:
        given: The factors (K,), ``auto``, or None for 1.

    Attributes:
        auto: Whether they are counted.
        values: The factors (K,); None for 1, or if they are not counted yet.
    """

    def __init__(self, given: Literal["auto"] | list[float] | None) -> None:
        self.auto = given == "auto"
        self.values = torch.tensor(given) if isinstance(given, list) else None
        if self.values is not None and not (self.values >= 0).all():
            raise UserError(f"class_weights {given} must not be negative")

    def count(self, data: Any, num_classes: int) -> None:
        """Let the weights be n / (K n_k), from the classes of a dataset's training samples.

        Raises:
            UserError: It has no such classes, or none of one of them.
        """
        y = getattr(data, "train_targets", None)
        if y is None or y.ndim != 1 or y.dtype != torch.int64:
            raise UserError(
                "class_weights auto needs one class for each training sample, which train_targets "
                "of the data gives: give a list of weights"
            )
        counts = y.bincount(minlength=num_classes)
        if empty := (counts == 0).nonzero()[:, 0].tolist():
            names = getattr(data, "class_names", range(num_classes))
            raise UserError(
                f"class_weights auto: no training sample is of class {names[empty[0]]}: "
                "give a list of weights, or leave the class out of the data"
            )
        self.values = len(y) / (num_classes * counts.float())

    def on(self, device: torch.device) -> Tensor | None:
        """The factors (K,) on a device; None for 1.

        Raises:
            UserError: They were to be counted, in a training that is not this one.
        """
        if self.values is not None:
            self.values = self.values.to(device)
        elif self.auto:
            raise UserError(
                "class_weights auto are counted when training starts, and this checkpoint was "
                "trained without them: leave them out, or give a list"
            )
        return self.values

    def sum_over(self, y: Tensor) -> Tensor | int:
        """The sum of the factors of classes (N,) or class probabilities (N, K)."""
        values = self.on(y.device)
        if values is None:
            return len(y)
        return (values[y] if y.ndim == 1 else y.to(values) @ values).sum()
