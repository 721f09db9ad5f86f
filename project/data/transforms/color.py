"""Changes of colour of whole batches, each image by an amount of its own.

Images are (N, C, H, W), float in [0, 255]. C is 3, or 1: then saturation and hue do nothing.
"""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from project.data.transforms.augment import Augmentation
from project.errors import UserError


def blend(x: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    """Interpolate from ``other`` to ``x`` by ``factor`` (N,); above 1 it extrapolates."""
    return torch.lerp(other.expand_as(x), x, factor.view(-1, 1, 1, 1)).clamp_(0, 255)


def gray(x: Tensor) -> Tensor:
    """Luma (N, 1, H, W) of Rec. 601."""
    if x.shape[1] == 1:
        return x
    return torch.einsum("nchw,c->nhw", x, x.new_tensor([0.2989, 0.587, 0.114]))[:, None]


def brightness(x: Tensor, factor: Tensor) -> Tensor:
    """Scale towards black."""
    return blend(x, x.new_zeros(1), factor)


def contrast(x: Tensor, factor: Tensor) -> Tensor:
    """Blend with each image's mean luma."""
    return blend(x, gray(x).mean((1, 2, 3), keepdim=True), factor)


def saturation(x: Tensor, factor: Tensor) -> Tensor:
    """Blend with luma."""
    return blend(x, gray(x), factor)


def sharpness(x: Tensor, factor: Tensor) -> Tensor:
    """Blend with a 3x3 blur; pixels at the edge stay."""
    if min(x.shape[2:]) < 3:
        return x
    kernel = x.new_tensor([[1, 1, 1], [1, 5, 1], [1, 1, 1]]).div_(13).expand(x.shape[1], 1, 3, 3)
    blurred = x.clone()
    blurred[:, :, 1:-1, 1:-1] = F.conv2d(x, kernel, groups=x.shape[1])
    return blend(x, blurred, factor)


def hue(x: Tensor, turn: Tensor) -> Tensor:
    """Turn the hue of HSV by ``turn`` (N,), a fraction of the circle."""
    if x.shape[1] == 1:
        return x
    value, low = x.amax(1), x.amin(1)
    chroma = value - low
    red, green, blue = ((value[:, None] - x) / chroma.clamp(min=1e-6)[:, None]).unbind(1)
    angle = torch.where(
        x[:, 0] == value,
        blue - green,
        torch.where(x[:, 1] == value, 2 + red - blue, 4 + green - red),
    )
    # Each channel falls from the value to the lowest over a third of the circle (Smith, 1978).
    offset = x.new_tensor([5, 3, 1]).view(1, 3, 1, 1)
    k = (offset + (angle + 6 * turn.view(-1, 1, 1))[:, None]) % 6
    return value[:, None] - chroma[:, None] * torch.minimum(k, 4 - k).clamp(0, 1)


def posterize(x: Tensor, bits: Tensor) -> Tensor:
    """Keep the highest ``bits`` (N,) of the eight."""
    step = torch.pow(2.0, 8 - bits).view(-1, 1, 1, 1).to(x)
    return (x / step).floor() * step


def solarize(x: Tensor, threshold: Tensor) -> Tensor:
    """Invert pixels at or above ``threshold`` (N,)."""
    return torch.where(x >= threshold.view(-1, 1, 1, 1), 255 - x, x)


def autocontrast(x: Tensor) -> Tensor:
    """Stretch each channel to the whole range."""
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    return torch.where(high > low, (x - low) * (255 / (high - low).clamp(min=1e-6)), x).clamp_(
        0, 255
    )


def equalize(x: Tensor) -> Tensor:
    """Make each channel's histogram of 256 bins flat."""
    levels = x.round().clamp(0, 255).long().flatten(2)
    counts = torch.zeros(*levels.shape[:2], 256, dtype=torch.long, device=x.device)
    counts.scatter_add_(2, levels, torch.ones_like(levels))
    last = counts.gather(2, levels.amax(2, keepdim=True))
    step = (counts.sum(2, keepdim=True) - last) // 255
    table = ((counts.cumsum(2) - counts + step // 2) // step.clamp(min=1)).clamp_(0, 255)
    flat = table.gather(2, levels).view_as(x).to(x)
    return torch.where((step == 0)[..., None], x, flat)


class ColorJitter(Augmentation):
    """Change brightness, contrast, saturation and hue, in this order, by random amounts.

    Args:
        brightness: Largest change of the factor, which is drawn evenly around 1.
        contrast: Largest change of the factor.
        saturation: Largest change of the factor.
        hue: Largest turn as a fraction of the circle, up to 0.5.
    """

    def __init__(
        self,
        brightness: float = 0.4,
        contrast: float = 0.4,
        saturation: float = 0.4,
        hue: float = 0.0,
    ) -> None:
        if not 0 <= hue <= 0.5 or min(brightness, contrast, saturation) < 0:
            raise UserError(
                f"ColorJitter: hue {hue} must lie in [0, 0.5], and the others not be negative"
            )
        self.brightness, self.contrast = brightness, contrast
        self.saturation, self.hue = saturation, hue

    def __call__(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        draws = 2 * torch.rand(4, len(x), generator=generator, device=x.device) - 1
        changes = (
            (brightness, self.brightness),
            (contrast, self.contrast),
            (saturation, self.saturation),
        )
        for (change, amount), draw in zip(changes, draws[:3], strict=True):
            if amount:
                x = change(x, (1 + amount * draw).clamp(min=0))
        return (hue(x, self.hue * draws[3]) if self.hue else x), y
