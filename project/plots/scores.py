"""Figures of how well values and labels are predicted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from project.plots.figure import BLUE, GREY, ORANGE, new_figure
from project.plots.text import caption

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def predicted_against_true(
    predicted: Tensor, true: Tensor, names: Sequence[str], title: str, most: int = 9
) -> Figure:
    """A point for each sample, for the first ``most`` of the K values (N, K)."""
    count = min(true.shape[1], most)
    columns = min(count, 3)
    rows = -(-count // columns)
    figure, axes = new_figure(5 * columns, 4.6 * rows + 0.4, rows, columns)
    for k, a in enumerate(axes):
        if k >= count:
            a.set_axis_off()
            continue
        both = true[:, k].tolist() + predicted[:, k].tolist()
        ends = [min(both), max(both)]
        a.plot(ends, ends, color=GREY, linestyle="--", linewidth=1, label="perfect")
        a.scatter(true[:, k].tolist(), predicted[:, k].tolist(), s=12, alpha=0.6, color=BLUE)
        a.set(xlabel="true value", ylabel="predicted value")
        if true.shape[1] > 1:
            a.set_title(caption(names[k]))
        a.grid(alpha=0.3)
        a.legend()
    figure.suptitle(title)
    return figure


def label_scores(scores: Sequence[Any], names: Sequence[str], title: str, most: int = 60) -> Figure:
    """Precision, recall and F1 (K,) of each label, for the ``most`` labels with the lowest F1."""
    precision, recall, f1 = scores
    order = sorted(range(len(names)), key=lambda k: f1[k])[:most][::-1]
    figure, [axes] = new_figure(7, 1.6 + 0.28 * len(order))
    places = range(len(order))
    axes.barh(places, [f1[k] for k in order], color=BLUE, height=0.6, label="F1", alpha=0.6)
    for values, color, marker, word in (
        (precision, ORANGE, "o", "precision"),
        (recall, "black", "|", "recall"),
    ):
        axes.plot([values[k] for k in order], places, marker, color=color, label=word)
    axes.set_yticks(places, [caption(names[k]) for k in order])
    axes.set(xlim=(-0.02, 1.02), title=title)
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3)
    return figure
