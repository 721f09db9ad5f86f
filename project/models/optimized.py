"""`Optimized`: the optimiser of a task, and its learning rate at each step."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import lightning as L
import torch

from project.errors import UserError
from project.optim import (
    Constant,
    ProgressLR,
    Schedule,
    Uncopied,
    make_optimizer,
    use_fused_kernels,
    weight_decay_groups,
)


class Optimized(L.LightningModule):
    """A module with an optimiser, whose learning rate a schedule scales at every step of the run.

    What the command line says wins over what a checkpoint says.

    Args:
        optimizer: Any ``torch.optim`` class, or a callable that takes parameter groups. Its
            ``weight_decay`` (L2) skips biases and norms.
        lr_schedule: Factor of the learning rate as a function of progress in [0, 1].
    """

    def __init__(
        self, optimizer: Callable[[Iterable], torch.optim.Optimizer], lr_schedule: Schedule
    ) -> None:
        super().__init__()
        self.make_optimizer, self.lr_schedule = Uncopied(optimizer), lr_schedule
        self.configured: list[dict[str, Any]] = []  # options of each parameter group
        self.num_steps = math.inf  # optimiser steps of the whole run
        # Steps that a run skips in its schedule because it went on with another batch size.
        self.skipped_steps = 0

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_current_fx_name":  # which Lightning sets 30 times a step: 5 % of its time
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Groups for the optimiser; ``lr_scale`` and ``weight_decay_scale`` scale its options."""
        return weight_decay_groups(self.parameters())

    def configure_optimizers(self) -> Any:
        groups = self.parameter_groups()
        optimizer = make_optimizer(self.make_optimizer, groups, list(self.parameters()))
        use_fused_kernels(optimizer)
        options = [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
        self.configured = options
        scheduler = ProgressLR(optimizer, self.lr_factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def lr_factor(self, step: int) -> float:
        """The schedule in the middle of a step, so that no step has a rate of exactly zero."""
        return self.lr_schedule((step + self.skipped_steps + 0.5) / self.num_steps)

    def on_train_start(self) -> None:
        scheduler = self.lr_schedulers() if self.configured else None
        if not isinstance(scheduler, ProgressLR):
            return  # the subclass brings optimisers of its own
        # The checkpoint's options are restored by now, but those configured now win. A callback
        # such as BackboneFinetuning may have added groups behind them.
        for group, options in zip(self.optimizers().param_groups, self.configured, strict=False):
            group.update({**options, "lr": group["lr"]})
        # BackboneFinetuning freezes again what was unfrozen before a run goes on.
        for group in self.optimizers().param_groups:
            for parameter in group["params"]:
                parameter.requires_grad_(True)
        self.num_steps = self.trainer.estimated_stepping_batches
        if math.isinf(self.num_steps) and not isinstance(self.lr_schedule, Constant):
            raise UserError(
                "lr_schedule needs an end: give --trainer.max_epochs or --trainer.max_steps"
            )
        scheduler.go_to(self.global_step, [options["lr"] for options in self.configured])

    def learning_rate(self, step: int) -> float:
        """The first parameter group's rate at a step."""
        if self.configured and isinstance(self.lr_schedulers(), ProgressLR):
            return float(self.configured[0]["lr"] * self.lr_factor(step))
        return float(self.trainer.optimizers[0].param_groups[0]["lr"])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["skipped_steps"] = self.skipped_steps
        if self.trainer.optimizers:  # OnExceptionCheckpoint may save before they are there
            checkpoint["optimizer"] = type(self.trainer.optimizers[0]).__name__

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.skipped_steps = checkpoint.get("skipped_steps", 0)
