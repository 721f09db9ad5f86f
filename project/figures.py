"""Pictures: pure functions from numbers and images to matplotlib figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import torch
from torch import Tensor

from project.errors import writing
from project.text import caption, show_literally

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


def save(figure: Figure, file: Path | IO[bytes]) -> None:
    """Write a figure as PNG, making its folder, and free its memory."""
    show_literally(figure)
    if isinstance(file, Path):
        with writing(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(file, format="png")
    else:
        figure.savefig(file)
    figure.clear()


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


def histories(groups: dict[str, list[list[dict[str, str]]]]) -> Figure:
    """Loss and accuracy of many runs over epochs: a thin line for each run, a strong one for each group's mean.

    Args:
        groups: By the group's name, of each run the rows of metrics.csv.
    """
    metrics = {"train/loss": "training loss", "val/loss": "validation loss", "val/acc": "validation accuracy"}
    figure, axes = new_figure(15, 4.6, columns=len(metrics))
    for number, (group, runs) in enumerate(groups.items()):
        color, style = f"C{number % 10}", ("-", "--", ":", "-.")[number // 10 % 4]
        for a, metric in zip(axes, metrics, strict=True):
            curves = [curve for rows in runs if (curve := by_epoch(rows, metric))]
            for curve in curves if len(curves) > 1 else []:
                a.plot(*zip(*curve, strict=True), color=color, linestyle=style, linewidth=0.8, alpha=0.45)
            if curves:
                points = [
                    tuple(sum(values) / len(values) for values in zip(*place, strict=True))
                    for place in zip(*curves, strict=False)
                ]
                a.plot(
                    *zip(*points, strict=True),
                    color=color,
                    linestyle=style,
                    linewidth=2,
                    label=f"{caption(group, 200 // min(len(groups), 4))} ({len(runs)})",
                )
    for a, (metric, title) in zip(axes, metrics.items(), strict=True):
        a.set(title=title, xlabel="epoch")
        logged = (float(row[metric]) for runs in groups.values() for rows in runs for row in rows if metric in row)
        if metric.endswith("loss") and all(value > 0 for value in logged):
            a.set_yscale("log")
        a.grid(alpha=0.3)
    handles, labels = axes[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(groups), 4), fontsize=8)
    return figure


def by_epoch(rows: list[dict[str, str]], metric: str) -> list[tuple[float, float]]:
    """Points of a metric by the epochs trained when it was logged, from rows of metrics.csv."""
    last = next((row for row in reversed(rows) if "epoch" in row), None)
    per_epoch = (int(last["step"]) + 1) / (int(last["epoch"]) + 1) if last else 1.0
    return [((int(row["step"]) + 1) / per_epoch, float(row[metric])) for row in rows if metric in row]


def confusion_matrix(counts: Tensor, class_names: Sequence[str], title: str) -> Figure:
    """Counts (K, K) by true class (rows) and predicted class (columns), shaded by share of the true class."""
    num_classes = len(counts)
    size = min(4 + 0.4 * num_classes, 12)
    figure, (axes,) = new_figure(size, size)
    share = counts / counts.sum(1, keepdim=True).clamp(min=1)
    image = axes.imshow(share.numpy(), cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.75)
    if num_classes <= 30:
        labels = [caption(name) for name in class_names]
        axes.set_xticks(range(num_classes), labels, rotation=90 if max(map(len, labels)) > 2 else 0)
        axes.set_yticks(range(num_classes), labels)
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
        show(picture, image)
        picture.set_title(caption(names[i], 28), fontsize=9)
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
            label = f"{caption(class_names[k])}  {p:.1%}"
            bars.text(0.03, place, label, va="center", fontsize=7, color="black")
    figure.suptitle(title)
    return figure


def filters(weights: Tensor, title: str, most: int = 64) -> Figure:
    """The first ``most`` filters (N, C, h, w): in colour for three channels, else their mean over channels."""
    weights = weights[:most]
    colour = weights.shape[1] == 3
    shown = weights if colour else weights.mean(1, keepdim=True)
    shown = shown / shown.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-12)
    columns = min(len(shown), 16)
    rows = -(-len(shown) // columns)
    figure, [axes] = new_figure(0.75 * columns + 0.5, 0.75 * rows + 0.6)
    axes.set_axis_off()
    picture = tiled(shown / 2 + 0.5 if colour else shown, rows, columns, empty=1.0 if colour else math.nan)
    axes.imshow(picture.permute(1, 2, 0).squeeze(2).numpy(), cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    figure.suptitle(title + ("" if colour else " (red above zero, blue below)"), fontsize=10)
    return figure


def tiled(images: Tensor, rows: int, columns: int, empty: float) -> Tensor:
    """One picture (C, H, W) of images (N, C, h, w) in rows, with gaps; axes for each would take a second to draw."""
    gap = 2
    scale = max(1, 32 // max(images.shape[2:]))
    images = images.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    missing = images.new_full((rows * columns - len(images), *images.shape[1:]), empty)
    padded = torch.nn.functional.pad(torch.cat([images, missing]), (gap, gap, gap, gap), value=empty)
    return padded.unflatten(0, (rows, columns)).permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)


def feature_maps(image: Tensor, maps: dict[str, Tensor], title: str, most: int = 8) -> Figure:
    """An image, and a row for each layer with the channels that vary most over the image.

    Args:
        image: (C, H, W) in [0, 1].
        maps: (C', H', W') by layer, of any sizes.
        title: Of the figure.
        most: Channels in a row.
    """
    figure, axes = new_figure(1.25 * (most + 1), 1.35 * len(maps) + 0.5, len(maps), most + 1)
    for a in axes:
        a.set_axis_off()
    for row, (name, channels) in enumerate(maps.items()):
        first, *others = axes[row * (most + 1) : (row + 1) * (most + 1)]
        if row == 0:
            show(first, image)
        size = "x".join(map(str, channels.shape))
        label: dict[str, Any] = {"ha": "center", "va": "top", "transform": first.transAxes, "in_layout": False}
        first.text(0.5, -0.04 if row == 0 else 0.6, f"{name}\n{size}", **label)
        liveliest = channels.flatten(1).std(1).topk(min(most, len(channels))).indices.sort().values
        for a, channel in zip(others, liveliest.tolist(), strict=False):
            a.imshow(channels[channel].numpy(), cmap="viridis")
            a.set_title(f"{channel}", fontsize=7, pad=2)
    figure.suptitle(f"{title} (of each layer the {most} channels that vary most)", fontsize=10)
    return figure


def image_grid(images: Tensor, names: list[str], title: str, columns: int = 8) -> Figure:
    """Images (N, C, H, W) in [0, 1] with a caption each."""
    rows = -(-len(images) // columns)
    figure, axes = new_figure(1.4 * columns, 1.6 * rows + 0.5, rows=rows, columns=columns)
    for a in axes:
        a.set_axis_off()
    for a, image, name in zip(axes, images, names, strict=False):
        show(a, image)
        a.set_title(caption(name, 18), fontsize=8)
    figure.suptitle(title)
    return figure


def show(axes: Axes, image: Tensor) -> None:
    """Draw an image (C, H, W) in [0, 1], in grey if it has one channel."""
    axes.imshow(image.permute(1, 2, 0).squeeze(2).numpy(), cmap="gray", vmin=0, vmax=1)


def evenly_spaced(count: int, total: int) -> Tensor:
    """``count`` positions, or fewer, spread over ``range(total)``."""
    return torch.linspace(0, total - 1, min(count, total)).round().long().unique()
