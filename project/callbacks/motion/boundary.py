"""`Boundary`: where a network draws the line between classes, or the curve through points."""

from typing import Any

import lightning as L
import torch
from torch import Tensor

from project import plots
from project.callbacks.motion.motion import Moment, Motion, evaluating
from project.errors import UserError
from project.models import Classification


class Boundary(Motion):
    """Draws the predicted class at each point of the plane over the steps, with the samples on top.

    A regression on one feature is drawn as a curve with the samples and their residuals.

    Args:
        frames: Greatest number of frames.
        seconds: How long the picture moves.
        points: Number of points of the grid along each feature.
    """

    name = "boundary"

    def __init__(self, frames: int = 24, seconds: float = 6.0, points: int = 80) -> None:
        super().__init__(frames, seconds)
        self.points = points

    def check(self, trainer: L.Trainer, model: Any) -> None:
        data: Any = trainer.datamodule
        classes = isinstance(getattr(model, "objective", None), Classification)
        needed = (2,) if classes else (1,)
        if getattr(data, "input_shape", None) != needed or (model.num_classes > 1) != classes:
            raise UserError(
                "Boundary draws classes of samples of two features, or a value of one feature: "
                "leave it out"
            )

    def samples(self, trainer: L.Trainer) -> tuple[Tensor, Tensor]:
        """The training samples (N, D) and their targets (N,)."""
        data: Any = trainer.datamodule
        x, y = data.train_set.__getitems__(data.train_indices)
        return x, y

    def grid(self, trainer: L.Trainer) -> Tensor:
        """Points (G, D) that cover the samples and a margin around them."""
        x, _ = self.samples(trainer)
        low, high = x.amin(0), x.amax(0)
        low, high = low - 0.1 * (high - low), high + 0.1 * (high - low)
        lines = [torch.linspace(a, b, self.points) for a, b in zip(low, high, strict=True)]
        if len(lines) == 1:
            return lines[0][:, None]
        rows, columns = torch.meshgrid(lines[1], lines[0], indexing="ij")
        return torch.stack([columns.flatten(), rows.flatten()], 1)

    def look(self, trainer: L.Trainer, model: Any) -> Moment:
        x, _ = self.samples(trainer)
        points = self.grid(trainer) if len(x.T) == 2 else torch.cat([self.grid(trainer), x])
        data: Any = trainer.datamodule
        with evaluating(model), torch.no_grad():
            inputs = data.to_input(points.to(model.device), torch.empty(0))[0]
            values = model.objective.predictions(model(inputs).float())
        return {"values": values.cpu()}

    def frame(self, step: int, moment: Moment, trainer: L.Trainer) -> Any:
        data: Any = trainer.datamodule
        (x, y), grid, values = self.samples(trainer), self.grid(trainer), moment["values"]
        names = [*getattr(data, "feature_names", ("x1", "x2")), *data.class_names]
        title = f"after {step} steps"
        if len(x.T) == 1:
            curve, fitted = values[: len(grid), 0], values[len(grid) :, 0]
            both = (names[0], names[1])
            return plots.fitted_curve(grid[:, 0], curve, x[:, 0], y, fitted, both, title)
        limits = (*grid[[0, -1], 0].tolist(), *grid[[0, -1], 1].tolist())
        plane = values.view(self.points, self.points, -1)
        return plots.boundary(plane, x, y, limits, names, title)
