"""The card of findings that `check` prints."""

import time
from typing import Literal

from project.cli.console import new_console

Verdict = Literal["ok", "note", "wrong"]
COLORS: dict[Verdict, str] = {"ok": "green", "note": "yellow", "wrong": "red"}


class Card:
    """Findings in the order in which they are added.

    Args:
        title: Names of the data and the model.
    """

    def __init__(self, title: str) -> None:
        self.title, self.start = title, time.perf_counter()
        self.rows: list[tuple[str, Verdict, str]] = []

    def add(self, name: str, text: str, *, wrong: bool = False, note: bool = False) -> None:
        """Add a finding, whose verdict is ok unless it is wrong or worth a note."""
        self.rows.append((name, "wrong" if wrong else "note" if note else "ok", text))

    @property
    def wrong(self) -> list[str]:
        """Names of the wrong findings."""
        return [name for name, verdict, _ in self.rows if verdict == "wrong"]

    def print(self) -> None:
        from rich.table import Table
        from rich.text import Text

        seconds = time.perf_counter() - self.start
        count, others = len(self.rows), sum(verdict != "ok" for _, verdict, _ in self.rows)
        title = f"check of {self.title}: {count} checks, {others} to look at, in {seconds:.1f} s"
        table = Table(title=title, show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, verdict, text in self.rows:
            table.add_row(name, Text(verdict, COLORS[verdict]), text)
        new_console(width=120).print(table)
