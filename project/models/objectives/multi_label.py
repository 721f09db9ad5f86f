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

from project.models.objectives.objective import Objective, wrong_targets


class MultiLabel(Objective):
    """Any number of K labels for each sample: multi-hot targets (N, K), integers or floats.

    The loss is the binary cross-entropy of each label (Bishop, 2006, section 4.3.2); a label is
    predicted where its probability is above one half.
    """

    monitor = "val/map"
    mode = "max"

    def criterion(self, outputs: Tensor, y: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(outputs, y.to(outputs))

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
        return "ln(2)", math.log(2)

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
