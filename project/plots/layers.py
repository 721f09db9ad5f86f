"""Figures of a network's layers: filters and feature maps."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from project.errors import printable
from project.plots.figure import new_figure
from project.plots.text import caption

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def filters(weights: Tensor, title: str, most: int = 64) -> Figure:
    """The first ``most`` filters (N, C, h, w), in colour if C is 3, else as their mean over C."""
    weights = weights[:most]
    colour = weights.shape[1] == 3
    shown = weights if colour else weights.mean(1, keepdim=True)
    shown = shown / shown.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-12)
    columns = min(len(shown), 16)
    rows = -(-len(shown) // columns)
    figure, [axes] = new_figure(0.75 * columns + 0.5, 0.75 * rows + 0.6)
    axes.set_axis_off()
    shown, empty = (shown / 2 + 0.5, 1.0) if colour else (shown, math.nan)
    picture = tiled(shown, rows, columns, empty).permute(1, 2, 0).squeeze(2).numpy()
    axes.imshow(picture, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    set_title(figure, title + ("" if colour else " (red above zero, blue below)"))
    return figure


def tiled(images: Tensor, rows: int, columns: int, empty: float) -> Tensor:
    """One image (C, H, W) of images (N, C, h, w) in rows, with gaps of the value ``empty``.

    Axes for each of them would take a second to draw.
    """
    gap = 2
    scale = max(1, 32 // max(images.shape[2:]))
    images = images.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    missing = images.new_full((rows * columns - len(images), *images.shape[1:]), empty)
    images = torch.nn.functional.pad(torch.cat([images, missing]), [gap] * 4, value=empty)
    return images.unflatten(0, (rows, columns)).permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)


def feature_maps(image: Tensor, maps: dict[str, Tensor], title: str, most: int = 8) -> Figure:
    """An image, and a row for each layer with the channels that vary most over the image.

    Args:
        image: Image (C, H, W) in [0, 1].
        maps: Feature maps (C', H', W'), of any sizes, by the layer's name.
        title: Title of the figure.
        most: Number of channels in a row.
    """
    figure, axes = new_figure(1.25 * (most + 1), 1.35 * len(maps) + 0.5, len(maps), most + 1)
    for a in axes:
        a.set_axis_off()
    pixels = image.permute(1, 2, 0).squeeze(2).numpy()
    axes[0].imshow(pixels, cmap="gray", vmin=0, vmax=1)
    for row, (name, channels) in enumerate(maps.items()):
        others = axes[row * (most + 1) + 1 : (row + 1) * (most + 1)]
        text = f"{caption(name)}\n{'x'.join(map(str, channels.shape))}"
        place: dict[str, Any] = {"transform": others[0].transAxes, "ha": "right", "va": "center"}
        others[0].text(-0.06, 0.5, text, rotation=90, fontsize=8, multialignment="center", **place)
        liveliest = channels.flatten(1).std(1).topk(min(most, len(channels))).indices.sort().values
        for a, channel in zip(others, liveliest.tolist(), strict=False):
            a.imshow(channels[channel].numpy(), cmap="viridis")
            a.set_title(f"{channel}", fontsize=7, pad=2)
    set_title(figure, f"{title} (of each layer the {most} channels that vary most)")
    return figure


def set_title(figure: Figure, title: str) -> None:
    """Give a figure a title, in as many lines as its width makes necessary."""
    most = max(int(figure.get_figwidth() * 11), 20)  # characters of size 10
    figure.suptitle(textwrap.fill(printable(title), most), fontsize=10)
