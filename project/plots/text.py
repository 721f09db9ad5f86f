"""Names of files, classes and runs, which users chose, made fit to be drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from project.errors import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def caption(name: str, most: int = 22) -> str:
    """A name in ``most`` printable characters at most: its beginning, and the end of it."""
    text, end = printable(name), most // 2
    return text if len(text) <= most else f"{text[: most - end - 1]}…{text[-end:]}"


def show_literally(figure: Figure) -> None:
    """Let a figure show names as they are, even if they hold dollar signs, matplotlib's formulas.

    The numbers on its axes are formulas, and stay so. Names there must be a `caption` before they
    are set, since matplotlib makes their text anew.
    """
    from matplotlib.text import Text
    from matplotlib.ticker import LogFormatter, ScalarFormatter

    numbers = {
        text
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        if isinstance(axis.get_major_formatter(), LogFormatter | ScalarFormatter)
        for text in (*axis.get_ticklabels(which="both"), axis.get_offset_text())
    }
    for text in set(figure.findobj(Text)) - numbers:
        lines = "\n".join(map(printable, text.get_text().split("\n")))
        text.set(parse_math=False, usetex=False, text=lines)
