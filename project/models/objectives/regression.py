"""Real numbers for each sample."""

from collections.abc import Sequence
from typing import Any, Literal

import lightning as L
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanAbsoluteError, Metric, R2Score

from project.models.objectives.objective import Objective, wrong_targets


class Regression(Objective):
    """A real number for each sample, or K of them: float targets (N,) or (N, K).

    Args:
        loss: Mean squared error, or mean absolute error.
        plots: Draw figures when `fit`, `validate` and `test` end, and write the predictions.
    """

    def __init__(self, loss: Literal["mse", "mae"] = "mse", plots: bool = True) -> None:
        super().__init__(plots)
        self.loss = loss

    def criterion(self, outputs: Tensor, y: Tensor) -> Tensor:
        error = F.mse_loss if self.loss == "mse" else F.l1_loss
        return error(outputs, y.view_as(outputs))

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
        pair = outputs, y.view_as(outputs)
        metric.update(*(x.flatten() if x.shape[1] == 1 else x for x in pair))

    def train_metrics(self, outputs: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"mae": (outputs - y.view_as(outputs)).abs().mean(1)}

    def table(self, predictions: Tensor, names: Sequence[str]) -> tuple[list[str], list[list[Any]]]:
        """The values, in a column for each output."""
        return list(names), [[f"{value:.6g}" for value in row] for row in predictions.tolist()]

    def callbacks(self) -> list[L.Callback]:
        from project.callbacks import FilterPlots, PredictionWriter, RegressionPlots

        return [RegressionPlots(), FilterPlots(), PredictionWriter()]
