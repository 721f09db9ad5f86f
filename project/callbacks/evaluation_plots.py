"""Figures of a classifier: confusion matrix, predictions and mistakes."""

from typing import Any

import lightning as L
import torch
from torch import Tensor

from project import plots
from project.callbacks.plots import Plots, gathered, output_names, to_image
from project.loggers.wandb import WandB
from project.models.objectives.temperature import BINS, calibration_error


class EvaluationPlots(Plots):
    """Draws the history after `fit`, and what a split looks like after `validate` or `test`.

    Args:
        examples: Number of images in the grid of predictions, and in that of mistakes.
    """

    def __init__(self, examples: int = 12) -> None:
        self.examples = examples

    def start(self, trainer: L.Trainer, pl_module: Any) -> None:
        k = pl_module.num_classes
        # torchmetrics' confusion matrix takes twice the time of this bincount.
        self.counts = torch.zeros(k * k, dtype=torch.int64, device=pl_module.device)
        self.seen = 0
        self.chosen: list[tuple[Tensor, ...]] = []
        self.mistakes: tuple[Tensor, ...] | None = None
        self.confidence: list[Tensor] = []  # of the predictions of `test`
        self.correct: list[Tensor] = []

    def add(self, trainer: L.Trainer, outputs: Any, x: Tensor, y: Tensor) -> None:
        probabilities = trainer.lightning_module.objective.predictions(outputs.float())
        confidence, predicted = probabilities.max(1)
        k = probabilities.shape[1]
        y = y if y.ndim == 1 else y.argmax(1)
        if trainer.testing:
            self.confidence.append(confidence)
            self.correct.append(predicted == y)
        self.counts += torch.bincount(y * k + predicted, minlength=k * k)
        loader: Any = trainer.test_dataloaders if trainer.testing else trainer.val_dataloaders
        batches = getattr(loader.batch_sampler, "batches", None)
        total = sum(map(len, batches)) if batches is not None else len(loader.dataset)
        wanted = plots.evenly_spaced(self.examples, total) - self.seen
        self.seen += len(y)
        wanted = wanted[(wanted >= 0) & (wanted < len(y))].to(y.device)
        self.chosen.append((x[wanted], probabilities[wanted], y[wanted]))
        wrong = (predicted != y).nonzero()[:, 0]
        found: tuple[Tensor, ...] = (x[wrong], probabilities[wrong], y[wrong], confidence[wrong])
        if self.mistakes is not None:
            found = tuple(torch.cat(pair) for pair in zip(self.mistakes, found, strict=True))
        worst = found[3].topk(min(self.examples, len(found[3]))).indices
        self.mistakes = tuple(part[worst] for part in found)

    def draw(self, trainer: L.Trainer, split: str, word: str) -> None:
        counts = trainer.strategy.reduce(self.counts, reduce_op="sum")
        if split == "test":
            self.draw_reliability(trainer)
        if not trainer.is_global_zero or self.run is None:
            return
        k = trainer.lightning_module.num_classes
        names, matrix = output_names(trainer.datamodule, k), counts.view(k, k).cpu()
        total, right = int(matrix.sum()), int(matrix.diag().sum())
        title = f"{self.run.experiment}, {word} set"
        of = f"{title}: {right:,} of {total:,} right ({right / max(total, 1):.2%})"
        figure = plots.confusion_matrix(matrix, names, of)
        self.save(trainer, figure, f"confusion_matrix_{split}")
        chosen = [torch.cat(part) for part in zip(*self.chosen, strict=True)]
        self.draw_grid(trainer, chosen, f"predictions_{split}", f"{title}: predictions")
        mistakes = self.mistakes[:3] if self.mistakes else []
        what = f"{title}: most confident mistakes"
        self.draw_grid(trainer, list(mistakes), f"mistakes_{split}", what)

    def draw_reliability(self, trainer: L.Trainer) -> None:
        """Draw how far the confidence of the predictions of `test` is that of their accuracy."""
        confidence, correct = gathered(trainer, self.confidence), gathered(trainer, self.correct)
        if trainer.is_global_zero and self.run is not None:
            title = f"{self.run.experiment}, test set"
            panels = {f"ECE {calibration_error(confidence, correct):.4f}": confidence}
            figure = plots.reliability_diagram(panels, correct, BINS, title)
            self.save(trainer, figure, "reliability_test")

    def draw_grid(self, trainer: L.Trainer, grid: list[Tensor], name: str, title: str) -> None:
        """Draw images with their five likeliest classes."""
        images = to_image(trainer, grid[0]) if grid and len(grid[0]) else None
        if images is None:
            return
        probabilities, y = grid[1].cpu(), grid[2].cpu()
        names = output_names(trainer.datamodule, probabilities.shape[1])
        captions = [f"true: {names[k]}" for k in y.tolist()]
        title = f"{title} (true class in orange)"
        figure = plots.top5_grid(images, probabilities, y, names, captions, title)
        self.save(trainer, figure, name)
        for logger in trainer.loggers:
            if isinstance(logger, WandB):
                logger.log_samples(name, images, probabilities, y, names)
