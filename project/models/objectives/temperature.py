"""Temperature scaling: probabilities that are as high as a classifier is often right."""

import torch
import torch.nn.functional as F
from torch import Tensor

from project.errors import UserError

BINS = 15  # of confidences, as in the paper


def fit_temperature(outputs: Tensor, y: Tensor) -> float:
    """The T for which the softmax of ``outputs`` / T has the least cross-entropy.

    One number, fitted on held-out samples, corrects most of a network's overconfidence and leaves
    every predicted class as it is (Guo et al., 2017, section 4.2).

    Args:
        outputs: Outputs (N, K) for samples that were not trained on.
        y: Their classes (N,).

    Raises:
        UserError: The cross-entropy has no least value.
    """
    outputs, y = outputs.double(), y.clone()  # tensors of inference mode have no gradients
    advice = "give more validation samples, such as --data.val_size 0.2"
    if bool((outputs.argmax(1) == y).all()):
        raise UserError(f"all {len(y)} validation samples are right, so T would be 0: {advice}")
    # The cross-entropy is convex in 1/T, and its slope at 0 tells whether it falls from there on.
    inverse = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    scale = outputs.std().clamp(min=1e-12)  # so that a step of one is neither huge nor tiny
    optimizer = torch.optim.LBFGS(
        [inverse],
        max_iter=200,
        tolerance_grad=1e-10,
        tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )

    def closure() -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(outputs * (inverse / scale), y)
        loss.backward()
        return float(loss.detach())

    optimizer.step(closure)
    if float(inverse.detach()) <= 0:
        raise UserError(f"the network is no better than guessing, so T would be infinite: {advice}")
    return float(scale / inverse.detach())


def calibration_error(confidence: Tensor, correct: Tensor) -> float:
    """Expected calibration error: how far confidence and accuracy lie apart, as a mean over bins.

    Args:
        confidence: Probability of the predicted class of each sample (N,).
        correct: Whether that class is right (N,).
    """
    from torchmetrics.functional.classification import binary_calibration_error

    return float(binary_calibration_error(confidence, correct.long(), n_bins=BINS, norm="l1"))
