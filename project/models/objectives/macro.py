"""Metrics in which each class counts the same, however rare it is."""

from typing import Literal

import torch
from torch import Tensor
from torchmetrics import Metric


class MacroScore(Metric):
    """The mean over classes of the recall, or of F1.

    They equal scikit-learn's ``balanced_accuracy_score``, the mean over classes that occur, and
    ``f1_score(average="macro")``, the mean over those that occur or are predicted. torchmetrics
    counts all K x K pairs in each batch: for 1000 classes that takes five times as long, and a
    gigabyte under ``--trainer.deterministic true``.

    Args:
        num_classes: Number of classes K.
        score: Which of the two.
    """

    higher_is_better = True
    full_state_update = False
    counts: Tensor  # (3, K): samples that are right, true and predicted as each class

    def __init__(self, num_classes: int, score: Literal["recall", "f1"]) -> None:
        super().__init__()
        self.score = score
        self.add_state("counts", torch.zeros(3, num_classes, dtype=torch.int64), "sum")

    def update(self, outputs: Tensor, y: Tensor) -> None:
        """Add outputs (N, K), and classes (N,) or class probabilities (N, K)."""
        predicted, true = outputs.argmax(1), y if y.ndim == 1 else y.argmax(1)
        right = (predicted == true).long()
        for row, classes, ones in zip(
            self.counts,
            (true, true, predicted),
            (right, torch.ones_like(right), torch.ones_like(right)),
            strict=True,
        ):
            row.index_add_(0, classes, ones)

    def compute(self) -> Tensor:
        right, true, predicted = self.counts.float()
        if self.score == "recall":
            scores, present = right / true.clamp(min=1), true > 0
        else:
            scores, present = 2 * right / (true + predicted).clamp(min=1), true + predicted > 0
        return (scores * present).sum() / present.sum()
