"""Compare runs: what differs in their configs, mean and standard deviation over seeds and folds, looks at the test set.

Runs that differ in seed and fold only make a group. Two groups are compared on the same samples:
one run against one with McNemar's exact test, several against several with the Obuchowski-Rockette
test. A picture shows all histories, one above the other.
"""

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ArgumentParser

from project import plots
from project.analysis.run_result import Group, collect, differences, grouped, spread
from project.analysis.significance import Result, common_split, significance
from project.cli.console import new_console
from project.errors import UserError
from project.run.folder import shown, write_atomically


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument(
        "runs", type=Path, nargs="+", help="Folders of runs, or of experiments for all their runs."
    )
    parser.add_argument(
        "--split",
        type=Literal["val", "test"] | None,
        help="Samples that two groups are compared on.",
    )
    parser.add_argument("--csv", type=Path | None, help="File for the table, a row for each group.")
    parser.add_argument(
        "--json", type=Path | None, help="File for everything that is known of the groups."
    )
    parser.add_argument(
        "--picture",
        type=Path | None,
        help="Of the histories; compare.png in the runs' common folder.",
    )


def run(arguments: Any) -> None:
    """Print the table and write what was asked for.

    Raises:
        UserError: The runs cannot be compared.
    """
    records = collect(arguments.runs)
    groups = grouped(records)
    test = None
    if arguments.split and len(groups) != 2:
        raise UserError(
            f"--split is of the test between two groups, and here are {len(groups)}: leave it out"
        )
    if len(groups) == 2:
        test = significance(groups[0], groups[1], arguments.split or common_split(records))
    described = [
        describe(group, changes) for group, changes in zip(groups, differences(groups), strict=True)
    ]
    if arguments.csv:
        write_atomically(arguments.csv, as_csv(described))
    if arguments.json:
        comparison = {"groups": described, "test": asdict(test) if test else None}
        write_atomically(arguments.json, json.dumps(comparison, indent=2))
    picture = (
        arguments.picture
        or common_folder([record.run.folder for record in records]) / "compare.png"
    )
    curves = {group.name: [record.history for record in group.records] for group in groups}
    plots.save(plots.histories(curves), picture)
    print_groups(described, verdict(groups, test), picture)


def describe(group: Group, changes: dict[str, Any]) -> dict[str, Any]:
    """A group as plain values."""
    metrics = {}
    for name, values in group.metrics.items():
        mean, std = spread(values)
        metrics[name] = {"mean": mean, "std": std, "values": values}
    return {
        "group": group.name,
        "runs": [shown(record.run.folder) for record in group.records],
        "seeds": [record.config["seed_everything"] for record in group.records],
        "folds": [record.config.get("data.fold") for record in group.records],
        "config": changes,
        "metrics": metrics,
        "seconds": round(group.seconds, 1),
        "looks": group.looks,
    }


def as_csv(described: list[dict[str, Any]]) -> str:
    """A row for each group; a metric has two columns, its mean and standard deviation."""
    rows = []
    for group in described:
        row = {"group": group["group"], "runs": len(group["runs"]), **group["config"]}
        for name, value in group["metrics"].items():
            row |= {name: value["mean"], f"{name} std": value["std"]}
        rows.append(row | {"seconds": group["seconds"], "looks": group["looks"]})
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def common_folder(folders: list[Path]) -> Path:
    """The deepest folder above all of ``folders``."""
    return next(
        parent
        for parent in folders[0].parents
        if all(folder.is_relative_to(parent) for folder in folders)
    )


def verdict(groups: list[Group], test: Result | None) -> str:
    """What the test between two groups says, in words; nothing if there is none."""
    return test.in_words(groups[0].name, groups[1].name) if test else ""


def plus_minus(value: dict[str, Any], runs: int) -> str:
    """Mean and standard deviation, as in a paper; and of how many runs, if not of all."""
    of = f" ({len(value['values'])} of {runs})" if len(value["values"]) < runs else ""
    return (
        f"{value['mean']:.4f}" + (f" ± {value['std']:.4f}" if value["std"] is not None else "") + of
    )


def metric_names(names: Iterable[str]) -> list[str]:
    """In the order of papers: accuracies first, those of the test set before those of the validation set."""
    return sorted(names, key=lambda name: (name.endswith("loss"), name.startswith("val"), name))


def print_groups(described: list[dict[str, Any]], verdict: str, picture: Path) -> None:
    """The table, with the verdict and the place of the picture under it."""
    from rich.table import Table

    names = metric_names({name for group in described for name in group["metrics"]})
    table = Table(show_lines=any(len(group["config"]) > 1 for group in described))
    for name in ("group", "runs", "differs in", *names, "seconds", "looks at test"):
        table.add_column(name, justify="left" if name in ("group", "differs in") else "right")
    for group in described:
        differing = "\n".join(f"{key} {value}" for key, value in group["config"].items())
        values = [
            plus_minus(group["metrics"][name], len(group["runs"]))
            if name in group["metrics"]
            else ""
            for name in names
        ]
        row = [group["group"], str(len(group["runs"])), differing, *values]
        table.add_row(*row, f"{group['seconds']:.1f}", str(group["looks"]))
    console = new_console()
    console.print(table)
    for line in filter(None, (verdict, f"histories: {shown(picture.absolute())}")):
        console.print(line, highlight=False, soft_wrap=True)
