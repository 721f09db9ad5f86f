"""Policies of many small transforms: RandAugment and TrivialAugment.

The 14 transforms and their strengths are torchvision's; pixels that come in at an edge are black.
"""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from project.data.transforms.augment import Augmentation, affine, rotate
from project.data.transforms.color import (
    autocontrast,
    brightness,
    contrast,
    equalize,
    posterize,
    saturation,
    sharpness,
    solarize,
)
from project.errors import UserError

BINS = 31  # strengths of each transform


def shear(x: Tensor, amount: Tensor, vertical: bool) -> Tensor:
    """Shear images along an axis about their top left corner, by the tangent ``amount`` (N,)."""
    one, zero, (height, width) = torch.ones_like(amount), torch.zeros_like(amount), x.shape[2:]
    if vertical:
        rows = [one, zero, zero, amount, one, amount * width / 2]
    else:
        rows = [one, amount, amount * height / 2, zero, one, zero]
    return affine(x, torch.stack(rows, 1).view(-1, 2, 3), mode="nearest")


def translate(x: Tensor, pixels: Tensor, vertical: bool) -> Tensor:
    """Move images down or right by whole ``pixels`` (N,)."""
    one, zero, back = torch.ones_like(pixels), torch.zeros_like(pixels), -pixels.trunc()
    rows = [one, zero, zero, zero, one, back] if vertical else [one, zero, back, zero, one, zero]
    return affine(x, torch.stack(rows, 1).view(-1, 2, 3), mode="nearest")


# Each takes images and strengths (N,), signed for those in SIGNED.
OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Identity": lambda x, s: x,
    "ShearX": lambda x, s: shear(x, s, vertical=False),
    "ShearY": lambda x, s: shear(x, s, vertical=True),
    "TranslateX": lambda x, s: translate(x, s, vertical=False),
    "TranslateY": lambda x, s: translate(x, s, vertical=True),
    "Rotate": lambda x, s: rotate(x, s * (math.pi / 180), mode="nearest"),
    "Brightness": lambda x, s: brightness(x, 1 + s),
    "Color": lambda x, s: saturation(x, 1 + s),
    "Contrast": lambda x, s: contrast(x, 1 + s),
    "Sharpness": lambda x, s: sharpness(x, 1 + s),
    "Posterize": posterize,
    "Solarize": solarize,
    "AutoContrast": lambda x, s: autocontrast(x),
    "Equalize": lambda x, s: equalize(x),
}
NAMES = list(OPERATIONS)
SIGNED = torch.tensor([name in NAMES[1:10] for name in NAMES])


class Policy(Augmentation):
    """Base of policies; a subclass gives the strengths. ImageNet's run in its workers, others on the device.

    Args:
        num_ops: Transforms of each image, one after another.
    """

    def __init__(self, num_ops: int) -> None:
        self.num_ops = num_ops

    def strengths(self, height: int, width: int) -> dict[str, Tensor]:
        """The strength (BINS,) of each transform that has one, in images of this size."""
        raise NotImplementedError

    def bins(self, n: int, generator: Generator) -> Tensor:
        """Which strength each of ``n`` images gets."""
        return torch.randint(BINS, (n,), generator=generator, device=generator.device)

    def __call__(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        given = self.strengths(*x.shape[2:])
        table = torch.stack([given.get(name, torch.zeros(BINS)) for name in NAMES]).to(x.device)
        for _ in range(self.num_ops):
            operation = torch.randint(len(NAMES), (len(x),), generator=generator, device=x.device)
            strength = table[operation, self.bins(len(x), generator)]
            negative = torch.rand(len(x), generator=generator, device=x.device) < 0.5
            x = transformed(
                x,
                operation,
                torch.where(negative & SIGNED.to(x.device)[operation], -strength, strength),
            )
        return x, y


def transformed(x: Tensor, operation: Tensor, strength: Tensor) -> Tensor:
    """Images (N, C, H, W) after the transforms with positions ``operation`` (N,) in NAMES, of ``strength`` (N,)."""
    result = x.clone()
    for k, name in enumerate(NAMES[1:], start=1):
        chosen = (operation == k).nonzero()[:, 0]
        if len(chosen):
            result[chosen] = OPERATIONS[name](x[chosen], strength[chosen])
    return result


class RandAugment(Policy):
    """``num_ops`` random transforms of one strength (Cubuk et al., 2020).

    Args:
        num_ops: Transforms of each image, one after another.
        magnitude: Their strength, 0 to 30.
    """

    def __init__(self, num_ops: int = 2, magnitude: int = 9) -> None:
        super().__init__(num_ops)
        if not 0 <= magnitude < BINS or num_ops < 1:
            raise UserError(
                f"RandAugment: magnitude {magnitude} must lie in 0 to 30, num_ops {num_ops} be positive"
            )
        self.magnitude = magnitude

    def strengths(self, height: int, width: int) -> dict[str, Tensor]:
        share = torch.linspace(0, 1, BINS)
        return {
            **dict.fromkeys(("ShearX", "ShearY"), 0.3 * share),
            "TranslateX": 150 / 331 * width * share,
            "TranslateY": 150 / 331 * height * share,
            "Rotate": 30 * share,
            **dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), 0.9 * share),
            "Posterize": 8 - (4 * share).round(),
            "Solarize": 255 * (1 - share),
        }

    def bins(self, n: int, generator: Generator) -> Tensor:
        return torch.full((n,), self.magnitude, device=generator.device)


class TrivialAugment(Policy):
    """One random transform of a random strength out of a wide range (Müller & Hutter, 2021)."""

    def __init__(self) -> None:
        super().__init__(num_ops=1)

    def strengths(self, height: int, width: int) -> dict[str, Tensor]:
        share = torch.linspace(0, 1, BINS)
        return {
            **dict.fromkeys(("ShearX", "ShearY"), 0.99 * share),
            **dict.fromkeys(("TranslateX", "TranslateY"), 32 * share),
            "Rotate": 135 * share,
            **dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), 0.99 * share),
            "Posterize": 8 - (6 * share).round(),
            "Solarize": 255 * (1 - share),
        }
