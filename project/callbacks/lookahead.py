"""Lookahead: weights that follow those of the optimiser, and that it starts from again every few steps."""

from typing import Any

import lightning as L
import torch
from torch import Tensor

from project.errors import UserError


class Lookahead(L.Callback):
    """Slow weights, to which the network is set back every few steps (Zhang et al., 2019).

    The share of the slow weights that stays grows with the cube of progress (Jordan, 2024, section
    3.4), and after the run's last step they are what is left. They begin as the weights after the
    first step, when a network that looks at its first batch has been initialised. Weights and
    statistics of norms are treated alike.

    Args:
        every: Optimiser steps between two meetings.
        decay: Share of the slow weights that stays at a meeting at the end of the run.
    """

    def __init__(self, every: int = 5, decay: float = 0.95**5) -> None:
        if every < 1 or not 0 <= decay < 1:
            raise UserError(
                f"Lookahead: every {every} must be positive, and decay {decay} lie in [0, 1)"
            )
        self.every, self.decay = every, decay
        self.slow: dict[str, Tensor] = {}
        self.met = 0  # the step of the last meeting

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        now = weights(pl_module)
        self.slow = {
            name: value.to(now[name]) for name, value in self.slow.items()
        }  # from a checkpoint

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        step, total = trainer.global_step, trainer.estimated_stepping_batches
        if not self.slow:
            self.slow = {name: value.clone() for name, value in weights(pl_module).items()}
        meets = step % self.every == 0
        if step == self.met or not (meets or step == total):
            return
        self.met = step
        fast = weights(pl_module)
        slow = [self.slow[name] for name in fast]
        if meets:
            torch._foreach_lerp_(slow, list(fast.values()), 1 - self.decay * (step / total) ** 3)
        torch._foreach_copy_(list(fast.values()), slow)

    def state_dict(self) -> dict[str, Any]:
        return {"slow": self.slow, "met": self.met}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.slow, self.met = state_dict["slow"], state_dict["met"]


def weights(module: L.LightningModule) -> dict[str, Tensor]:
    """All of a module's state that is made of real numbers."""
    return {name: value for name, value in module.state_dict().items() if value.is_floating_point()}
