"""`OptimizedNetwork`: the optimiser of a network, and its learning rate at each step."""

import logging
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch

from project.errors import UserError
from project.models.network import Network
from project.optim import (
    Constant,
    ProgressLR,
    Schedule,
    Uncopied,
    make_optimizer,
    use_fused_kernels,
)

log = logging.getLogger(__name__)


class OptimizedNetwork(Network):
    """A network with an optimiser, whose learning rate a schedule scales at every step of the run.

    Args:
        num_classes: Number of classes.
        input_shape: Channels, height and width of an image.
        weights: To start from, if any.
        freeze: ``none`` or ``trunk``.
        optimizer: Makes the optimiser of groups of parameters.
        lr_schedule: Factor of the learning rate as a function of progress.
    """

    def __init__(
        self,
        num_classes: int,
        input_shape: tuple[int, int, int],
        weights: str | None,
        freeze: str,
        optimizer: Callable[[Iterable], torch.optim.Optimizer],
        lr_schedule: Schedule,
    ) -> None:
        super().__init__(num_classes, input_shape, weights, freeze)
        self.make_optimizer, self.lr_schedule = Uncopied(optimizer), lr_schedule
        self.hyperparameters: list[
            dict[str, Any]
        ] = []  # as configured, of each group of the optimiser
        self.num_steps = math.inf  # of the run
        # Steps to add to those trained, for progress in a run that went on with another batch size.
        self.skipped_steps = 0

    def build_optimizer(self) -> torch.optim.Optimizer:
        """The optimiser with its groups of parameters, whose learning rates the schedule scales.

        A network that needs other groups overrides this method; one that overrides
        `configure_optimizers` brings a schedule of its own.
        """
        return make_optimizer(self.make_optimizer, list(self.parameters()))

    def configure_optimizers(self) -> Any:
        optimizer = self.build_optimizer()
        use_fused_kernels(optimizer)
        self.hyperparameters = [
            {k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups
        ]
        scheduler = ProgressLR(optimizer, self.lr_factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def on_train_start(self) -> None:
        # A checkpoint restores the hyperparameters that it was saved with, but what is configured
        # now wins. # Groups beyond those belong to a callback that added them, such as
        # BackboneFinetuning.
        self.groups = list(
            zip(self.trainer.optimizers[0].param_groups, self.hyperparameters, strict=False)
        )
        for group, configured in self.groups:
            group.update({**configured, "lr": group["lr"]})
        # BackboneFinetuning freezes the trunk again in a run that goes on after it was unfrozen.
        for group in self.trainer.optimizers[0].param_groups:
            for parameter in group["params"]:
                parameter.requires_grad_(True)
        self.num_steps = self.trainer.estimated_stepping_batches
        if math.isinf(self.num_steps) and not isinstance(self.lr_schedule, Constant):
            raise UserError(
                "lr_schedule needs an end to run to: give --trainer.max_epochs or --trainer.max_steps"
            )
        scheduler = self.lr_schedulers()
        if isinstance(scheduler, ProgressLR):
            scheduler.go_to(
                self.global_step, [configured["lr"] for configured in self.hyperparameters]
            )

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        super().lr_scheduler_step(scheduler, metric)
        if (
            type(scheduler).__module__ == "lightning.pytorch.tuner.lr_finder"
        ):  # it gives all groups the same rate
            for group, configured in self.groups:
                group["lr"] *= configured["lr"] / self.hyperparameters[0]["lr"]

    def lr_factor(self, step: int) -> float:
        """The schedule in the middle of a step, so that neither a warm-up's first nor a decay's last is at zero."""
        return self.lr_schedule((step + self.skipped_steps + 0.5) / self.num_steps)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["skipped_steps"] = self.skipped_steps
        if self.trainer.optimizers:  # OnExceptionCheckpoint may save before they are there
            checkpoint["optimizer"] = type(self.trainer.optimizers[0]).__name__

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.skipped_steps = checkpoint.get("skipped_steps", 0)

    def drop_foreign_optimizer_state(self, checkpoint: dict[str, Any]) -> None:
        """Where `fit` goes on with another optimiser than the checkpoint's, let it start afresh."""
        configured = self.configure_optimizers()
        optimizer = configured["optimizer"] if isinstance(configured, dict) else configured
        name = type(optimizer).__name__
        saved, ours = checkpoint["optimizer_states"][0]["param_groups"], optimizer.param_groups
        if checkpoint["optimizer"] != name:
            log.info(f"{name} starts afresh: the checkpoint's state is {checkpoint['optimizer']}'s")
            checkpoint["optimizer_states"] = []
        elif len(saved) == len(ours) and [len(g["params"]) for g in saved] != [
            len(g["params"]) for g in ours
        ]:
            log.info(f"{name} starts afresh: --model.freeze has changed what it trains")
            checkpoint["optimizer_states"] = []
