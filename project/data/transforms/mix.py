"""Mixing the samples of a batch, and their targets with them."""

from functools import cache

import torch
from torch import Generator, Tensor

from project.errors import UserError


def blend(x: Tensor, lam: Tensor) -> Tensor:
    """Each of the samples (N, ...), of weight ``lam`` (N,), blended with the one before it."""
    return torch.lerp(x.roll(1, 0), x, lam.view(-1, *[1] * (x.ndim - 1)).to(x))


def mixup(x: Tensor, y: Tensor, lam: Tensor) -> tuple[Tensor, Tensor]:
    """Blend each sample and target with the one before it in the batch.

    Args:
        x: Samples (N, ...), float.
        y: Targets (N,) or (N, K), float; class probabilities for classes.
        lam: Weight of each sample (N,), in [0, 1].
    """
    return blend(x, lam), blend(y, lam)


def cutmix(
    x: Tensor, y: Tensor, top: Tensor, left: Tensor, bottom: Tensor, right: Tensor
) -> tuple[Tensor, Tensor]:
    """Replace a box of each image by that of the image before it; targets mix by area.

    Args:
        x: Images (N, C, H, W).
        y: Targets (N,) or (N, K), float; class probabilities for classes.
        top: First row of each box (N,).
        left: First column of each box (N,).
        bottom: Row after the last of each box (N,).
        right: Column after the last of each box (N,).
    """
    rows, columns = (torch.arange(size, device=x.device) for size in x.shape[2:])
    down = (rows >= top[:, None]) & (rows < bottom[:, None])
    across = (columns >= left[:, None]) & (columns < right[:, None])
    box = (down[:, :, None] & across[:, None, :])[:, None]
    return torch.where(box, x.roll(1, 0), x), blend(y, 1 - box.float().mean((1, 2, 3)))


@cache
def beta_quantiles(alpha: float) -> Tensor:
    """Values (4097,) of Beta(alpha, alpha) at evenly spaced probabilities from 0 to 1."""
    from scipy.stats import beta

    probabilities = torch.linspace(0, 1, 4097, dtype=torch.float64).numpy()
    return torch.from_numpy(beta.ppf(probabilities, alpha, alpha)).float()


class Mix:
    """Base of transforms that mix the samples of a batch; one can be given as ``--data.mix``.

    Args:
        alpha: Parameter of the distribution Beta(alpha, alpha) of each sample's weight.
    """

    def __init__(self, alpha: float) -> None:
        if alpha <= 0:
            raise UserError(f"{type(self).__name__}: alpha {alpha} must be positive")
        self.alpha = alpha

    def weights(self, n: int, generator: Generator) -> Tensor:
        """Weights (n,) drawn from Beta(alpha, alpha)."""
        position = torch.rand(n, generator=generator, device=generator.device) * 4096
        low = position.long().clamp_(max=4095)
        table = beta_quantiles(self.alpha).to(generator.device, non_blocking=True)
        return torch.lerp(table[low], table[low + 1], position - low)

    def __call__(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Mixed samples (N, ...) and targets (N,) or (N, K), float, with a weight for each."""
        raise NotImplementedError


class Mixup(Mix):
    """Blend pairs of samples and their targets (Zhang et al., 2018).

    Args:
        alpha: Parameter of the distribution Beta(alpha, alpha) of each sample's weight.
    """

    def __init__(self, alpha: float = 0.2) -> None:
        super().__init__(alpha)

    def __call__(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        return mixup(x, y, self.weights(len(x), generator))


class CutMix(Mix):
    """Put a box of one image into another, and mix the targets by area (Yun et al., 2019).

    The centre of a box may be any pixel; the box is cut off at the edges.

    Args:
        alpha: Parameter of the distribution Beta(alpha, alpha) of the fraction of each image that
            stays.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__(alpha)

    def __call__(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        side = (1 - self.weights(len(x), generator)).sqrt()
        edges = []
        for size in x.shape[2:]:
            centre = torch.randint(size, (len(x),), generator=generator, device=x.device)
            half = (side * size).long() // 2
            edges.append(((centre - half).clamp(min=0), (centre + half).clamp(max=size)))
        (top, bottom), (left, right) = edges
        return cutmix(x, y, top, left, bottom, right)


class MixupCutMix(Mix):
    """Mixup for some samples of a batch and CutMix for the others, as DeiT and timm have them.

    The published recipes draw one of the two for each batch (Touvron et al., 2021, table 9); here
    each sample is drawn by itself, like its weight.

    Args:
        mixup_alpha: Parameter of `Mixup`.
        cutmix_alpha: Parameter of `CutMix`.
        switch_prob: Probability of CutMix.
    """

    def __init__(
        self, mixup_alpha: float = 0.8, cutmix_alpha: float = 1.0, switch_prob: float = 0.5
    ) -> None:
        super().__init__(mixup_alpha)
        if not 0 <= switch_prob <= 1:
            raise UserError(f"MixupCutMix: switch_prob {switch_prob} must be a probability")
        self.mixup, self.cutmix = Mixup(mixup_alpha), CutMix(cutmix_alpha)
        self.switch_prob = switch_prob

    def __call__(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        draws = torch.rand(len(x), generator=generator, device=generator.device)
        cut = draws < self.switch_prob
        pairs = zip(self.cutmix(x, y, generator), self.mixup(x, y, generator), strict=True)
        x, y = (
            torch.where(cut.view(-1, *[1] * (boxed.ndim - 1)), boxed, blended)
            for boxed, blended in pairs
        )
        return x, y
