"""`ObjectiveHooks`: what a network asks its objective."""

from typing import Any

import lightning as L
import torch

from project.models.objectives import Objective


class ObjectiveHooks(L.LightningModule):
    """A network whose objective says what is logged and drawn, and what checkpoints keep."""

    objective: Objective
    num_classes: int
    eval_metrics: Any

    @property
    def metric_names(self) -> list[str]:
        """The metrics that `fit` logs and callbacks can monitor."""
        y = torch.zeros(1, self.num_classes)
        train = ["loss", *self.objective.train_metrics(y, y)]
        return [
            *(f"train/{name}" for name in train),
            *(f"val/{name}" for name in self.eval_metrics),
        ]

    def configure_callbacks(self) -> list[Any]:
        return self.objective.callbacks() if self.objective.plots else []

    def on_fit_start(self) -> None:
        self.objective.prepare(getattr(self.trainer, "datamodule", None), self.num_classes)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        if state := self.objective.state_dict():
            checkpoint["objective"] = state

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.objective.load_state_dict(checkpoint.get("objective", {}))
