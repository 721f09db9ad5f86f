"""The scheduler that applies a schedule at every optimiser step."""

from collections.abc import Callable
from typing import Any

import torch
from torch.optim.lr_scheduler import LRScheduler


class ProgressLR(LRScheduler):
    """Multiplies each group's configured rate by a factor that depends only on the step.

    Groups that were added later, such as BackboneFinetuning's, keep the rate of who added them.

    Args:
        optimizer: Whose groups' rates are the configured ones.
        factor: Gives the factor at an optimiser step, counted from 0.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, factor: Callable[[int], float]) -> None:
        self.factor = factor
        super().__init__(optimizer)

    def get_lr(self) -> list[Any]:
        factor = self.factor(self.last_epoch)
        rates = [rate * factor for rate in self.base_lrs]
        return rates + [group["lr"] for group in self.optimizer.param_groups[len(rates) :]]

    def step(self, epoch: int | None = None) -> None:
        self._step_count += 1
        self.go_to(self.last_epoch + 1, self.base_lrs)

    def go_to(self, step: int, rates: list[Any]) -> None:
        """Set the rates of a step from the configured ones; a checkpoint may have others."""
        self.base_lrs, self.last_epoch = rates, step
        self._last_lr = self.get_lr()
        for group, rate in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            group["lr"] = rate

    def state_dict(self) -> dict[str, Any]:
        return {"last_epoch": self.last_epoch, "_step_count": self._step_count}
