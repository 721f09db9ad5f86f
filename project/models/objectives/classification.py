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
from project.models.objectives.class_weights import ClassWeights
from project.models.objectives.losses import focal, mse
from project.models.objectives.macro import MacroScore
from project.models.objectives.objective import Objective, wrong_targets


class Classification(Objective):
    """One of K classes for each sample: int64 targets (N,), or class probabilities (N, K).

    Class weights and the focal factor are in the loss of the evaluation too, label smoothing is
    not.

    Args:
        loss: Cross-entropy, or mean squared error of the softmax against one-hot targets.
        label_smoothing: Fraction of each training target that is spread evenly over all classes
            (Szegedy et al., 2016, section 7).
        class_weights: Factor of each class in the loss, such as more for a rare class. ``auto`` is
            n / (K n_k) for n training samples of which n_k are of the class (King & Zeng, 2001):
            the inverse frequency, with a mean of 1 over the samples. None is 1 for all.
        focal_gamma: Factor (1 - p)^gamma of the cross-entropy, by which samples that are right with
            a high probability p count less (Lin et al., 2017); 0 for none, 2 in the paper.
        plots: Draw figures when `fit`, `validate` and `test` end, and write the predictions.
    """

    monitor = "val/acc"
    mode = "max"

    def __init__(
        self,
        loss: Literal["cross_entropy", "mse"] = "cross_entropy",
        label_smoothing: float = 0.0,
        class_weights: Literal["auto"] | list[float] | None = None,
        focal_gamma: float = 0.0,
        plots: bool = True,
    ) -> None:
        super().__init__(plots)
        if not 0 <= label_smoothing < 1:
            raise UserError(f"label_smoothing {label_smoothing} must lie in [0, 1)")
        if focal_gamma < 0 or (focal_gamma and loss != "cross_entropy"):
            raise UserError(
                f"focal_gamma {focal_gamma} must not be negative, and needs the loss cross_entropy"
            )
        self.loss, self.label_smoothing, self.focal_gamma = loss, label_smoothing, focal_gamma
        self.class_weights = ClassWeights(class_weights)
        self.temperature = 1.0  # that divides the outputs for probabilities; `calibrate` fits it

    def prepare(self, data: Any, num_outputs: int) -> None:
        self.temperature = 1.0  # a calibration is of weights that training changes
        if self.class_weights.auto:
            self.class_weights.count(data, num_outputs)

    def state_dict(self) -> dict[str, Any]:
        weights = {"class_weights": self.class_weights.values} if self.class_weights.auto else {}
        return weights | ({"temperature": self.temperature} if self.temperature != 1 else {})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.temperature = state.get("temperature", 1.0)
        if self.class_weights.auto:
            self.class_weights.values = state.get("class_weights")

    def criterion(self, outputs: Tensor, y: Tensor) -> Tensor:
        return self.smoothed(outputs, y, 0.0)

    def criterion_weight(self, y: Tensor) -> Tensor | int:
        return self.class_weights.sum_over(y)

    def training_criterion(self, outputs: Tensor, y: Tensor) -> Tensor:
        return self.smoothed(outputs, y, self.label_smoothing)

    def smoothed(self, outputs: Tensor, y: Tensor, smoothing: float) -> Tensor:
        """The loss against targets of which a fraction is spread over all classes."""
        weights = self.class_weights.on(outputs.device)
        if self.focal_gamma:
            return focal(outputs, y, self.focal_gamma, smoothing, weights)
        if self.loss == "cross_entropy":
            return F.cross_entropy(outputs, y, weights, label_smoothing=smoothing)
        return mse(outputs, y, smoothing, weights)

    def check_targets(self, y: Tensor, num_outputs: int) -> None:
        classes = y.ndim == 1 and y.dtype == torch.int64
        probabilities = (
            y.ndim == 2 and y.is_floating_point() and bool(((y.sum(1) - 1).abs() < 1e-2).all())
        )
        if not classes and not probabilities:
            raise wrong_targets(
                y, f"Classification needs one of {num_outputs} classes a sample, int64 of shape [N]"
            )
        weights = self.class_weights.values
        if weights is not None and len(weights) != num_outputs:
            raise UserError(f"there are {len(weights)} class_weights for {num_outputs} classes")

    def metrics(self, num_outputs: int) -> dict[str, Metric]:
        tops = {"acc": 1, "acc5": 5} if num_outputs > 10 else {"acc": 1}
        options: dict[str, Any] = {"average": "micro", "validate_args": False}
        return {
            **{name: MulticlassAccuracy(num_outputs, k, **options) for name, k in tops.items()},
            "acc_macro": MacroScore(num_outputs, "recall"),
            "f1": MacroScore(num_outputs, "f1"),
        }

    def chance(self, num_outputs: int) -> tuple[str, float] | None:
        if self.loss != "cross_entropy":
            return None
        factor = (1 - 1 / num_outputs) ** self.focal_gamma
        formula = f"(1 - 1/{num_outputs})^{self.focal_gamma:g} " if self.focal_gamma else ""
        return f"{formula}ln({num_outputs})", factor * math.log(num_outputs)

    def train_metrics(self, outputs: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"acc": outputs.argmax(1) == (y if y.ndim == 1 else y.argmax(1))}

    def predictions(self, outputs: Tensor) -> Tensor:
        """Class probabilities (N, K)."""
        return (outputs if self.temperature == 1 else outputs / self.temperature).softmax(1)

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
