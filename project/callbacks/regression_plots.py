"""Figures of a regression."""

from typing import Any

import lightning as L
from torch import Tensor

from project import plots
from project.callbacks.plots import Plots, gathered, output_names


class RegressionPlots(Plots):
    """Draws the history after `fit`, and predictions against targets after `validate` or `test`."""

    def start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.predicted: list[Tensor] = []
        self.true: list[Tensor] = []

    def add(self, trainer: L.Trainer, outputs: Any, x: Tensor, y: Tensor) -> None:
        objective: Any = trainer.lightning_module.objective
        self.predicted.append(objective.predictions(outputs.float()))
        self.true.append(y.view_as(outputs).float())

    def draw(self, trainer: L.Trainer, split: str, word: str) -> None:
        predicted, true = gathered(trainer, self.predicted), gathered(trainer, self.true)
        if trainer.is_global_zero and self.run is not None:
            title = f"{self.run.experiment}, {word} set: {len(true):,} samples"
            names = output_names(trainer.datamodule, true.shape[1])
            figure = plots.predicted_against_true(predicted, true, names, title)
            self.save(trainer, figure, f"predicted_{split}")
