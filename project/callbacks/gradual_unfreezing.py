"""Gradual unfreezing: layers begin to train one after another, from the heads down to the stem."""

import math
from typing import Any

import lightning as L
import torch
from torch import nn

from project.errors import UserError


class GradualUnfreezing(L.Callback):
    """Trains the heads alone at first, then one layer more at a time (Howard & Ruder, 2018).

    With ``start`` and ``end`` equal it is linear probing and then fine-tuning (Kumar et al., 2022).
    A frozen layer keeps its weights and its running statistics. Its gradients are computed and
    dropped, so it saves no time, and works with any optimiser and on any number of devices.

    Args:
        start: Fraction of the run for which the heads train alone.
        end: Fraction of the run after which all layers train.
    """

    def __init__(self, start: float = 0.1, end: float = 0.5) -> None:
        if not 0 <= start <= end <= 1:
            raise UserError(
                f"GradualUnfreezing: start {start} and end {end} are fractions of the run, "
                "and start comes first"
            )
        self.start, self.end = start, end

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        if not hasattr(pl_module, "parameter_layers"):
            raise UserError("GradualUnfreezing needs a Task, which knows the order of its layers")
        if getattr(pl_module, "freeze_backbone", False):
            raise UserError(
                "GradualUnfreezing unfreezes what --model.freeze_backbone freezes: give one of them"
            )
        self.total = trainer.estimated_stepping_batches
        if math.isinf(self.total):
            raise UserError("GradualUnfreezing needs an end: give --trainer.max_epochs")
        layers = pl_module.parameter_layers()
        self.last = max(layers.values())
        self.parameters = [(layers[name], p) for name, p in pl_module.named_parameters()]
        self.modules: list[tuple[int, nn.Module]] = [
            (layers[f"{prefix}.{names[0]}"], module)
            for prefix, module in pl_module.named_modules()
            if prefix and (names := [name for name, _ in module.named_parameters(recurse=False)])
        ]

    def first_layer(self, step: int) -> int:
        """The lowest layer that trains at a step."""
        progress = step / self.total
        if progress < self.start:
            return self.last
        if progress >= self.end:
            return 0
        fraction = (progress - self.start) / (self.end - self.start)
        return self.last - 1 - int(fraction * (self.last - 1))

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        self.first = self.first_layer(trainer.global_step + pl_module.skipped_steps)
        for layer, module in self.modules:
            module.training = layer >= self.first

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: Any, optimizer: torch.optim.Optimizer
    ) -> None:
        for layer, parameter in self.parameters:
            if layer < self.first:
                parameter.grad = None  # optimisers pass over it
