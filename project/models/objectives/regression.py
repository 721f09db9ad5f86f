"""Real numbers for each sample."""

from collections.abc import Sequence
from typing import Any, Literal

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanAbsoluteError, Metric, R2Score

from project.errors import UserError
from project.models.objectives.objective import Objective, wrong_targets


class Regression(Objective):
    """A real number for each sample, or K of them: float targets (N,) or (N, K).

    Args:
        loss: Mean squared error, or mean absolute error.
        standardize: Let the network learn (y - mean) / std, with the mean and the standard
            deviation of the training samples, which large values such as prices need. The loss is
            that of these numbers, predictions and all other metrics have the targets' unit.
        plots: Draw figures when `fit`, `validate` and `test` end, and write the predictions.
    """

    def __init__(
        self, loss: Literal["mse", "mae"] = "mse", standardize: bool = False, plots: bool = True
    ) -> None:
        super().__init__(plots)
        self.loss, self.standardize = loss, standardize
        self.mean, self.std = [0.0], [1.0]  # of each target

    def prepare(self, data: Any, num_outputs: int) -> None:
        if not self.standardize:
            return
        y = getattr(data, "train_targets", None)
        if y is None:
            raise UserError("--objective.standardize needs data of project.data: leave it out")
        y = y.double().view(len(y), -1)
        std = y.std(0, correction=0)
        self.mean, self.std = y.mean(0).tolist(), std.where(std > 0, 1.0).tolist()

    def state_dict(self) -> dict[str, Any]:
        return {"mean": self.mean, "std": self.std} if self.standardize else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.mean, self.std = state.get("mean", [0.0]), state.get("std", [1.0])

    def scale(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the targets (K,) beside ``outputs`` (N, K)."""
        mean, std = torch.tensor([self.mean, self.std], device=outputs.device)
        return mean, std

    def predictions(self, outputs: Tensor) -> Tensor:
        """The values (N, K), in the unit of the targets."""
        if not self.standardize:
            return outputs
        mean, std = self.scale(outputs)
        return outputs * std + mean

    def criterion(self, outputs: Tensor, y: Tensor) -> Tensor:
        y = y.view_as(outputs)
        if self.standardize:
            mean, std = self.scale(outputs)
            y = (y - mean) / std
        return F.mse_loss(outputs, y) if self.loss == "mse" else F.l1_loss(outputs, y)

    def check_targets(self, y: Tensor, num_outputs: int) -> None:
        values = y.shape[1] if y.ndim == 2 else 1
        if y.ndim not in (1, 2) or not y.is_floating_point() or values != num_outputs:
            shape = "[N]" if num_outputs == 1 else f"[N, {num_outputs}]"
            raise wrong_targets(
                y, f"Regression needs {num_outputs} value(s) a sample, float of {shape}"
            )

    def metrics(self, num_outputs: int) -> dict[str, Metric]:
        r2 = R2Score() if num_outputs == 1 else R2Score(multioutput="uniform_average")
        return {"mae": MeanAbsoluteError(), "r2": r2}

    def update(self, metric: Metric, outputs: Tensor, y: Tensor) -> None:
        pair = self.predictions(outputs), y.view_as(outputs)
        metric.update(*(x.flatten() if x.shape[1] == 1 else x for x in pair))

    def train_metrics(self, outputs: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"mae": (self.predictions(outputs) - y.view_as(outputs)).abs().mean(1)}

    def table(self, predictions: Tensor, names: Sequence[str]) -> tuple[list[str], list[list[Any]]]:
        """The values, in a column for each output."""
        return list(names), [[f"{value:.6g}" for value in row] for row in predictions.tolist()]

    def callbacks(self) -> list[L.Callback]:
        from project.callbacks import FilterPlots, PredictionWriter, RegressionPlots

        return [RegressionPlots(), FilterPlots(), PredictionWriter()]
