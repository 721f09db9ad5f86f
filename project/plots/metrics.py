"""Figures of metrics: histories, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from project.plots.figure import BLUE, GREY, ORANGE, new_figure
from project.plots.text import caption

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = dict[str, str]  # of metrics.csv, without empty cells
LOSSES = {"train/loss": "training loss", "val/loss": "validation loss"}
SCORES = {"val/acc": "validation accuracy", "val/f1": "validation F1", "val/r2": "validation R²"}


def history(rows: list[Row], title: str) -> Figure:
    """Loss, accuracy and learning rate over steps."""
    figure, (loss, accuracy, rate) = new_figure(13, 4, columns=3)

    def curve(axes: Axes, name: str, color: str, marker: str) -> None:
        points = [(int(row["step"]) + 1, float(row[name])) for row in rows if name in row]
        if points:
            x, y = zip(*points, strict=True)
            axes.plot(x, y, color=color, marker=marker, markersize=3, label=name)

    for axes, metric in ((loss, "loss"), (accuracy, "acc")):
        curve(axes, f"train/{metric}", GREY, "")
        curve(axes, f"val/{metric}", BLUE, "o")
        if axes.has_data():  # a regression has no accuracy
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


def histories(groups: dict[str, list[list[Row]]]) -> Figure:
    """Losses and a score over epochs: a thin line for each run, a strong one for a group's mean.

    Args:
        groups: Rows of each run, by the name of its group.
    """
    every_row = [row for runs in groups.values() for rows in runs for row in rows]
    scores = [name for name in SCORES if any(name in row for row in every_row)]
    shown = LOSSES | {name: SCORES[name] for name in scores[:1]}
    figure, axes = new_figure(5 * len(shown), 4.6, columns=len(shown))
    for number, (group, runs) in enumerate(groups.items()):
        color, style = f"C{number % 10}", ("-", "--", ":", "-.")[number // 10 % 4]
        label = f"{caption(group, 200 // min(len(groups), 4))} ({len(runs)})"
        for a, metric in zip(axes, shown, strict=True):
            curves = [curve for rows in runs if (curve := by_epoch(rows, metric))]
            draw_curves(a, curves, color, style, label)
    for a, (metric, title) in zip(axes, shown.items(), strict=True):
        a.set(title=title, xlabel="epoch")
        positive = all(float(row[metric]) > 0 for row in every_row if metric in row)
        if metric.endswith("loss") and positive:
            a.set_yscale("log")
        a.grid(alpha=0.3)
    handles, labels = axes[1].get_legend_handles_labels()
    columns = min(len(groups), 4)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=8)
    return figure


def draw_curves(
    axes: Axes, curves: list[list[tuple[float, float]]], color: str, style: str, label: str
) -> None:
    """Draw the mean of curves, and each of them if there are several."""
    for curve in curves if len(curves) > 1 else []:
        x, y = zip(*curve, strict=True)
        axes.plot(x, y, color=color, linestyle=style, linewidth=0.8, alpha=0.45)
    if curves:
        points = [
            [sum(values) / len(values) for values in zip(*same_place, strict=True)]
            for same_place in zip(*curves, strict=False)
        ]
        x, y = zip(*points, strict=True)
        axes.plot(x, y, color=color, linestyle=style, linewidth=2, label=label)


def by_epoch(rows: list[Row], metric: str) -> list[tuple[float, float]]:
    """Points of a metric over the number of epochs trained when it was logged."""
    last = next((row for row in reversed(rows) if "epoch" in row), None)
    per_epoch = (int(last["step"]) + 1) / (int(last["epoch"]) + 1) if last else 1.0
    points = [(int(row["step"]) + 1, float(row[metric])) for row in rows if metric in row]
    return [(step / per_epoch, value) for step, value in points]


def confusion_matrix(counts: Tensor, class_names: Sequence[str], title: str) -> Figure:
    """A confusion matrix, shaded by the fraction of the true class.

    Args:
        counts: Number of samples (K, K) by true class (rows) and predicted class (columns).
        class_names: Names of the K classes.
        title: Title of the figure.
    """
    num_classes = len(counts)
    size = min(4 + 0.4 * num_classes, 12)
    figure, (axes,) = new_figure(size, size)
    fraction = counts / counts.sum(1, keepdim=True).clamp(min=1)
    image = axes.imshow(fraction.numpy(), cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="fraction of the true class", shrink=0.75)
    if num_classes <= 30:
        labels = [caption(name) for name in class_names]
        axes.set_xticks(range(num_classes), labels, rotation=90 if max(map(len, labels)) > 2 else 0)
        axes.set_yticks(range(num_classes), labels)
        for i, j in counts.nonzero().tolist():
            color = "white" if fraction[i, j] > 0.5 else "black"
            style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8}
            axes.text(j, i, str(int(counts[i, j])), color=color, **style)
    axes.set(title=title, xlabel="predicted class", ylabel="true class")
    return figure
