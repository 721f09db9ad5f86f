"""RandAugment and TrivialAugment: policies of 14 transforms, with torchvision's strengths.

torchvision's own draw one transform for a whole batch, out of the global generator. These draw one
for each image out of a given generator, so that they also run on the device. In a worker, on single
images of 224 pixels, torchvision's take about 0.6 of the time.
"""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from project.data.transforms import color
from project.data.transforms.augment import Augmentation, affine, rotate
from project.errors import UserError

BINS = 31  # strengths of each transform


def shear(x: Tensor, amount: Tensor, vertical: bool) -> Tensor:
    """Shear images along an axis about their top left corner; ``amount`` (N,) is the tangent."""
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


# Functions of images and strengths (N,). The strengths of those in SIGNED have a random sign.
OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Identity": lambda x, s: x,
    "ShearX": lambda x, s: shear(x, s, vertical=False),
    "ShearY": lambda x, s: shear(x, s, vertical=True),
    "TranslateX": lambda x, s: translate(x, s, vertical=False),
    "TranslateY": lambda x, s: translate(x, s, vertical=True),
    "Rotate": lambda x, s: rotate(x, s * (math.pi / 180), mode="nearest"),
    "Brightness": lambda x, s: color.brightness(x, 1 + s),
    "Color": lambda x, s: color.saturation(x, 1 + s),
    "Contrast": lambda x, s: color.contrast(x, 1 + s),
    "Sharpness": lambda x, s: color.sharpness(x, 1 + s),
    "Posterize": color.posterize,
    "Solarize": color.solarize,
    "AutoContrast": lambda x, s: color.autocontrast(x),
    "Equalize": lambda x, s: color.equalize(x),
}
NAMES = list(OPERATIONS)
SIGNED = torch.tensor([name in NAMES[1:10] for name in NAMES])


class Policy(Augmentation):
    """Base of policies; a subclass gives the strengths.

    Args:
        num_ops: Number of transforms of each image, one after another.
    """

    def __init__(self, num_ops: int) -> None:
        self.num_ops = num_ops

    def strengths(self, height: int, width: int) -> dict[str, Tensor]:
        """The strength (BINS,) of each transform that has one, in images of this size."""
        raise NotImplementedError

    def bins(self, n: int, generator: Generator) -> Tensor:
        """Positions (n,) of the strengths that ``n`` images get."""
        return torch.randint(BINS, (n,), generator=generator, device=generator.device)

    def __call__(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        given = self.strengths(*x.shape[2:])
        table = torch.stack([given.get(name, torch.zeros(BINS)) for name in NAMES]).to(x.device)
        for _ in range(self.num_ops):
            operation = torch.randint(len(NAMES), (len(x),), generator=generator, device=x.device)
            strength = table[operation, self.bins(len(x), generator)]
            negative = torch.rand(len(x), generator=generator, device=x.device) < 0.5
            negative &= SIGNED.to(x.device)[operation]
            x = transformed(x, operation, torch.where(negative, -strength, strength))
        return x, y


def transformed(x: Tensor, operation: Tensor, strength: Tensor) -> Tensor:
    """Images (N, C, H, W) after transforms, given by positions in NAMES and strengths (N,)."""
    result = x.clone()
    for k, name in enumerate(NAMES[1:], start=1):
        chosen = (operation == k).nonzero()[:, 0]
        if len(chosen):
            result[chosen] = OPERATIONS[name](x[chosen], strength[chosen])
    return result


class RandAugment(Policy):
    """``num_ops`` random transforms of one strength (Cubuk et al., 2020).

    Args:
        num_ops: Number of transforms of each image, one after another.
        magnitude: Strength of all transforms, 0 to 30.
    """

    def __init__(self, num_ops: int = 2, magnitude: int = 9) -> None:
        super().__init__(num_ops)
        if not 0 <= magnitude < BINS or num_ops < 1:
            raise UserError(
                f"RandAugment: magnitude {magnitude} must lie in 0 to 30, num_ops {num_ops} be "
                "positive"
            )
        self.magnitude = magnitude

    def strengths(self, height: int, width: int) -> dict[str, Tensor]:
        fraction = torch.linspace(0, 1, BINS)
        return {
            **dict.fromkeys(("ShearX", "ShearY"), 0.3 * fraction),
            "TranslateX": 150 / 331 * width * fraction,
            "TranslateY": 150 / 331 * height * fraction,
            "Rotate": 30 * fraction,
            **dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), 0.9 * fraction),
            "Posterize": 8 - (4 * fraction).round(),
            "Solarize": 255 * (1 - fraction),
        }

    def bins(self, n: int, generator: Generator) -> Tensor:
        return torch.full((n,), self.magnitude, device=generator.device)


class TrivialAugment(Policy):
    """One random transform of a random strength out of a wide range (Müller & Hutter, 2021)."""

    def __init__(self) -> None:
        super().__init__(num_ops=1)

    def strengths(self, height: int, width: int) -> dict[str, Tensor]:
        fraction = torch.linspace(0, 1, BINS)
        return {
            **dict.fromkeys(("ShearX", "ShearY"), 0.99 * fraction),
            **dict.fromkeys(("TranslateX", "TranslateY"), 32 * fraction),
            "Rotate": 135 * fraction,
            **dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), 0.99 * fraction),
            "Posterize": 8 - (6 * fraction).round(),
            "Solarize": 255 * (1 - fraction),
        }
