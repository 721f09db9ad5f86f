"""Newton and Schulz's iteration, which makes a matrix orthogonal by products alone."""

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of Jordan's polynomial, the steepest one at zero


def newton_schulz(matrix: Tensor, steps: int, dtype: torch.dtype | None = None) -> Tensor:
    """The nearest matrix with orthogonal rows or columns, up to singular values of 0.7 to 1.2.

    Args:
        matrix: A matrix (M, N) of any scale.
        steps: Number of iterations.
        dtype: What is computed in; None for bfloat16 on a GPU and for float32 elsewhere, because
            many CPUs only emulate bfloat16.
    """
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.to(dtype or (torch.bfloat16 if matrix.is_cuda else torch.float32))
    x = x.T if tall else x
    x = x / x.norm().clamp(min=1e-7)  # no singular value is above one
    if x.shape[1] >= 2 * x.shape[0] and x.dtype == torch.float32:
        x = product(x @ x.T, steps) @ x  # in half the time; bfloat16 is too coarse for G
    else:
        for _ in range(steps):
            gram = x @ x.T
            x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


def product(gram: Tensor, steps: int) -> Tensor:
    """The matrix (M, M) by which all iterations together multiply X.

    Each iteration multiplies X by P = a + b G + c G^2 from the left, where G = X X^T, and so G by P
    from both sides.

    Args:
        gram: G (M, M) before the first iteration.
        steps: Number of iterations.
    """
    a, b, c = COEFFICIENTS
    factors = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    for _ in range(steps):
        factor = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal().add_(a)
        factors, gram = factor @ factors, factor @ gram @ factor
    return factors
