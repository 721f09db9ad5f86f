"""A table for a paper, in LaTeX and in Markdown, with a row for each group of runs."""

from collections.abc import Callable
from dataclasses import dataclass

from project.analysis.group import Group, in_order, plus_minus
from project.analysis.paired_predictions import common_split
from project.analysis.significance import NoTest, significance
from project.errors import UserError, printable

LEVEL = 0.05  # of the tests
NOTES = (
    "Mean ± standard deviation over n runs.",
    f"Bold: a higher accuracy than in each other row, by tests with p < {LEVEL}.",
)
LATEX = str.maketrans(
    {c: rf"\{c}" for c in "_%&#${}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
)
MARKDOWN = str.maketrans({c: rf"\{c}" for c in r"\`*_[]<>|~$&#"})


@dataclass(frozen=True)
class PaperTable:
    """The contents of a table, as plain text.

    Attributes:
        header: Names of the columns; the first one, of the groups' names, has none.
        rows: The cells of each group.
        best: Row and column of the accuracy that is higher than each other one by more than
            chance; None if there is none.
        notes: What the table shows, and the tests behind it.
    """

    header: list[str]
    rows: list[list[str]]
    best: tuple[int, int] | None
    notes: list[str]

    def formatted(
        self, name: Callable[[str], str], number: Callable[[str], str], bold: Callable[[str], str]
    ) -> list[list[str]]:
        """The rows, with a function applied to names, one to numbers and one to the best number."""
        rows = [[name(first), *map(number, rest)] for first, *rest in self.rows]
        if self.best is not None:
            i, j = self.best
            rows[i][j] = bold(rows[i][j])
        return rows


def paper_table(groups: list[Group], split: str | None = None) -> PaperTable:
    """The metrics of groups on one split, as mean ± standard deviation over their runs.

    An accuracy is the best only if the test of `significance` finds p < 0.05 between it and each
    other one. As all of these tests must agree, their number needs no correction.

    Args:
        groups: The groups of runs.
        split: ``val`` or ``test``; by default test if all runs were tested.

    Raises:
        UserError: A run has no metrics or predictions of the split.
    """
    split = split or common_split(groups)
    summaries = [group.summary() for group in groups]
    metrics = [
        {name: v for name, v in summary["metrics"].items() if name.startswith(f"{split}/")}
        for summary in summaries
    ]
    if not all(metrics):
        name = groups[metrics.index({})].name
        raise UserError(f"{name} has no metrics of the {split} set: give another --split")
    header = ["", *in_order({name for group in metrics for name in group}), "n"]
    rows = []
    for group, found in zip(groups, metrics, strict=True):
        count = len(group.results)
        values = [plus_minus(found[n], count) if n in found else "" for n in header[1:-1]]
        rows.append([group.name, *values, str(count)])
    sizes = [summary["parameters"] for summary in summaries]
    if any(sizes):  # earlier versions did not record them
        header.append("parameters")
        rows = [[*r, f"{size:,}" if size else ""] for r, size in zip(rows, sizes, strict=True)]
    accuracy = f"{split}/acc"
    means = [group[accuracy]["mean"] if accuracy in group else 0.0 for group in metrics]
    row, tests = beyond_chance(groups, means, split)
    best = None if row is None else (row, header.index(accuracy))
    return PaperTable(header, rows, best, [*NOTES[: 1 + bool(tests)], *tests])


def beyond_chance(
    groups: list[Group], means: list[float], split: str
) -> tuple[int | None, list[str]]:
    """The group that differs from each other by more than chance, and what the tests say.

    Args:
        groups: The groups of runs.
        means: Their mean accuracies, of which the greatest is tested against each other.
        split: ``val`` or ``test``.
    """
    best = means.index(max(means))
    others = [group for i, group in enumerate(groups) if i != best]
    tests = [significance([groups[best], other], split) for other in others]
    words = [
        test.in_words(groups[best].name, other.name)
        for test, other in zip(tests, others, strict=True)
    ]
    beyond = tests and all(not isinstance(test, NoTest) and test.p < LEVEL for test in tests)
    return best if beyond else None, words


def as_latex(table: PaperTable) -> str:
    """The table for LaTeX with the package booktabs, and its notes as comments above it."""
    rows = table.formatted(
        name=lambda text: rf"\texttt{{{printable(text).translate(LATEX)}}}",
        number=lambda text: text.replace("±", r"$\pm$").replace("-", "$-$"),
        bold=lambda text: rf"\textbf{{{text}}}",
    )
    header = [name.translate(LATEX) for name in table.header]
    head, *body = [rf"{' & '.join(row)} \\" for row in (header, *rows)]
    notes = [*table.notes, r"In the preamble: \usepackage{booktabs}"]
    begin = rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}"
    lines = [*(f"% {printable(note)}" for note in notes), begin, r"\toprule", head, r"\midrule"]
    return "\n".join([*lines, *body, r"\bottomrule", r"\end{tabular}", ""])


def as_markdown(table: PaperTable) -> str:
    """The table for GitHub's Markdown, and its notes as a list under it."""
    rows = table.formatted(
        name=lambda text: printable(text).translate(MARKDOWN),
        number=str,
        bold=lambda text: f"**{text}**",
    )
    header = [name.translate(MARKDOWN) for name in table.header]
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    notes = [f"- {printable(note).translate(MARKDOWN)}" for note in table.notes]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", *notes, ""])
