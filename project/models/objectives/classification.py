"""One class for each sample."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import (
    MulticlassAccuracy,
)

from project.errors import UserError
from project.models.objectives.objective import Objective, wrong_targets


class Classification(Objective):
    """One of K classes for each sample: int64 targets (N,), or class probabilities (N, K).

    Args:
        loss: Cross-entropy, or mean squared error of the softmax against one-hot targets.
        label_smoothing: Fraction of each training target that is spread evenly over all classes
            (Szegedy et al., 2016, section 7).
        class_weights: Factor of each class in the loss, such as more for a rare class; None for 1.
        plots: Draw figures when `fit`, `validate` and `test` end, and write the predictions.
    """

    monitor = "val/acc"
    mode = "max"

    def __init__(
        self,
        loss: Literal["cross_entropy", "mse"] = "cross_entropy",
        label_smoothing: float = 0.0,
        class_weights: list[float] | None = None,
        plots: bool = True,
    ) -> None:
        super().__init__(plots)
        if not 0 <= label_smoothing < 1:
            raise UserError(f"label_smoothing {label_smoothing} must lie in [0, 1)")
        if class_weights is not None and not all(w >= 0 for w in class_weights):
            raise UserError(f"class_weights {class_weights} must not be negative")
        self.loss, self.label_smoothing = loss, label_smoothing
        self.class_weights = None if class_weights is None else torch.tensor(class_weights)

    def criterion(self, outputs: Tensor, y: Tensor) -> Tensor:
        return self.smoothed(outputs, y, 0.0)

    def training_criterion(self, outputs: Tensor, y: Tensor) -> Tensor:
        return self.smoothed(outputs, y, self.label_smoothing)

    def smoothed(self, outputs: Tensor, y: Tensor, smoothing: float) -> Tensor:
        """The loss against targets of which a fraction is spread over all classes."""
        if self.class_weights is not None:
            self.class_weights = self.class_weights.to(outputs.device)
        if self.loss == "cross_entropy":
            return F.cross_entropy(outputs, y, self.class_weights, label_smoothing=smoothing)
        return mse(outputs, y, smoothing, self.class_weights)

    def check_targets(self, y: Tensor, num_outputs: int) -> None:
        classes = y.ndim == 1 and y.dtype == torch.int64
        probabilities = (
            y.ndim == 2 and y.is_floating_point() and bool(((y.sum(1) - 1).abs() < 1e-2).all())
        )
        if not classes and not probabilities:
            raise wrong_targets(
                y, f"Classification needs one of {num_outputs} classes a sample, int64 of shape [N]"
            )
        if self.class_weights is not None and len(self.class_weights) != num_outputs:
            raise UserError(
                f"there are {len(self.class_weights)} class_weights for {num_outputs} classes"
            )

    def metrics(self, num_outputs: int) -> dict[str, Metric]:
        tops = {"acc": 1, "acc5": 5} if num_outputs > 10 else {"acc": 1}
        options: dict[str, Any] = {"average": "micro", "validate_args": False}
        return {name: MulticlassAccuracy(num_outputs, k, **options) for name, k in tops.items()}

    def chance(self, num_outputs: int) -> tuple[str, float] | None:
        if self.loss != "cross_entropy":
            return None
        return f"ln({num_outputs})", math.log(num_outputs)

    def train_metrics(self, outputs: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"acc": outputs.argmax(1) == (y if y.ndim == 1 else y.argmax(1))}

    def predictions(self, outputs: Tensor) -> Tensor:
        """Class probabilities (N, K)."""
        return outputs.softmax(1)

    def table(self, predictions: Tensor, names: Sequence[str]) -> tuple[list[str], list[list[Any]]]:
        """The five likeliest classes and their probabilities."""
        top = predictions.topk(min(5, len(names)), dim=1)
        ranks = range(1, top.values.shape[1] + 1)
        rows = [
            [cell for p, k in zip(ps, ks, strict=True) for cell in (names[k], f"{p:.6f}")]
            for ps, ks in zip(top.values.tolist(), top.indices.tolist(), strict=True)
        ]
        return [f"{what}{rank}" for rank in ranks for what in ("class", "probability")], rows

    def callbacks(self) -> list[L.Callback]:
        from project.callbacks import EvaluationPlots, FilterPlots, PredictionWriter

        return [EvaluationPlots(), FilterPlots(), PredictionWriter()]


def mse(
    outputs: Tensor, y: Tensor, label_smoothing: float = 0.0, weights: Tensor | None = None
) -> Tensor:
    """Mean squared error of the softmax of ``outputs`` (N, K) against classes or probabilities."""
    num_classes = outputs.shape[1]
    one_hot = F.one_hot(y, num_classes) if y.ndim == 1 else y
    targets = one_hot * (1 - label_smoothing) + label_smoothing / num_classes
    if weights is None:
        return F.mse_loss(outputs.softmax(1), targets)
    factors = one_hot.to(outputs) @ weights  # of each sample
    errors = (outputs.softmax(1) - targets).square().mean(1)
    return (factors * errors).sum() / factors.sum()
