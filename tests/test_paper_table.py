"""`compare --latex` and `--markdown`: a paper's table, its bold entry and its escapes."""

import csv
import json
import re
import shutil
import statistics
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from scipy.stats import binomtest

from project.cli.main import main
from project.run.folder import Run
from tests.study import analysis_of_variance, correct

pytestmark = pytest.mark.needs("compare")

HARD = "a_b%c&d#e{f}$g~h^i<j>k|l`m*n[o]"
VALIDATION = ["val/acc", "val/acc_macro", "val/f1", "val/loss"]
COMMANDS = {
    r"\textbackslash{}": "\\",
    r"\textasciitilde{}": "~",
    r"\textasciicircum{}": "^",
    r"\textless{}": "<",
    r"\textgreater{}": ">",
    r"\textbar{}": "|",
    r"$\pm$": "±",
    r"$-$": "-",
}


def copied(runs: list[Run], folder: Path) -> list[Run]:
    return [Run(Path(shutil.copytree(run.folder, folder / run.id))) for run in runs]


def compared(runs: list[Run], *flags: str) -> tuple[str, str]:
    """The LaTeX and the Markdown file."""
    files = ["--latex=t.tex", "--markdown=t.md", "--picture=p.png"]
    main(["compare", *(str(run.folder) for run in runs), *files, *flags])
    return Path("t.tex").read_text(), Path("t.md").read_text()


def plain(cell: str) -> str:
    """The text that LaTeX sets for a cell; fails for a special character that is not escaped."""
    cell = re.sub(r"^\\(?:texttt|textbf)\{(.*)\}$", r"\1", cell.strip())
    words = "|".join(map(re.escape, COMMANDS))
    tokens = re.findall(rf"{words}|\\[_%&#${{}}]|[^\\_%&#${{}}~^<>|]|.", cell)
    for token in tokens:
        assert len(token) > 1 or token not in "\\_%&#${}~^<>|", cell
    return "".join(COMMANDS.get(token, token[-1]) for token in tokens)


def latex_rows(text: str) -> tuple[list[list[str]], list[str]]:
    """The plain cells of the table, and the plain text of what is bold."""
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    assert lines[0].startswith(r"\begin{tabular}{lr")
    assert (lines[1], lines[3], *lines[-2:]) == (
        *(r"\toprule", r"\midrule", r"\bottomrule", r"\end{tabular}"),
    )
    body = [lines[2], *lines[4:-2]]
    assert all(line.endswith(r" \\") for line in body)
    cells = [re.split(r"(?<!\\)&", line.removesuffix(r"\\")) for line in body]
    assert {len(row) for row in cells} == {len(re.findall("[lr]", lines[0].split("}{")[1]))}
    bold = [plain(cell) for row in cells for cell in row if r"\textbf" in cell]
    return [[plain(cell) for cell in row] for row in cells], bold


def markdown_rows(text: str) -> tuple[list[list[str]], list[str]]:
    """The same of the table in Markdown, as a parser of Markdown reads it."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    cells, bold = [], []
    for before, token in pairwise(tokens):
        if before.type == "tr_open":
            cells.append([])
        if before.type in ("th_open", "td_open"):
            kinds = {child.type for child in token.children}
            assert kinds <= {"text", "text_special", "strong_open", "strong_close"}
            cells[-1].append("".join(child.content for child in token.children))
            bold += [cells[-1][-1]] if "strong_open" in kinds else []
    return cells, bold


def pm(values: list[float]) -> str:
    return f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}"


def test_table_of_two_groups(studied: list[Run]) -> None:
    groups = (studied[:2], studied[2:])
    tests = [[json.loads(run.tests.read_text().splitlines()[-1]) for run in g] for g in groups]
    acc = [[entry["test/acc"] for entry in group] for group in tests]
    parameters = [64 * 64 + 2 * 64 + 64 * 10 + 10, 64 * 10 + 10]  # of the batch norm two for each
    truth = [["", "test/acc", "test/acc_macro", "test/f1", "test/loss", "n", "parameters"]]
    for name, group, accuracies, count in zip(
        ("hidden64", "no_hidden"), tests, acc, parameters, strict=True
    ):
        others = [pm([entry[metric] for entry in group]) for metric in truth[0][2:5]]
        truth.append([f"digits+{name}-max_epochs2", pm(accuracies), *others, "2", f"{count:,}"])
    latex, markdown = compared(studied)
    p = analysis_of_variance([[correct(run, "test") for run in group] for group in groups])[-1]
    best = max(pm(accuracies) for accuracies in acc)
    assert latex_rows(latex) == (truth, [best] if p < 0.05 else [])
    assert markdown_rows(markdown) == latex_rows(latex)
    assert f"Obuchowski-Rockette test, p = {p:.3g}" in latex
    assert f"Obuchowski-Rockette test, p = {p:.3g}" in markdown


def flipped(run: Run, wrong: int) -> None:
    """Let a run's predictions be right for all test samples but the first ``wrong``."""
    path = run.sample_predictions("test")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    for i, row in enumerate(rows):
        row["predicted"] = row["true"] if i >= wrong else str(9 - int(row["true"]))
    with path.open("w") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    accuracy = 1 - wrong / len(rows)
    entry = json.loads(run.tests.read_text()) | {"test/acc": accuracy}
    run.tests.write_text(json.dumps(entry) + "\n")


@pytest.mark.parametrize(("second", "bold"), [(30, True), (8, True), (7, False), (2, False)])
def test_bold_needs_a_difference_from_each_other_row(
    second: int, bold: bool, studied: list[Run], tmp_path: Path
) -> None:
    """One run is wrong for 2 samples: of the next, 6 more make p = 0.03, and 5 more 0.06."""
    assert bool(second > 2 and binomtest(0, second - 2).pvalue < 0.05) == bold
    runs = []
    for name, wrong in (("x", 60), ("best", 2), ("y", second)):
        runs += copied(studied[:1], tmp_path / "copies" / name)
        flipped(runs[-1], wrong)
    latex, markdown = compared(runs)
    rows, found = latex_rows(latex)
    assert [row[1] for row in rows[1:]] == [f"{1 - k / 359:.4f}" for k in (60, 2, second)]
    assert [row[rows[0].index("n")] for row in rows[1:]] == ["1"] * 3
    assert found == ([f"{1 - 2 / 359:.4f}"] if bold else [])
    assert markdown_rows(markdown) == (rows, found)
    assert latex.count("McNemar's exact test") == 2


def test_names_of_any_kind(studied: list[Run], tmp_path: Path) -> None:
    runs = copied(studied[:1], tmp_path / "copies" / HARD)
    runs += copied(studied[:1], tmp_path / "copies" / "\\[b]")
    names = ["", *(f"{run.experiment}+hidden64-max_epochs2" for run in runs)]
    latex, markdown = compared(runs)
    assert [row[0] for row in latex_rows(latex)[0]] == names
    assert [row[0] for row in markdown_rows(markdown)[0]] == names
    assert not latex_rows(latex)[1]  # the same run twice
    # A row must not begin with what LaTeX takes for an option of the line break before it.
    assert not re.search(r"^[\[*]", latex, re.MULTILINE)
    assert all(
        line.startswith("%") or "texttt" in line for line in latex.splitlines() if "[" in line
    )


def test_other_splits_and_runs(
    studied: list[Run], tmp_path: Path, fails: Callable[..., str]
) -> None:
    latex, _ = compared(studied[:2], "--split=val")
    rows, bold = latex_rows(latex)
    assert rows[0] == ["", *VALIDATION, "n", "parameters"]
    assert (len(rows), bold) == (2, [])
    assert "Bold" not in latex  # there is nothing to compare with
    [run] = copied(studied[:1], tmp_path / "copies" / "x")
    run.tests.unlink()
    environment = json.loads(run.environment.read_text())
    del environment["parameters"]  # as an earlier version wrote it
    run.environment.write_text(json.dumps(environment))
    assert latex_rows(compared([run])[0])[0][0] == ["", *VALIDATION, "n"]
    said = fails("compare", str(run.folder), "--latex=t.tex", "--split=test")
    assert "has no metrics of the test set: give another --split" in said
