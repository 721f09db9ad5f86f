"""Pictures in motion: an animated GIF, and its last frame as PNG."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from project.errors import writing
from project.plots.figure import save

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

COLOURS, DPI = 200, 72  # of the GIF, for a small file


def save_film(figures: Iterable[Figure], path: Path, seconds: float) -> None:
    """Write figures of one size as an animated GIF that takes so long and then stops for a moment.

    The last one is written as PNG too, beside the GIF.

    Args:
        figures: At least one figure, of which each is drawn before the next is made.
        path: The GIF.
        seconds: How long the frames before the last one are shown together.
    """
    frames: list[Image] = []
    last: Figure | None = None
    for figure in figures:
        frames.append(as_frame(figure))
        last = figure
    assert last is not None
    duration = [max(round(1000 * seconds / len(frames)), 20)] * len(frames)
    duration[-1] = 2000
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        frames[0].save(
            path, save_all=True, append_images=frames[1:], duration=duration, loop=0, optimize=True
        )
    save(last, path.with_suffix(".png"))


def as_frame(figure: Figure) -> Image:
    """The picture of a figure in few colours."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    dpi, canvas = figure.get_dpi(), FigureCanvasAgg(figure)
    figure.set_dpi(DPI)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    figure.set_dpi(dpi)
    return picture.quantize(COLOURS)
