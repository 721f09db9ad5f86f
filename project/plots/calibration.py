"""Reliability diagrams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from project.plots.figure import BLUE, GREY, ORANGE, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def reliability_diagram(
    panels: dict[str, Tensor], correct: Tensor, bins: int, title: str
) -> Figure:
    """Accuracy over confidence, in bins, above the numbers of samples (Guo et al., 2017, figure 1).

    Args:
        panels: Confidences (N,), each the probability of the predicted class, by a title.
        correct: Whether each prediction is right (N,).
        bins: Number of bins of the same width from 0 to 1.
        title: Title of the figure.
    """
    edges = torch.linspace(0, 1, bins + 1)
    figure, axes = new_figure(4.6 * len(panels), 6, rows=2, columns=len(panels))
    handles: list[Any] = []
    for k, (name, confidence) in enumerate(panels.items()):
        above, below = axes[k], axes[k + len(panels)]
        place = (torch.bucketize(confidence, edges, right=True) - 1).clamp(0, bins - 1)
        counts = place.bincount(minlength=bins)
        filled = counts > 0
        accuracy = place.bincount(correct.double(), minlength=bins)[filled] / counts[filled]
        style: dict[str, Any] = {"width": 1 / bins, "align": "edge", "edgecolor": "white"}
        lefts = edges[:-1][filled].tolist()
        handles = [above.bar(lefts, accuracy.tolist(), color=BLUE, **style)]
        handles += above.plot([0, 1], [0, 1], color=ORANGE, linestyle="--")
        above.set(title=name, xlim=(0, 1), ylim=(0, 1.02), ylabel="accuracy")
        above.grid(alpha=0.3)
        below.bar(lefts, counts[filled].tolist(), color=GREY, **style)
        below.set(xlim=(0, 1), xlabel="confidence", ylabel="samples", yscale="log")
        below.set_ylim(bottom=0.5)  # so that a single sample has a bar
    labels = ["accuracy of the samples in a bin", "perfectly calibrated"]
    figure.legend(handles, labels, loc="outside lower center", ncols=len(panels))
    figure.suptitle(title)
    return figure
