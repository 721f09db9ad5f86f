"""What a network says of every point of the plane, or of a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from project.plots.figure import BLUE, GREY, ORANGE, new_figure
from project.plots.text import caption

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def class_colours(count: int) -> Tensor:
    """A colour (count, 3) in [0, 1] for each class."""
    from matplotlib import colormaps

    table = colormaps["tab10"]
    return torch.tensor([table(k % 10)[:3] for k in range(count)], dtype=torch.float32)


def boundary(
    probabilities: Tensor,
    x: Tensor,
    y: Tensor,
    limits: tuple[float, float, float, float],
    names: Sequence[str],
    title: str,
) -> Figure:
    """The plane in the colours of the predicted classes, the paler the less sure, and samples.

    Args:
        probabilities: Class probabilities (H, W, K) at a grid of points, from the lower left on.
        x: Samples (N, 2).
        y: Their classes (N,).
        limits: Least and greatest value of the first feature, then of the second.
        names: Names of both features and of the K classes.
        title: Title of the figure.
    """
    figure, [axes] = new_figure(5.6, 5)
    colours = class_colours(probabilities.shape[2])
    picture = 0.35 + 0.65 * (probabilities.float() @ colours)
    axes.imshow(
        picture.clamp(0, 1).numpy(), origin="lower", extent=limits, aspect="auto", alpha=0.85
    )
    for k, colour in enumerate(colours.tolist()):
        points = x[y == k].tolist()
        if points:
            a, b = zip(*points, strict=True)
            label = caption(names[2 + k])
            axes.scatter(
                a, b, s=14, color=[colour], edgecolors="white", linewidths=0.4, label=label
            )
    axes.set(xlabel=caption(names[0]), ylabel=caption(names[1]), title=title)
    axes.set(xlim=limits[:2], ylim=limits[2:])
    axes.legend(loc="upper right", fontsize=8)
    return figure


def fitted_curve(
    line: Tensor,
    curve: Tensor,
    x: Tensor,
    y: Tensor,
    fitted: Tensor,
    names: tuple[str, str],
    title: str,
) -> Figure:
    """The value that a network gives at each point of a line, samples, and their residuals.

    Args:
        line: Points (G,) in order.
        curve: The network's value at each of them (G,).
        x: Samples (N,).
        y: Their targets (N,).
        fitted: The network's value at each sample (N,).
        names: Names of the feature and of the value.
        title: Title of the figure, after which the mean of the squared residuals stands.
    """
    figure, [axes] = new_figure(6, 4.4)
    axes.vlines(
        x.tolist(), y.tolist(), fitted.tolist(), color=GREY, linewidth=0.6, label="residuals"
    )
    axes.scatter(x.tolist(), y.tolist(), s=12, color=BLUE, label="samples")
    axes.plot(line.tolist(), curve.tolist(), color=ORANGE, linewidth=2, label="network")
    margin = 0.1 * float(y.max() - y.min())
    axes.set(xlabel=caption(names[0]), ylabel=caption(names[1]))
    axes.set(ylim=(float(y.min()) - margin, float(y.max()) + margin))
    error = float((y - fitted).square().mean())
    axes.set_title(f"{title}: mean squared error {error:.3g}", fontsize=10)
    axes.legend(loc="upper left", fontsize=8)
    return figure
