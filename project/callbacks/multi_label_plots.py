"""Figures of a network that gives several labels."""

from typing import Any

import lightning as L
import numpy as np
from torch import Tensor

from project import plots
from project.callbacks.class_scores import class_scores
from project.callbacks.plots import Plots, gathered, output_names


class MultiLabelPlots(Plots):
    """Draws the history after `fit`, and each label's scores after `validate` or `test`."""

    def start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.probabilities: list[Tensor] = []
        self.true: list[Tensor] = []

    def add(self, trainer: L.Trainer, outputs: Any, x: Tensor, y: Tensor) -> None:
        self.probabilities.append(outputs.float().sigmoid())
        self.true.append(y.long())

    def draw(self, trainer: L.Trainer, split: str, word: str) -> None:
        probabilities, true = gathered(trainer, self.probabilities), gathered(trainer, self.true)
        if trainer.is_global_zero and self.run is not None:
            scores = class_scores(true, (probabilities > 0.5).long(), true.shape[1])[:3]
            names = output_names(trainer.datamodule, true.shape[1])
            title = f"{self.run.experiment}, {word} set: {len(true):,} samples"
            figure = plots.label_scores(np.nan_to_num(scores), names, title)
            self.save(trainer, figure, f"labels_{split}")
