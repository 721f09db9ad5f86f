"""Making and saving figures, and their colours."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING

from project.errors import writing
from project.plots.text import show_literally

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#3572b0", "#d9730d", "#9a9a9a"
PALE_BLUE, PALE_ORANGE = "#a9c9ea", "#f6b26b"  # black text is legible on these


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1
) -> tuple[Figure, list[Axes]]:
    """A figure of this size in inches, and its axes, without a window system."""
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
