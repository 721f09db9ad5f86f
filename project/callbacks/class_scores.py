"""Precision, recall and F1 of each class or label, by scikit-learn."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from project.models.objectives import Classification, MultiLabel


def decided(objective: Any, true: Tensor, predictions: Tensor) -> tuple[Tensor, Tensor] | None:
    """True and predicted classes (N,) or labels (N, K); None if the targets are other values.

    Args:
        objective: The objective of the network.
        true: Targets (N, K), multi-hot or class probabilities.
        predictions: Probabilities (N, K).
    """
    if isinstance(objective, Classification):
        return true.argmax(1), predictions.argmax(1)
    if isinstance(objective, MultiLabel):
        return true.long(), (predictions > 0.5).long()
    return None


def class_scores(true: Tensor, predicted: Tensor, count: int) -> np.ndarray:
    """Precision, recall, F1 and support (4, K) of K classes or labels.

    A precision is NaN where nothing was predicted so, a recall where nothing is so.

    Args:
        true: Classes (N,) or labels (N, K).
        predicted: The same as predicted.
        count: The number K.
    """
    from sklearn.metrics import precision_recall_fscore_support

    labels = range(count) if true.ndim == 1 else None
    if true.shape[1:] == (1,):  # scikit-learn takes a single label for two classes
        labels = range(1, 2)
    scores = precision_recall_fscore_support(
        true.numpy(), predicted.numpy(), labels=labels, zero_division=np.nan
    )
    return np.array(scores)


def score_rows(scores: np.ndarray, names: Sequence[str]) -> list[list[Any]]:
    """Header and rows of the table of `class_scores`."""
    rows = [
        [name, *(f"{value:.6f}" for value in values), int(support)]
        for name, (*values, support) in zip(names, scores.T.tolist(), strict=True)
    ]
    return [["class", "precision", "recall", "f1", "support"], *rows]
