"""Criteria and penalties: pure functions of logits and targets, or of weights."""

from collections.abc import Callable, Iterable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from project.optim import decayed

Criterion = Literal["cross_entropy", "mse"]


def cross_entropy(logits: Tensor, y: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy of the softmax of ``logits`` (N, K) against ``y``: classes (N,) or probabilities (N, K)."""
    return F.cross_entropy(logits, y, label_smoothing=label_smoothing)


def mse(logits: Tensor, y: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean squared error of the softmax of ``logits`` (N, K) against ``y``: classes (N,) or probabilities (N, K)."""
    num_classes = logits.shape[1]
    targets = F.one_hot(y, num_classes) if y.ndim == 1 else y
    return F.mse_loss(
        logits.softmax(1), targets * (1 - label_smoothing) + label_smoothing / num_classes
    )


CRITERIA: dict[str, Callable[..., Tensor]] = {"cross_entropy": cross_entropy, "mse": mse}


def l1_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Sum of the absolute values of all weights but biases and norms: the lasso penalty (Tibshirani, 1996)."""
    return torch.stack([p.abs().sum() for p in parameters if decayed(p)]).sum()
