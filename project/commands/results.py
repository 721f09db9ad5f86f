"""Write results as data: a JSON file for each group of tested runs, and the README's table of them.

Give the runs of an experiment with several seeds, or several experiments.
"""

import json
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from project.analysis.group import Group, group_runs, plus_minus
from project.analysis.origin import PACKAGES, command, commit
from project.analysis.run_result import RunResult, read_runs
from project.errors import UserError, writing
from project.run.folder import shown, write_atomically

BEGIN, END = "<!-- results: begin -->\n", "<!-- results: end -->"
HEADER = """\
| experiment | on the test set | seeds | epochs | training | device | test evaluations |
|---|---|---|---|---|---|---|
"""
WORDS = {"acc": "accuracy", "r2": "R²"}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument(
        "runs",
        type=Path,
        nargs="*",
        help="Folders of runs or experiments; without any, only the table is written anew.",
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("configs/results"), help="Folder of the JSON files."
    )
    parser.add_argument(
        "--readme", type=Path, default=Path("README.md"), help="Markdown file with the table."
    )


def run(arguments: Any) -> None:
    """Write the files and the table.

    Raises:
        UserError: A run was not tested, or the Markdown file has no marks for the table.
    """
    by_data: dict[str, list[RunResult]] = {}
    for result in read_runs(arguments.runs) if arguments.runs else []:
        by_data.setdefault(result.config["data"], []).append(result)
    before, after = around_table(arguments.readme)
    texts: dict[Path, str] = {}
    for group in [group for results in by_data.values() for group in group_runs(results)]:
        path = arguments.folder / f"{group.name}.json"
        if path in texts:
            raise UserError(
                f"there are two results to call {shown(path.absolute())}: "
                "give their runs one by one"
            )
        texts[path] = json.dumps(published(group), indent=2) + "\n"
    with writing(arguments.folder):
        arguments.folder.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        write_atomically(path, text)
    write_atomically(arguments.readme, before + table(arguments.folder) + after)
    for path in (*texts, arguments.readme):
        print(f"wrote {shown(path.absolute())}")


def published(group: Group) -> dict[str, Any]:
    """The results of a group and everything that is needed to reproduce them."""
    for result in group.results:
        refuse_untested(result)
    summary = group.summary()
    environments = [environment for r in group.results for environment in r.environments]
    return {
        "experiment": group.name,
        **{key: summary[key] for key in ("metrics", "seeds", "folds")},
        "epochs": max(result.epochs for result in group.results),
        **{key: summary[key] for key in ("seconds", "num_test_evaluations")},
        "device": distinct(environment["device"][0] for environment in environments),
        "python": distinct(environment["python"] for environment in environments),
        "versions": {p: distinct(e["packages"][p] for e in environments) for p in PACKAGES},
        "commit": distinct(commit(environment) for environment in environments),
        "commands": [command(result.environments[0]) for result in group.results],
    }


def refuse_untested(result: RunResult) -> None:
    """Raise UserError for a run that lacks its environment or a test of its present weights."""
    folder = shown(result.run.folder)
    if not result.environments:
        raise UserError(
            f"{folder} lacks environment.json, which says how it was trained: leave it out"
        )
    if not result.test_result:
        if any(entry.get("complete", True) for entry in result.test_log):
            how = "trained on after its test"
        else:
            how = "tested on a part of the data only" if result.test_log else "not tested"
        raise UserError(f"{folder} was {how}: python -m project test --run {folder}")


def distinct(values: Any) -> str:
    """The distinct values, separated by commas."""
    return ", ".join(dict.fromkeys(str(value) for value in values))


def table(folder: Path) -> str:
    """A Markdown table of all results in a folder, ordered by name."""
    lines = []
    for path in sorted(folder.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        seeds, folds = (len({v for v in result[k] if v is not None}) for k in ("seeds", "folds"))
        cells = (
            f"[`{result['experiment']}`](configs/results/{path.name})",
            score(result["metrics"]),
            f"{seeds}, {folds} folds" if folds else seeds,
            result["epochs"],
            f"{result['seconds']:.1f} s",
            result["device"],
            result["num_test_evaluations"],
        )
        lines.append(f"| {' | '.join(map(str, cells))} |\n")
    return HEADER + "".join(lines)


def score(metrics: dict[str, Any]) -> str:
    """The accuracy on the test set, or else R², or else the first metric of the test."""
    tested = [name.removeprefix("test/") for name in metrics if name.startswith("test/")]
    name = next((name for name in ("acc", "r2") if name in tested), tested[0])
    return f"{WORDS.get(name, name)} {plus_minus(metrics[f'test/{name}'])}"


def around_table(readme: Path) -> tuple[str, str]:
    """The text before and after the table in a Markdown file.

    Raises:
        UserError: The file lacks the marks around the table.
    """
    content = readme.read_text(encoding="utf-8") if readme.exists() else ""
    before, begin, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(
            f"{readme} has no lines {BEGIN.strip()} and {END}: "
            "give another --readme, or put them there"
        )
    return before + begin, end + after
