"""What tells a transformer where in the image a token is."""

import torch
from torch import Tensor, nn

from project.errors import UserError


def sin_cos_positions(height: int, width: int, channels: int) -> Tensor:
    """Sines and cosines (1, height * width, channels) of rows and columns at many frequencies.

    They are those of Beyer et al. (2022), whose frequencies include both 1 and 1/10,000.
    """
    frequencies = 10_000 ** -torch.linspace(0, 1, channels // 4)
    rows = (torch.arange(height)[:, None, None] * frequencies).expand(height, width, -1)
    columns = (torch.arange(width)[:, None] * frequencies).expand(height, width, -1)
    waves = torch.cat([columns.sin(), columns.cos(), rows.sin(), rows.cos()], dim=2)
    return waves.flatten(0, 1)[None]


def interpolate_positions(old: Tensor, height: int, width: int) -> Tensor:
    """Learned positions (1, 1 + height * width, D) from those (1, 1 + side², D) of a square.

    As in Dosovitskiy et al. (2021, section 3.2) they are interpolated over the image; bicubically
    and with corners aligned, as in torchvision. The class token keeps its position.

    Args:
        old: A class token's position, and those of the patches by rows.
        height: Number of rows of patches.
        width: Number of columns of patches.

    Raises:
        UserError: The patches in ``old`` make no square.
    """
    side = round((old.shape[1] - 1) ** 0.5)
    if side**2 != old.shape[1] - 1:
        raise UserError(
            f"the weights have positions of {old.shape[1] - 1} patches, which make no square, so "
            f"they cannot be interpolated to {height}x{width}: give weights of square images"
        )
    grid = old[:, 1:].transpose(1, 2).unflatten(2, (side, side))
    grid = nn.functional.interpolate(grid, (height, width), mode="bicubic", align_corners=True)
    return torch.cat([old[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)
