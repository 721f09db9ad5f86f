"""Figures of numbers: histories, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from project.plots.figure import BLUE, GREY, ORANGE, new_figure
from project.plots.text import caption

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
            axes.plot(
                *zip(*points, strict=True), color=color, marker=marker, markersize=3, label=name
            )

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


def histories(groups: dict[str, list[list[dict[str, str]]]]) -> Figure:
    """Loss and accuracy of many runs over epochs: a thin line for each run, a strong one for each group's mean.

    Args:
        groups: By the group's name, of each run the rows of metrics.csv.
    """
    metrics = {
        "train/loss": "training loss",
        "val/loss": "validation loss",
        "val/acc": "validation accuracy",
    }
    figure, axes = new_figure(15, 4.6, columns=len(metrics))
    for number, (group, runs) in enumerate(groups.items()):
        color, style = f"C{number % 10}", ("-", "--", ":", "-.")[number // 10 % 4]
        for a, metric in zip(axes, metrics, strict=True):
            curves = [curve for rows in runs if (curve := by_epoch(rows, metric))]
            for curve in curves if len(curves) > 1 else []:
                a.plot(
                    *zip(*curve, strict=True),
                    color=color,
                    linestyle=style,
                    linewidth=0.8,
                    alpha=0.45,
                )
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
        logged = (
            float(row[metric])
            for runs in groups.values()
            for rows in runs
            for row in rows
            if metric in row
        )
        if metric.endswith("loss") and all(value > 0 for value in logged):
            a.set_yscale("log")
        a.grid(alpha=0.3)
    handles, labels = axes[-1].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=min(len(groups), 4), fontsize=8
    )
    return figure


def by_epoch(rows: list[dict[str, str]], metric: str) -> list[tuple[float, float]]:
    """Points of a metric by the epochs trained when it was logged, from rows of metrics.csv."""
    last = next((row for row in reversed(rows) if "epoch" in row), None)
    per_epoch = (int(last["step"]) + 1) / (int(last["epoch"]) + 1) if last else 1.0
    return [
        ((int(row["step"]) + 1) / per_epoch, float(row[metric])) for row in rows if metric in row
    ]


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
            axes.text(
                j, i, str(int(counts[i, j])), ha="center", va="center", color=color, fontsize=8
            )
    axes.set(title=title, xlabel="predicted class", ylabel="true class")
    return figure
