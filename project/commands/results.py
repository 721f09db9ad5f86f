"""Write results as data: configs/results/<experiment>.json from runs that were tested, and the README's table from all.

Give the runs of an experiment with several seeds, or several experiments: each group of runs gets a
file.
"""

import json
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from project.analysis.run_result import Group, Record, collect, grouped, spread
from project.errors import UserError, writing
from project.run.folder import shown, write_atomically

BEGIN, END = "<!-- results: begin -->\n", "<!-- results: end -->"
PACKAGES = ("torch", "torchvision", "lightning")


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument(
        "runs", type=Path, nargs="*", help="Folders of runs or experiments; none renders the table."
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("configs/results"), help="Of the JSON files."
    )
    parser.add_argument(
        "--readme", type=Path, default=Path("README.md"), help="File with the table."
    )


def run(arguments: Any) -> None:
    """Write the files and the table.

    Raises:
        UserError: A run was not tested, or the README has no place for the table.
    """
    by_data: dict[str, list[Record]] = {}
    for record in collect(arguments.runs) if arguments.runs else []:
        by_data.setdefault(record.config["data"], []).append(record)
    around = parts(arguments.readme)
    texts: dict[Path, str] = {}
    for group in [group for records in by_data.values() for group in grouped(records)]:
        path = arguments.folder / f"{group.name}.json"
        if path in texts:
            raise UserError(
                f"there are two results to call {shown(path.absolute())}: give their runs one by one"
            )
        texts[path] = json.dumps(summarise(group), indent=2) + "\n"
    with writing(arguments.folder):
        arguments.folder.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        write_atomically(path, text)
    write_atomically(arguments.readme, table(arguments.folder).join(around))
    for path in (*texts, arguments.readme):
        print(f"wrote {shown(path.absolute())}")


def summarise(group: Group) -> dict[str, Any]:
    """What a group of runs has come to, and everything that is needed to come to it again."""
    for record in group.records:
        folder = shown(record.run.folder)
        if not record.environments:
            raise UserError(
                f"{folder} lacks environment.json, which says what it was trained by: leave it out"
            )
        if not record.result:
            how = "trained on after its test" if record.looks else "not tested"
            raise UserError(f"{folder} was {how}: python -m project test --run {folder}")
    metrics = {}
    for name, values in group.metrics.items():
        mean, std = spread(values)
        metrics[name] = {"mean": mean, "std": std, "values": values}
    environments = [environment for record in group.records for environment in record.environments]
    return {
        "experiment": group.name,
        "metrics": metrics,
        "seeds": [record.config["seed_everything"] for record in group.records],
        "folds": [record.config.get("data.fold") for record in group.records],
        "epochs": max(record.epochs for record in group.records),
        "seconds": round(group.seconds, 1),
        "looks": group.looks,
        "device": same(environment["device"][0] for environment in environments),
        "python": same(environment["python"] for environment in environments),
        "versions": {name: same(e["packages"][name] for e in environments) for name in PACKAGES},
        "commit": same(commit(environment) for environment in environments),
        "commands": [command(record.environments[0]) for record in group.records],
    }


def same(values: Any) -> str:
    """The value of all runs, or the different ones."""
    return ", ".join(dict.fromkeys(str(value) for value in values))


def commit(environment: dict[str, Any]) -> str:
    """Of the code that a run began with."""
    git = environment["git"]
    return "unknown" if git is None else git["commit"] + (" with changes" if git["diff"] else "")


def command(environment: dict[str, Any]) -> str:
    """The command line of a run, wherever its Python was."""
    return "python " + environment["command"].partition(" ")[2]


def table(folder: Path) -> str:
    """Markdown of all results in a folder: a line for each, ordered by name."""
    lines = [
        "| experiment | test accuracy | seeds | epochs | training | device | looks at test |",
        "|---|---|---|---|---|---|---|",
    ]
    for path in sorted(folder.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        accuracy = result["metrics"]["test/acc"]
        spread = f" ± {accuracy['std']:.4f}" if accuracy["std"] is not None else ""
        cells = (
            f"[`{result['experiment']}`](configs/results/{path.name})",
            f"{accuracy['mean']:.4f}{spread}",
            repeats(result),
            result["epochs"],
            f"{result['seconds']:.1f} s",
            result["device"],
            result["looks"],
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def repeats(result: dict[str, Any]) -> str:
    """How many seeds and folds a result has."""
    seeds, folds = (
        len({value for value in result[key] if value is not None}) for key in ("seeds", "folds")
    )
    return f"{seeds}" + (f", {folds} folds" if folds else "")


def parts(readme: Path) -> tuple[str, str]:
    """What comes before and after the table.

    Raises:
        UserError: Its marks are not there.
    """
    content = readme.read_text(encoding="utf-8") if readme.exists() else ""
    before, begin, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(
            f"{readme} has no lines {BEGIN.strip()} and {END}: give another --readme, or put them there"
        )
    return before + begin, end + after
