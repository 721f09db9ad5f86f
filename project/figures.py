"""Pictures: pure functions from numbers and images to matplotlib figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#3572b0", "#d9730d", "#9a9a9a"
PALE_BLUE, PALE_ORANGE = "#a9c9ea", "#f6b26b"  # black text is legible on these


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of the given inches and its axes, without a window system."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=130)
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def history(rows: list[dict[str, str]], title: str) -> Figure:
    """Loss, accuracy and learning rate over steps.

    Args:
        rows: Of metrics.csv.
        title: Of the figure.
    """
    figure, (loss, accuracy, rate) = new_figure(13, 4, columns=3)

    def curve(axes: Axes, name: str, color: str, marker: str) -> None:
        points = [(int(row["step"]) + 1, float(row[name])) for row in rows if name in row]
        if points:
            axes.plot(*zip(*points, strict=True), color=color, marker=marker, markersize=3, label=name)

    for axes, metric in ((loss, "loss"), (accuracy, "acc")):
        curve(axes, f"train/{metric}", GREY, "")
        curve(axes, f"val/{metric}", BLUE, "o")
        axes.legend()
    curve(rate, "lr", ORANGE, "")
    if all(float(row["train/loss"]) > 0 for row in rows if "train/loss" in row):
        loss.set_yscale("log")
    rate.set_ylim(bottom=0)
    for axes, name in ((loss, "loss"), (accuracy, "accuracy"), (rate, "learning rate")):
        axes.set(title=name, xlabel="step")
        axes.grid(alpha=0.3)
    figure.suptitle(title)
    return figure


def confusion_matrix(counts: Tensor, class_names: Sequence[str], title: str) -> Figure:
    """Counts (K, K) by true class (rows) and predicted class (columns), shaded by share of the true class."""
    num_classes = len(counts)
    size = min(4 + 0.4 * num_classes, 12)
    figure, (axes,) = new_figure(size, size)
    share = counts / counts.sum(1, keepdim=True).clamp(min=1)
    image = axes.imshow(share.numpy(), cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.75)
    if num_classes <= 30:
        axes.set_xticks(range(num_classes), class_names, rotation=90 if max(map(len, class_names)) > 2 else 0)
        axes.set_yticks(range(num_classes), class_names)
        for i, j in counts.nonzero().tolist():
            color = "white" if share[i, j] > 0.5 else "black"
            axes.text(j, i, str(int(counts[i, j])), ha="center", va="center", color=color, fontsize=8)
    axes.set(title=title, xlabel="predicted class", ylabel="true class")
    return figure


def top5_grid(
    images: Tensor,
    probabilities: Tensor,
    truth: Tensor | None,
    class_names: Sequence[str],
    names: list[str],
    title: str,
) -> Figure:
    """Images with bars of their five likeliest classes, the true one in orange (Krizhevsky et al., 2012, figure 4).

    Args:
        images: (N, C, H, W) in [0, 1].
        probabilities: (N, K).
        truth: True classes (N,), if known.
        class_names: K names.
        names: A caption for each image.
        title: Of the figure.
    """
    columns = min(4, len(images))
    rows = -(-len(images) // columns)
    figure, axes = new_figure(2.4 * columns, 3.1 * rows + 0.5, rows=2 * rows, columns=columns)
    for a in axes:
        a.set_axis_off()
    for i, image in enumerate(images):
        row, column = divmod(i, columns)
        picture, bars = axes[2 * row * columns + column], axes[(2 * row + 1) * columns + column]
        picture.imshow(image.permute(1, 2, 0).squeeze(2).numpy(), cmap="gray", vmin=0, vmax=1)
        picture.set_title(names[i], fontsize=9)
        top = probabilities[i].topk(min(5, len(class_names)))
        places = range(len(top.indices))
        true_class = None if truth is None else int(truth[i])
        bars.barh(
            places,
            top.values.tolist(),
            color=[PALE_ORANGE if k == true_class else PALE_BLUE for k in top.indices.tolist()],
        )
        bars.set(xlim=(0, 1), ylim=(4.6, -0.6))
        for place, (p, k) in enumerate(zip(top.values.tolist(), top.indices.tolist(), strict=True)):
            label = f"{class_names[k][:22]}  {p:.1%}"
            bars.text(0.03, place, label, va="center", fontsize=7, color="black")
    figure.suptitle(title)
    return figure


def evenly_spaced(count: int, total: int) -> Tensor:
    """``count`` positions, or fewer, spread over ``range(total)``."""
    return torch.linspace(0, total - 1, min(count, total)).round().long().unique()
