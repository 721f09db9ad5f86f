"""Any number of labels for each sample."""

import math
from collections.abc import Sequence
from typing import Any

import lightning as L
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import (
    MultilabelAveragePrecision,
    MultilabelF1Score,
)

from project.errors import UserError
from project.models.objectives.objective import Objective, wrong_targets


class MultiLabel(Objective):
    """Any number of K labels for each sample: multi-hot targets (N, K), integers or floats.

    The loss is the binary cross-entropy of each label (Bishop, 2006, section 4.3.2); a label is
    predicted where its probability is above one half.

    Args:
        focal_gamma: Factor (1 - p)^gamma of the cross-entropy, by which labels that are right with
            a high probability p count less (Lin et al., 2017); 0 for none, 2 in the paper.
        plots: Draw figures when `fit`, `validate` and `test` end, and write the predictions.
    """

    monitor = "val/map"
    mode = "max"

    def __init__(self, focal_gamma: float = 0.0, plots: bool = True) -> None:
        super().__init__(plots)
        if focal_gamma < 0:
            raise UserError(f"focal_gamma {focal_gamma} must not be negative")
        self.focal_gamma = focal_gamma

    def criterion(self, outputs: Tensor, y: Tensor) -> Tensor:
        if not self.focal_gamma:
            return F.binary_cross_entropy_with_logits(outputs, y.to(outputs))
        from torchvision.ops import sigmoid_focal_loss

        return sigmoid_focal_loss(outputs, y.to(outputs), -1, self.focal_gamma, "mean")

    def check_targets(self, y: Tensor, num_outputs: int) -> None:
        if y.ndim != 2 or y.shape[1] != num_outputs or not bool(((y >= 0) & (y <= 1)).all()):
            raise wrong_targets(
                y, f"MultiLabel needs values from 0 to 1 of shape [N, {num_outputs}]"
            )

    def metrics(self, num_outputs: int) -> dict[str, Metric]:
        options: dict[str, Any] = {"average": "macro", "validate_args": False}
        return {
            "f1_macro": MultilabelF1Score(num_outputs, **options),
            "map": MultilabelAveragePrecision(num_outputs, **options),
        }

    def update(self, metric: Metric, outputs: Tensor, y: Tensor) -> None:
        metric.update(outputs.sigmoid(), y.long())

    def chance(self, num_outputs: int) -> tuple[str, float] | None:
        factor = f"2^-{self.focal_gamma:g} " if self.focal_gamma else ""
        return f"{factor}ln(2)", 2**-self.focal_gamma * math.log(2)

    def train_metrics(self, outputs: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"acc": ((outputs > 0) == (y > 0.5)).float().mean(1)}

    def predictions(self, outputs: Tensor) -> Tensor:
        """Probabilities (N, K) of the labels, each by itself."""
        return outputs.sigmoid()

    def table(self, predictions: Tensor, names: Sequence[str]) -> tuple[list[str], list[list[Any]]]:
        """The labels above one half, and the probability of every label."""
        rows = [
            [
                " ".join(n for n, p in zip(names, ps, strict=True) if p > 0.5),
                *(f"{p:.6f}" for p in ps),
            ]
            for ps in predictions.tolist()
        ]
        return ["labels", *names], rows

    def callbacks(self) -> list[L.Callback]:
        from project.callbacks import FilterPlots, MultiLabelPlots, PredictionWriter

        return [MultiLabelPlots(), FilterPlots(), PredictionWriter()]
