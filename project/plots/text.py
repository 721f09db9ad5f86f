"""Names that others chose, of files, classes and runs, made fit to be printed and drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from project.errors import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def caption(name: str, most: int = 22) -> str:
    """A name in at most ``most`` printable characters: its beginning and its end, which tell a series apart."""
    text, end = printable(name), most // 2
    return text if len(text) <= most else f"{text[: most - end - 1]}…{text[-end:]}"


def show_literally(figure: Figure) -> None:
    """Let a figure show names as they are: to matplotlib, what stands between two dollar signs is a formula.

    The numbers on its axes are such formulas, and stay so. Names there must be a `caption` before
    they are set, since matplotlib makes their text anew.
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
