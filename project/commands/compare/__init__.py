"""Compare runs: their configs, metrics over seeds and folds, and how often they saw the test set.

Runs that differ in seed and fold only make a group. Two groups are compared on the same samples:
one run against one with McNemar's exact test, several against several with the Obuchowski-Rockette
test. A figure shows all histories, one above the other, and another one the optimisers' paths where
the callback Descent has recorded each of them over the same two weights. --latex and --markdown
write a paper's table, in which an accuracy is bold if these tests find it higher than each other.
"""

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ArgumentParser

from project import plots
from project.analysis.group import Group, group_runs, in_order, plus_minus
from project.analysis.run_result import read_runs
from project.analysis.significance import significance
from project.cli.console import new_console
from project.commands.compare.descents import draw_descents
from project.commands.compare.paper_table import as_latex, as_markdown, paper_table
from project.errors import UserError
from project.run.folder import common_folder, shown, write_atomically


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument("runs", type=Path, nargs="+", help="Folders of runs or experiments.")
    parser.add_argument(
        "--split",
        type=Literal["val", "test"] | None,
        help="Split of the tests and of a paper's table; test where all runs were tested.",
    )
    parser.add_argument("--csv", type=Path | None, help="CSV file with a row for each group.")
    parser.add_argument("--json", type=Path | None, help="JSON file with all values of all groups.")
    parser.add_argument("--latex", type=Path | None, help="LaTeX file with a table for a paper.")
    parser.add_argument("--markdown", type=Path | None, help="Markdown file with the same table.")
    parser.add_argument(
        "--picture",
        type=Path | None,
        help="PNG file of the histories; compare.png in the runs' common folder by default.",
    )


def run(arguments: Any) -> None:
    """Print the table and write the files.

    Raises:
        UserError: The runs cannot be compared.
    """
    groups = group_runs(read_runs(arguments.runs))
    formats = [(arguments.latex, as_latex), (arguments.markdown, as_markdown)]
    tables = [(path, form) for path, form in formats if path]
    if arguments.split and len(groups) != 2 and not tables:
        raise UserError(
            f"--split is of the test between two groups, and here are {len(groups)}: leave it out"
        )
    test = significance(groups, arguments.split) if len(groups) == 2 else None
    rows = [as_row(group) for group in groups]
    if arguments.csv:
        write_atomically(arguments.csv, as_csv(rows))
    if arguments.json:
        comparison = {"groups": rows, "test": asdict(test) if test else None}
        write_atomically(arguments.json, json.dumps(comparison, indent=2))
    if tables:
        content = paper_table(groups, arguments.split)
        for path, form in tables:
            write_atomically(path, form(content))
    folders = [result.run.folder for group in groups for result in group.results]
    picture = arguments.picture or common_folder(folders) / "compare.png"
    curves = {group.name: [result.history for result in group.results] for group in groups}
    plots.save(plots.histories(curves), picture)
    paths = picture.with_stem(f"{picture.stem}_descent")
    descents = draw_descents(groups, paths)
    console = new_console()
    console.print(as_table(rows))
    if test:
        line = test.in_words(groups[0].name, groups[1].name)
        console.print(line, highlight=False, soft_wrap=True)
    console.print(f"histories: {shown(picture.absolute())}", highlight=False, soft_wrap=True)
    if descents:
        console.print(f"descents: {shown(paths.absolute())}", highlight=False, soft_wrap=True)


def as_row(group: Group) -> dict[str, Any]:
    """A group as plain values for JSON."""
    runs = [shown(result.run.folder) for result in group.results]
    return {"group": group.name, "runs": runs, "config": group.overrides, **group.summary()}


def as_csv(groups: list[dict[str, Any]]) -> str:
    """A row for each group, with two columns for each metric: mean and standard deviation."""
    rows = []
    for group in groups:
        row = {"group": group["group"], "runs": len(group["runs"]), **group["config"]}
        for name, value in group["metrics"].items():
            row |= {name: value["mean"], f"{name} std": value["std"]}
        rows.append(
            row
            | {"seconds": group["seconds"], "num_test_evaluations": group["num_test_evaluations"]}
        )
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_table(groups: list[dict[str, Any]]) -> Any:
    """A table of rich with a row for each group."""
    from rich.table import Table

    names = in_order({name for group in groups for name in group["metrics"]})
    table = Table(show_lines=any(len(group["config"]) > 1 for group in groups))
    for name in ("group", "runs", "differs in", *names, "seconds", "test evaluations"):
        table.add_column(name, justify="left" if name in ("group", "differs in") else "right")
    for group in groups:
        metrics, runs = group["metrics"], len(group["runs"])
        overrides = "\n".join(f"{key} {value}" for key, value in group["config"].items())
        values = [plus_minus(metrics[name], runs) if name in metrics else "" for name in names]
        costs = (f"{group['seconds']:.1f}", str(group["num_test_evaluations"]))
        table.add_row(group["group"], str(runs), overrides, *values, *costs)
    return table
