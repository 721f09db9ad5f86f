"""Losses of a classification that PyTorch lacks."""

import torch
import torch.nn.functional as F
from torch import Tensor


def smoothed_targets(outputs: Tensor, y: Tensor, label_smoothing: float) -> tuple[Tensor, Tensor]:
    """Targets as probabilities (N, K), as given and with a fraction spread over all classes."""
    num_classes = outputs.shape[1]
    one_hot = (F.one_hot(y, num_classes) if y.ndim == 1 else y).to(outputs)
    return one_hot, one_hot * (1 - label_smoothing) + label_smoothing / num_classes


def weighted_mean(losses: Tensor, one_hot: Tensor, weights: Tensor | None) -> Tensor:
    """The mean of losses (N,), each with the weight of its class, over the sum of these weights."""
    if weights is None:
        return losses.mean()
    factors = one_hot @ weights
    return (factors * losses).sum() / factors.sum()


def mse(
    outputs: Tensor, y: Tensor, label_smoothing: float = 0.0, weights: Tensor | None = None
) -> Tensor:
    """Mean squared error of the softmax of ``outputs`` (N, K) against classes or probabilities."""
    one_hot, targets = smoothed_targets(outputs, y, label_smoothing)
    return weighted_mean((outputs.softmax(1) - targets).square().mean(1), one_hot, weights)


def focal(
    outputs: Tensor,
    y: Tensor,
    gamma: float,
    label_smoothing: float = 0.0,
    weights: Tensor | None = None,
) -> Tensor:
    """Cross-entropy whose term of each class has the factor (1 - p)^gamma (Lin et al., 2017).

    Args:
        outputs: Outputs (N, K), whose softmax is the probability p.
        y: Classes (N,) or class probabilities (N, K).
        gamma: Exponent; 0 gives the cross-entropy.
        label_smoothing: Fraction of each target that is spread over all classes.
        weights: Factor of each class (K,), which is alpha in the paper.
    """
    one_hot, targets = smoothed_targets(outputs, y, label_smoothing)
    log_p = outputs.float().log_softmax(1)
    # For gamma below 1 the power has no finite slope at zero.
    factor = torch.expm1(log_p).neg().clamp(min=1e-12).pow(gamma)
    return weighted_mean(-(targets * factor * log_p).sum(1), one_hot, weights)
