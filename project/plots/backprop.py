"""The norms of gradients by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from project.plots.figure import new_figure
from project.plots.text import caption

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def gradient_norms(
    norms: Tensor, names: Sequence[str], steps: Sequence[int], every: Tensor, total: int
) -> Figure:
    """Bars of the last norms by layer, and a line for each layer over the steps.

    Args:
        norms: Norms (T, D) of D layers at T steps.
        names: Names of the layers, from the input on.
        steps: The steps (T).
        every: All norms that there will be, for the range of the axes.
        total: The last step that there will be.
    """
    from matplotlib import colormaps

    figure, [bars, lines] = new_figure(8.4, 4, 1, 2)
    positive = every[every > 0]
    limits = (0.5 * float(positive.min()), 2 * float(positive.max())) if len(positive) else (0.1, 1)
    colours = colormaps["viridis"](numbers(len(names)))
    places, last = range(len(names)), norms[-1].clamp(min=limits[0]).tolist()
    bars.bar(places, last, color=colours)
    bars.set_xticks(places, [caption(name, 14) for name in names], rotation=60, fontsize=8)
    bars.set(yscale="log", ylim=limits, ylabel="norm of the gradient")
    bars.set_title(f"step {steps[-1]}, from the input to the output", fontsize=9)
    for k, colour in enumerate(colours):
        lines.plot(steps, norms[:, k].clamp(min=limits[0]).tolist(), color=colour, linewidth=1.2)
    lines.set(yscale="log", ylim=limits, xlim=(0, max(total, 1)), xlabel="step")
    lines.set_title("dark near the input, bright near the output", fontsize=9)
    for axes in (bars, lines):
        axes.grid(axis="y", alpha=0.3)
    return figure


def numbers(count: int) -> list[float]:
    """``count`` numbers from 0 to 0.9, equally far apart."""
    return [0.9 * k / max(count - 1, 1) for k in range(count)]
