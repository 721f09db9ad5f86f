"""Which samples the batches of an epoch take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from project.plots.figure import GREY, ORANGE, PALE_BLUE, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNSEEN = "#eeeeee"


def drawn_batches(
    samples: int, held_out: Tensor, batches: Sequence[Tensor], title: str, most: int = 2500
) -> Figure:
    """A cell for each sample: held out, in this batch, in an earlier one of this epoch, or not yet.

    Args:
        samples: Number of samples N, of which the first ``most`` are shown.
        held_out: Indices of the validation samples.
        batches: Indices of the samples in each batch of this epoch so far.
        title: Title of the figure.
        most: Greatest number of cells.
    """
    from matplotlib.colors import ListedColormap, to_rgb
    from matplotlib.patches import Patch

    count = min(samples, most)
    columns = math.ceil(math.sqrt(1.6 * count))
    rows = math.ceil(count / columns)
    state = torch.full((rows * columns,), 4)
    state[:count] = 0
    kinds = [
        (torch.cat([torch.empty(0).long(), *batches[:-1]]), 1),
        (batches[-1], 2),
        (held_out, 3),
    ]
    for indices, kind in kinds:
        state[indices[indices < count]] = kind
    colours = [UNSEEN, PALE_BLUE, ORANGE, GREY, "white"]
    figure, [axes] = new_figure(6.4, 4.6)
    cells = ListedColormap([to_rgb(colour) for colour in colours])
    axes.pcolormesh(
        state.view(rows, columns).flip(0).numpy(),
        cmap=cells,
        vmin=0,
        vmax=4,
        edgecolors="white",
        linewidth=0.4,
    )
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set_title(f"{title}: {len(batches[-1])} of {samples:,} samples", fontsize=10)
    words = ("not yet drawn", "in an earlier batch", "in this batch", "held out for validation")
    handles = [Patch(facecolor=c, label=w) for c, w in zip(colours, words, strict=False)]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8)
    return figure
