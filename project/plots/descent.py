"""The loss over two weights, and the paths of optimisers down to its valley."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from project.plots.figure import ORANGE, new_figure
from project.plots.text import caption

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def descent(
    first: Tensor, second: Tensor, losses: Tensor, path: Tensor, names: tuple[str, str], title: str
) -> Figure:
    """Contours of the loss, the surface above them, and the path so far in both.

    Args:
        first: Values (W,) along the first axis.
        second: Values (H,) along the second axis.
        losses: The loss (H, W) at each pair of values.
        path: Both values and the loss (T, 3) at each moment so far.
        names: Names of the axes.
        title: Title of the figure.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.2, 4.2), dpi=130)
    FigureCanvasAgg(figure)
    flat = figure.add_axes((0.08, 0.13, 0.4, 0.74))
    raised: Any = figure.add_axes((0.5, 0.06, 0.48, 0.86), projection="3d")
    draw_contours(flat, first, second, losses, names)
    draw_path(flat, path, ORANGE, "")
    x, y = torch.meshgrid(first, second, indexing="xy")
    raised.plot_surface(
        x.numpy(),
        y.numpy(),
        losses.numpy(),
        cmap="viridis",
        alpha=0.6,
        linewidth=0,
        rcount=30,
        ccount=30,
    )
    lifted = path[:, 2] + 0.01 * float(losses.max() - losses.min())
    raised.plot(*path[:, :2].T.tolist(), lifted.tolist(), color=ORANGE, linewidth=1.6, zorder=10)
    raised.scatter(*path[-1, :2].tolist(), float(lifted[-1]), color=ORANGE, s=24, zorder=11)
    raised.set_xlabel(caption(names[0]), fontsize=8)
    raised.set_ylabel(caption(names[1]), fontsize=8)
    raised.tick_params(labelsize=7)
    raised.view_init(elev=38, azim=-62)
    figure.suptitle(title, fontsize=10)
    return figure


def descents(
    first: Tensor,
    second: Tensor,
    losses: Tensor,
    paths: dict[str, Tensor],
    names: tuple[str, str],
    title: str,
) -> Figure:
    """Contours of the loss, and the path (T, 3) of each of several trainings, by its name."""
    from matplotlib import colormaps

    figure, [axes] = new_figure(7.4, 5.4)
    draw_contours(axes, first, second, losses, names)
    for k, (name, path) in enumerate(paths.items()):
        draw_path(
            axes, path, colormaps["tab10"](k % 10), f"{caption(name, 40)}: {float(path[-1, 2]):.4g}"
        )
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    axes.set_title(title, fontsize=10)
    return figure


def draw_contours(
    axes: Axes, first: Tensor, second: Tensor, losses: Tensor, names: tuple[str, str]
) -> None:
    """Draw lines of equal loss, the closer together the nearer to the least one."""
    low, high = float(losses.min()), float(losses.max())
    levels = low + (high - low) * torch.linspace(0, 1, 16).square()
    axes.contourf(
        first.numpy(), second.numpy(), losses.numpy(), levels.tolist(), cmap="viridis", alpha=0.6
    )
    axes.contour(
        first.numpy(),
        second.numpy(),
        losses.numpy(),
        levels.tolist(),
        colors="white",
        linewidths=0.4,
    )
    axes.set(xlabel=caption(names[0]), ylabel=caption(names[1]))


def draw_path(axes: Axes, path: Tensor, colour: Any, label: str) -> None:
    """Draw a path (T, 3) with a point for each moment, and a larger one where it is now."""
    x, y = path[:, 0].tolist(), path[:, 1].tolist()
    axes.plot(x, y, "-o", color=colour, linewidth=1.2, markersize=2.5, label=label or None)
    axes.plot(x[-1:], y[-1:], "o", color=colour, markersize=7, markeredgecolor="white")
