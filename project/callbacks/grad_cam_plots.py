"""Figures of the parts of images that a network decided by."""

from typing import Any

import lightning as L

from project import plots
from project.callbacks.evaluation_plots import EvaluationPlots
from project.callbacks.plots import Plots, output_names, to_image
from project.errors import UserError
from project.models import Architecture, Classification
from project.models.grad_cam import check_captum, find_layer, grad_cam


class GradCAMPlots(Plots):
    """Draws Grad-CAM of the most confident mistakes of `validate` or `test`.

    Args:
        layer: Name of the layer whose maps are shown; None for the last one with maps.
    """

    def __init__(self, layer: str | None = None) -> None:
        self.layer = layer

    def start(self, trainer: L.Trainer, pl_module: Any) -> None:
        check_explainable(pl_module, self.layer)

    def draw(self, trainer: L.Trainer, split: str, word: str) -> None:
        model: Any = trainer.lightning_module
        drawn = [c.mistakes for c in trainer.callbacks if isinstance(c, EvaluationPlots)]
        mistakes = drawn[0] if drawn else None
        images = to_image(trainer, mistakes[0]) if mistakes and len(mistakes[0]) else None
        if images is None or mistakes is None or self.run is None or not trainer.is_global_zero:
            return
        x, probabilities, y, _ = mistakes
        confidence, predicted = probabilities.max(1)
        names = output_names(trainer.datamodule, probabilities.shape[1])
        captions = [
            f"{names[k]} {p:.0%}, true: {names[t]}"
            for k, p, t in zip(predicted.tolist(), confidence.tolist(), y.tolist(), strict=True)
        ]
        maps = grad_cam(model, x, predicted, self.layer)
        title = f"{self.run.experiment}, {word} set: Grad-CAM of the most confident mistakes"
        figure = plots.image_grid(plots.overlaid(images, maps), captions, title, 4, 2.4)
        self.save(trainer, figure, f"cam_mistakes_{split}")


def check_explainable(model: Any, layer: str | None) -> None:
    """Raise UserError if Grad-CAM cannot explain a model by this layer, or captum is missing."""
    check_captum()
    if not isinstance(model, Architecture) or not isinstance(model.objective, Classification):
        raise UserError("--explain cam is for networks with --objective Classification")
    if layer is not None:
        find_layer(model, layer)
