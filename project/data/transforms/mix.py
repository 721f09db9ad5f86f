"""Mixing the images of a batch, and their targets with them."""

from functools import cache

import torch
from torch import Generator, Tensor

from project.errors import UserError


def mixup(x: Tensor, y: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """Blend each image and target with the one before it in the batch.

    Args:
        x: Images (N, C, H, W).
        y: Class probabilities (N, K).
        share: What stays of each image (N,), in [0, 1].
    """
    return torch.lerp(x.roll(1, 0), x, share.view(-1, 1, 1, 1)), torch.lerp(
        y.roll(1, 0), y, share[:, None]
    )


def cutmix(
    x: Tensor, y: Tensor, top: Tensor, left: Tensor, bottom: Tensor, right: Tensor
) -> tuple[Tensor, Tensor]:
    """Replace a box of each image by that of the image before it; targets mix by area.

    Args:
        x: Images (N, C, H, W).
        y: Class probabilities (N, K).
        top: First row of the boxes (N,).
        left: First column.
        bottom: Row after the last.
        right: Column after the last.
    """
    height, width = x.shape[2:]
    rows, columns = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
    down = (rows >= top[:, None]) & (rows < bottom[:, None])
    across = (columns >= left[:, None]) & (columns < right[:, None])
    box = (down[:, :, None] & across[:, None, :])[:, None]
    share = 1 - box.float().mean((1, 2, 3))
    return torch.where(box, x.roll(1, 0), x), torch.lerp(y.roll(1, 0), y, share[:, None].to(y))


@cache
def beta_quantiles(alpha: float) -> Tensor:
    """Values (4097,) of Beta(alpha, alpha) at evenly spaced probabilities from 0 to 1."""
    from scipy.stats import beta

    return torch.from_numpy(
        beta.ppf(torch.linspace(0, 1, 4097, dtype=torch.float64).numpy(), alpha, alpha)
    ).float()


class Mix:
    """Base of what mixes the samples of a batch; one can be given as ``--data.mix``.

    Args:
        alpha: Of the distribution Beta(alpha, alpha) of the share that stays of an image.
    """

    def __init__(self, alpha: float) -> None:
        if alpha <= 0:
            raise UserError(f"{type(self).__name__}: alpha {alpha} must be positive")
        self.alpha = alpha

    def shares(self, n: int, generator: Generator) -> Tensor:
        """Shares (n,) drawn from Beta(alpha, alpha)."""
        place = torch.rand(n, generator=generator, device=generator.device) * 4096
        low = place.long().clamp_(max=4095)
        table = beta_quantiles(self.alpha).to(generator.device, non_blocking=True)
        return torch.lerp(table[low], table[low + 1], place - low)

    def __call__(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Mixed images (N, C, H, W), float, and class probabilities (N, K), each sample by a share of its own."""
        raise NotImplementedError


class Mixup(Mix):
    """Blend pairs of images and their targets (Zhang et al., 2018).

    Args:
        alpha: Of the distribution Beta(alpha, alpha) of the share that stays of an image.
    """

    def __init__(self, alpha: float = 0.2) -> None:
        super().__init__(alpha)

    def __call__(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        return mixup(x, y, self.shares(len(x), generator))


class CutMix(Mix):
    """Put a box of one image into another, and mix the targets by area (Yun et al., 2019).

    Args:
        alpha: Of the distribution Beta(alpha, alpha) of the share that stays of an image, before
            the box, whose centre may be any pixel, is cut off at the edges.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__(alpha)

    def __call__(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        side = (1 - self.shares(len(x), generator)).sqrt()
        edges = []
        for size in x.shape[2:]:
            centre = torch.randint(size, (len(x),), generator=generator, device=x.device)
            half = (side * size).long() // 2
            edges.append(((centre - half).clamp(min=0), (centre + half).clamp(max=size)))
        (top, bottom), (left, right) = edges
        return cutmix(x, y, top, left, bottom, right)
