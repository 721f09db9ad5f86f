"""Write one HTML file with all there is to see of runs, without network: for clusters without W&B, and for papers.

Several groups of runs are compared at its top, as `compare` does. What a run has not got, its part
leaves out.
"""

import base64
import io
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from project import plots
from project.analysis.run_result import Group, Record, collect, differences, grouped
from project.analysis.significance import common_split, significance
from project.commands.compare import common_folder, describe, metric_names, plus_minus, verdict
from project.commands.results import PACKAGES, command, commit
from project.errors import UserError, writing
from project.run.folder import now, shown, write_atomically

LIMIT = 3_000_000  # bytes
SIZES = (
    (1600, 82),
    (1200, 75),
    (1000, 65),
    (800, 55),
    (640, 45),
)  # of pictures: width in pixels, and WebP's quality
MOST_CLASSES = 100  # in a table; of more, half as many that are recognised worst
LOOK = ("time", "test/acc", "test/loss")
PICTURES = {
    "history": "Loss, accuracy and learning rate",
    "confusion_matrix": "Confusion matrix",
    "mistakes": "Most confident mistakes",
    "predictions": "Predictions",
    "filters": "Filters of the first layer",
    "feature_maps": "Feature maps",
}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument(
        "runs", type=Path, nargs="+", help="Folders of runs, or of experiments for all their runs."
    )
    parser.add_argument(
        "--output",
        type=Path | None,
        help="The file; report.html in the runs' common folder if None.",
    )


def run(arguments: Any) -> None:
    """Write the file.

    Raises:
        UserError: The runs do not belong together, or are too many for one file.
    """
    from jinja2 import Environment, StrictUndefined

    records = collect(arguments.runs)
    groups = grouped(records)
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(
        files("project.commands.report").joinpath("report.html").read_text(encoding="utf-8")
    )
    for width, quality in SIZES:
        facts = {
            "title": ", ".join(dict.fromkeys(record.run.experiment for record in records)),
            "time": now(),
            "comparison": comparison(groups, width, quality) if len(records) > 1 else None,
            "runs": [section(record, width, quality) for record in records],
        }
        page = template.render(facts)
        if len(page.encode()) < LIMIT:
            break
    else:
        raise UserError(
            f"a report of {len(records)} runs would be larger than {LIMIT / 1e6:.0f} MB: give fewer"
        )
    one = records[0].run.folder
    folder = one if len(records) == 1 else common_folder([record.run.folder for record in records])
    path = (arguments.output or folder / "report.html").absolute()
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, page)
    print(f"report: {shown(path)} ({len(page.encode()) / 1e6:.2f} MB)")


def comparison(groups: list[Group], width: int, quality: int) -> dict[str, Any]:
    """The table of `compare`, what its test says, and all histories."""
    described = [
        describe(group, changes) for group, changes in zip(groups, differences(groups), strict=True)
    ]
    records = [record for group in groups for record in group.records]
    said = ""
    if len(groups) == 2:
        try:
            said = verdict(groups, significance(groups[0], groups[1], common_split(records)))
        except UserError as error:
            said = f"no test between the two groups: {error}"
    drawn = io.BytesIO()
    curves = {group.name: [record.history for record in group.records] for group in groups}
    plots.save(plots.histories(curves), drawn)
    names = metric_names({name for group in described for name in group["metrics"]})
    rows = [
        {
            "group": group["group"],
            "runs": len(group["runs"]),
            "config": [f"{key} {value}" for key, value in group["config"].items()],
            "metrics": [
                plus_minus(group["metrics"][name], len(group["runs"]))
                if name in group["metrics"]
                else ""
                for name in names
            ],
            "seconds": f"{group['seconds']:.1f}",
            "looks": group["looks"],
        }
        for group in described
    ]
    return {
        "names": names,
        "rows": rows,
        "verdict": said,
        "histories": as_uri(drawn, width, quality),
    }


def section(record: Record, width: int, quality: int) -> dict[str, Any]:
    """All of one run."""
    of_split = "test" if record.result else "val"
    pictures = []
    for path in sorted(record.run.figures.glob("*.png"), key=lambda path: order(path.stem)):
        kind = path.stem.removesuffix("_test").removesuffix("_val")
        set_name = {"_test": ", test set", "_val": ", validation set"}.get(
            path.stem.removeprefix(kind), ""
        )
        stale = of_split == "test" and path.stem.endswith("_val")
        if kind in PICTURES and not stale:
            first = kind in ("history", "confusion_matrix", "mistakes")
            source = as_uri(path, width, quality)
            narrow = kind == "confusion_matrix"
            pictures.append(
                {
                    "title": PICTURES[kind] + set_name,
                    "source": source,
                    "first": first,
                    "narrow": narrow,
                }
            )
    environment = record.environments[0] if record.environments else {}  # that it began in
    rows = {}
    if environment:
        rows = {
            "command": command(environment),
            "began": environment["time"],
            "seed": environment["seed"],
            "device": ", ".join(environment["device"]),
            "python": environment["python"],
            **{name: environment["packages"].get(name, "") for name in PACKAGES},
            "commit": commit(environment),
        }
    return {
        "id": record.run.id,
        "name": f"{record.run.experiment}/{record.run.id}",
        "facts": {
            "model": record.config["model"],
            "data": record.config["data"],
            "epochs": record.epochs,
        }
        | {"seconds": f"{record.seconds:.1f}"},
        "metrics": {name: f"{record.metrics[name]:.4f}" for name in metric_names(record.metrics)},
        "pictures": pictures,
        "classes": class_table(record, of_split),
        "split": {"val": "validation", "test": "test"}[of_split],
        "looks": [
            {key: look[key] for key in ("time", "test/acc", "test/loss") if key in look}
            for look in record.looks
        ],
        "config": record.run.config.read_text(encoding="utf-8"),
        "environment": rows,
        "packages": environment.get("packages", {}),
    }


def order(stem: str) -> int:
    """The place of a picture among those of its run."""
    return next((i for i, kind in enumerate(PICTURES) if stem.startswith(kind)), len(PICTURES))


def class_table(record: Record, split: str) -> list[dict[str, Any]]:
    """For each class its number of samples, recall, precision and the class that it is most often taken for."""
    if not record.run.sample_predictions(split).exists():
        return []
    rows = record.predictions(split).values()
    names = {int(row[key]): row[f"{key}_name"] for row in rows for key in ("true", "predicted")}
    pairs = Counter((int(row["true"]), int(row["predicted"])) for row in rows)
    table: list[dict[str, Any]] = []
    for k, name in sorted(names.items()):
        samples = sum(n for (true, _), n in pairs.items() if true == k)
        predicted = sum(n for (_, guess), n in pairs.items() if guess == k)
        wrong = Counter(
            {names[guess]: n for (true, guess), n in pairs.items() if true == k != guess}
        )
        table.append(
            {
                "name": name,
                "samples": samples,
                "recall": pairs[k, k] / samples if samples else None,
                "precision": pairs[k, k] / predicted if predicted else None,
                "confused": [f"{other} ({n})" for other, n in wrong.most_common(2)],
            }
        )
    if len(table) > MOST_CLASSES:
        table.sort(key=lambda row: row["recall"] if row["recall"] is not None else 2.0)
        table = table[: MOST_CLASSES // 2]
    return table


def as_uri(picture: Path | io.BytesIO, width: int, quality: int) -> str:
    """A picture as a data URI in WebP, no wider than ``width``."""
    from PIL import Image

    with Image.open(picture) as image:
        small = image.convert("RGB")
    small.thumbnail((width, 4 * width))
    packed = io.BytesIO()
    small.save(packed, "WEBP", quality=quality, method=4)
    return f"data:image/webp;base64,{base64.b64encode(packed.getvalue()).decode()}"
