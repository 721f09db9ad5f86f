"""Where a command's tables are printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def new_console(width: int = 240) -> Console:
    """The terminal, or the file in its place; square brackets are printed and are no markup.

    Args:
        width: Of lines in a file. It has no width to keep to, and a path on one line can be copied.
    """
    from rich.console import Console

    terminal = Console(markup=False)
    return terminal if terminal.is_terminal else Console(width=width, markup=False)


def print_rows(title: str, rows: dict[str, str]) -> None:
    """Print a table of two columns."""
    from rich.table import Table

    table = Table(show_header=False, title=title)
    for row in rows.items():
        table.add_row(*row)
    new_console().print(table)
