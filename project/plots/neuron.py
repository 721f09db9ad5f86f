"""A neuron: inputs, weights, sum and activation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from project.plots.figure import BLUE, GREY, ORANGE, PALE_BLUE, PALE_ORANGE, new_figure
from project.plots.text import caption

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 8  # inputs in the drawing
FLAT = 0.05  # a derivative below it hardly lets a unit learn


def neuron(
    x: Tensor,
    weight: Tensor,
    bias: float,
    sums: Tensor,
    unit: int,
    activation: nn.Module | None,
    names: Sequence[str],
    high: float,
    title: str,
) -> Figure:
    """One neuron for one sample, and its layer on the activation.

    Args:
        x: What the neuron sees of the sample (D,).
        weight: Its weights (D,).
        bias: Its bias.
        sums: Weighted sums (N, U) of its layer's U units for N samples, the first being ``x``.
        unit: Which of them the neuron is.
        activation: What follows the sum; None for nothing.
        names: Names of the D inputs.
        high: Greatest absolute sum that there will be, for the range of the axes.
        title: Title of the figure.
    """
    figure, [drawing, curve] = new_figure(10, 4.2, 1, 2)
    z = float(sums[0, unit])
    a = z if activation is None else float(activation(torch.tensor(z)))
    draw_inputs(drawing, x, weight, bias, names, z, a)
    draw_activation(curve, sums, z, activation, high)
    figure.suptitle(title, fontsize=10)
    return figure


def draw_inputs(
    axes: Axes, x: Tensor, weight: Tensor, bias: float, names: Sequence[str], z: float, a: float
) -> None:
    """Draw the inputs with the greatest products, and lines as wide as their weights."""
    shown = (x * weight).abs().topk(min(MOST, len(x))).indices.sort().values.tolist()
    widest = max(float(weight.abs().max()), 1e-6)
    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8}
    middle = (len(shown) - 1) / 2
    for row, i in enumerate(shown):
        y, w = float(len(shown) - 1 - row), float(weight[i])
        colour = ORANGE if w > 0 else BLUE
        axes.plot([0, 2], [y, middle], color=colour, linewidth=0.5 + 4 * abs(w) / widest, alpha=0.7)
        axes.text(
            -0.35,
            y,
            f"{caption(names[i], 16)} = {float(x[i]):.2f}",
            ha="right",
            va="center",
            fontsize=8,
        )
        axes.plot([0], [y], "o", markersize=10, color=PALE_BLUE)
        axes.text(0.45, y + (middle - y) * 0.225 + 0.16, f"{w:.2f}", color=colour, **style)
    rest = f" and {len(x) - len(shown)} more" if len(x) > len(shown) else ""
    axes.text(-0.35, -0.9, f"bias {bias:.2f}{rest}", ha="right", va="center", fontsize=8)
    axes.plot([2, 4], [middle, middle], color=GREY)
    axes.plot([2], [middle], "o", markersize=34, color=PALE_ORANGE)
    axes.plot([4], [middle], "o", markersize=34, color=PALE_BLUE)
    axes.text(2, middle, f"sum\n{z:.2f}", **style)
    axes.text(4, middle, f"output\n{a:.2f}", **style)
    axes.set(xlim=(-2.6, 4.7), ylim=(-1.4, len(shown) - 0.3))
    axes.set_axis_off()
    axes.set_title("orange weights are positive, blue ones negative", fontsize=9)


def draw_activation(
    axes: Axes, sums: Tensor, z: float, activation: nn.Module | None, high: float
) -> None:
    """Draw the activation, its derivative, the layer's sums below them, and this neuron's one."""
    high = max(high, 1.0)
    line = torch.linspace(-high, high, 300, requires_grad=True)
    values = line * 1.0 if activation is None else activation(line * 1.0)
    slopes = torch.autograd.grad(values.sum(), line)[0]
    grid, curve = line.detach(), values.detach()
    axes.plot(grid.tolist(), curve.tolist(), color=BLUE, linewidth=2, label="activation")
    axes.plot(grid.tolist(), slopes.tolist(), color=ORANGE, linestyle="--", label="its derivative")
    at = sums.clone().requires_grad_(True)
    out = at * 1.0 if activation is None else activation(at * 1.0)
    slope = torch.autograd.grad(out.sum(), at)[0]
    axes.plot(
        [z],
        [float(z if activation is None else activation(torch.tensor(z)))],
        "o",
        color="black",
        label="this neuron",
    )
    low, top = axes.get_ylim()
    counts, edges = sums.flatten().histogram(40, range=(-high, high))
    heights = 0.35 * (top - low) * counts / max(float(counts.max()), 1)
    axes.bar(
        edges[:-1].tolist(),
        heights.tolist(),
        width=2 * high / 40,
        bottom=low,
        align="edge",
        color=GREY,
        alpha=0.4,
        label="sums of the layer",
    )
    flat = float((slope.abs() < FLAT).float().mean())
    dead = int((slope == 0).all(0).sum())
    axes.set(xlabel="weighted sum", ylim=(low, top), xlim=(-high, high))
    axes.set_title(
        f"derivative below {FLAT} for {flat:.0%} of the sums; dead units: {dead}", fontsize=9
    )
    axes.legend(loc="upper left", fontsize=7)
    axes.grid(alpha=0.3)
