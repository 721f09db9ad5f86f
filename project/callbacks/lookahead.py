"""Lookahead: slow weights that follow the optimiser's, and replace them every few steps."""

from typing import Any

import lightning as L
import torch
from torch import Tensor

from project.errors import UserError


class Lookahead(L.Callback):
    """Slow weights that move towards the network's every few steps and replace them.

    The method is that of Zhang et al. (2019), but the slow weights move less and less: the fraction
    of them that is kept grows with the cube of progress (Jordan, 2024, section 3.4). The run's last
    step leaves them in the network.
    They start as the weights after the first step, when a network that initialises itself on its
    first batch has done so. Statistics of norms are treated like weights.

    Args:
        every: Optimiser steps between two synchronisations.
        decay: Fraction of the slow weights that a synchronisation keeps at the end of the run.
    """

    def __init__(self, every: int = 5, decay: float = 0.95**5) -> None:
        if every < 1 or not 0 <= decay < 1:
            raise UserError(
                f"Lookahead: every {every} must be positive, and decay {decay} lie in [0, 1)"
            )
        self.every, self.decay = every, decay
        self.slow: dict[str, Tensor] = {}
        self.synced_step = 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        fast = weights(pl_module)  # a checkpoint's slow weights come on the CPU
        self.slow = {name: value.to(fast[name]) for name, value in self.slow.items()}

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        step, total = trainer.global_step, trainer.estimated_stepping_batches
        if not self.slow:
            self.slow = {name: value.clone() for name, value in weights(pl_module).items()}
        sync = step % self.every == 0
        if step == self.synced_step or not (sync or step == total):
            return
        self.synced_step = step
        fast = weights(pl_module)
        slow = [self.slow[name] for name in fast]
        if sync:
            torch._foreach_lerp_(slow, list(fast.values()), 1 - self.decay * (step / total) ** 3)
        torch._foreach_copy_(list(fast.values()), slow)

    def state_dict(self) -> dict[str, Any]:
        return {"slow": self.slow, "met": self.synced_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.slow, self.synced_step = state_dict["slow"], state_dict["met"]


def weights(module: L.LightningModule) -> dict[str, Tensor]:
    """The floating-point tensors in a module's state dict."""
    return {name: value for name, value in module.state_dict().items() if value.is_floating_point()}
