"""Calls the train and eval modes of optimisers that have them, such as Schedule-Free's."""

from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

from project.errors import UserError


class OptimizerModes(L.Callback):
    """Evaluates and saves the averaged weights of an optimiser with ``train`` and ``eval``.

    Schedule-Free (Defazio et al., 2024) takes gradients at other weights than those that it is
    evaluated with, and its two methods exchange them. Validation, the checkpoints' ``state_dict``
    and the end of the training have the averaged weights. Training goes on with exactly the weights
    that it had before, which are in the checkpoints as ``current_model_state``, where Lightning's
    WeightAveraging has them too.
    """

    def __init__(self) -> None:
        self.optimizers: list[Any] = []
        self.loaded: dict[str, Tensor] | None = None
        # Weights of the training, while the averaged ones are in the module.
        self.kept: dict[str, Tensor] | None = None

    def on_load_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self.loaded = checkpoint.get("current_model_state")

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.optimizers = [
            optimizer
            for optimizer in trainer.optimizers
            if all(callable(getattr(optimizer, mode, None)) for mode in ("train", "eval"))
        ]
        for optimizer in self.optimizers:
            if any(isinstance(callback, WeightAveraging) for callback in trainer.callbacks):
                name = type(optimizer).__name__
                raise UserError(f"{name} averages weights itself: leave out the averaging callback")
            optimizer.train()
        if self.optimizers and self.loaded:
            copy(self.loaded, pl_module)
        self.loaded = None

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn == "fit":
            self.enter_eval(pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn == "fit":
            self.leave_eval(pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.enter_eval(pl_module)
        self.optimizers, self.kept = [], None

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if not self.optimizers:
            return
        validating = self.kept is not None
        self.enter_eval(pl_module)
        checkpoint["state_dict"] = clone(pl_module)
        self.leave_eval(pl_module)
        checkpoint["current_model_state"] = clone(pl_module)
        if validating:
            self.enter_eval(pl_module)

    def enter_eval(self, pl_module: L.LightningModule) -> None:
        """Put the averaged weights into the module, unless they are there."""
        if self.optimizers and self.kept is None:
            self.kept = clone(pl_module)
            for optimizer in self.optimizers:
                optimizer.eval()

    def leave_eval(self, pl_module: L.LightningModule) -> None:
        """Put the weights of the training back, bit for bit: ``train`` alone would round them."""
        if self.kept is not None:
            for optimizer in self.optimizers:
                optimizer.train()
            copy(self.kept, pl_module)
            self.kept = None


def clone(module: L.LightningModule) -> dict[str, Tensor]:
    """A copy of the module's state."""
    return {name: value.clone() for name, value in module.state_dict().items()}


@torch.no_grad()
def copy(state: dict[str, Tensor], module: L.LightningModule) -> None:
    """Copy the parameters of a state into a module; buffers stay as they are."""
    for name, parameter in module.named_parameters():
        parameter.copy_(state[name])
