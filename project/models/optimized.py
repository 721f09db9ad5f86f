"""`Optimized`: the optimiser of a task, and its learning rate at each step."""

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import lightning as L
import torch

from project.errors import UserError
from project.optim import (
    SAM,
    Constant,
    ParamPattern,
    ProgressLR,
    Schedule,
    Uncopied,
    description,
    hidden_weights,
    layer_decay_groups,
    layer_order,
    make_optimizer,
    matched,
    option_names,
    pattern_groups,
    use_fused_kernels,
    weight_decay_groups,
)

log = logging.getLogger(__name__)


class Optimized(L.LightningModule):
    """A module with an optimiser, whose learning rate a schedule scales at every step of the run.

    What the command line says wins over what a checkpoint says.

    Args:
        optimizer: Any ``torch.optim`` class, or a callable that takes parameter groups. Its
            ``weight_decay`` (L2) skips biases and norms.
        lr_schedule: Factor of the learning rate as a function of progress in [0, 1].
        layer_decay: Factor of the learning rate of each layer against the layer after it, from the
            heads down to the stem (Bao et al., 2022).
        param_groups: Learning rates and weight decays of parameters whose names match a pattern, as
            in ``[{pattern: layer4, lr_scale: 0.1}]``; the last pattern that matches counts.
    """

    def __init__(
        self,
        *,
        optimizer: Callable[[Iterable], torch.optim.Optimizer] = torch.optim.AdamW,
        lr_schedule: Schedule = Constant(),  # noqa: B008, it holds no state
        layer_decay: float = 1.0,
        param_groups: Sequence[ParamPattern] = (),
    ) -> None:
        super().__init__()
        if not 0 < layer_decay <= 1:
            raise UserError(f"layer_decay is {layer_decay}, but it must lie in (0, 1]")
        self.layer_decay, self.param_groups = layer_decay, param_groups
        self.make_optimizer, self.lr_schedule = Uncopied(optimizer), lr_schedule
        self.configured: list[dict[str, Any]] = []  # options of each parameter group
        self.base_lr = math.nan  # the optimiser's rate, which groups scale
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

    def in_head(self, name: str) -> bool:
        """Whether the parameter or layer of this name is part of a head."""
        return False

    def parameter_layers(self) -> dict[str, int]:
        """The number of the layer of each parameter, from the stem to the heads."""
        return layer_order(self, self.in_head)

    def configure_optimizers(self) -> Any:
        groups, layers = self.parameter_groups(), self.parameter_layers()
        if self.layer_decay != 1:
            groups = layer_decay_groups(groups, self, layers, self.layer_decay)
        groups = pattern_groups(groups, self, self.param_groups, self.in_head)
        hidden = hidden_weights(self, layers)
        optimizer = make_optimizer(self.make_optimizer, groups, list(self.parameters()), hidden)
        use_fused_kernels(optimizer)
        kept = option_names(optimizer)
        options = [{k: v for k, v in g.items() if k in kept} for g in optimizer.param_groups]
        first = optimizer.param_groups[0]["lr"]  # for an optimiser without a default
        self.configured, self.base_lr = options, float(optimizer.defaults.get("lr", first))
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
        if isinstance(self.trainer.optimizers[0], SAM) and self.trainer.accumulate_grad_batches > 1:
            raise UserError("SAM needs whole batches: leave out --trainer.accumulate_grad_batches")
        names = [name for name, p in self.named_parameters() if p.requires_grad]
        found = matched(self.param_groups, names, self.in_head)
        for options, matches in zip(self.param_groups, found, strict=True):
            log.info(description(options, matches))
        # The checkpoint's options are restored by now, but those configured now win. A callback
        # such as BackboneFinetuning may have added groups behind them.
        for group, configured in zip(self.optimizers().param_groups, self.configured, strict=False):
            group.update({**configured, "lr": group["lr"]})
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
        """The optimiser's rate at a step, without the scales of groups."""
        if self.configured and isinstance(self.lr_schedulers(), ProgressLR):
            return self.base_lr * self.lr_factor(step)
        return float(self.trainer.optimizers[0].param_groups[0]["lr"])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["skipped_steps"] = self.skipped_steps
        if self.trainer.optimizers:  # OnExceptionCheckpoint may save before they are there
            checkpoint["optimizer"] = type(self.trainer.optimizers[0]).__name__

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.skipped_steps = checkpoint.get("skipped_steps", 0)
