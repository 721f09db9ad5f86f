"""The part of a report about one run."""

from collections import Counter
from typing import Any

from project.analysis.group import in_order
from project.analysis.origin import PACKAGES, command, commit
from project.analysis.paired_predictions import predicts_classes
from project.analysis.run_result import RunResult
from project.commands.report.images import Size, as_film, as_uri

MOST_CLASSES = 100  # in a table; with more classes it has half as many, those recognised worst
FIGURES = {
    "history": "Loss, accuracy and learning rate",
    "confusion_matrix": "Confusion matrix",
    "predicted": "Predicted and true values",
    "labels": "Precision, recall and F1 of each label",
    "mistakes": "Most confident mistakes",
    "predictions": "Predictions",
    "filters": "Filters of the first layer",
    "feature_maps": "Feature maps",
}
MOTIONS = {
    "boundary": "What the network says of each point",
    "descent": "The path of the optimiser",
    "neuron": "A neuron",
    "backprop": "Gradients by layer",
    "convolution": "Convolution and pooling",
    "batches": "The samples of each batch",
}
SPLITS = {"val": "validation", "test": "test"}


def section(result: RunResult, size: Size) -> dict[str, Any]:
    """The values that the template shows of a run."""
    run, config, metrics = result.run, result.config, result.metrics
    split = "test" if result.test_result else "val"
    environment = result.environments[0] if result.environments else {}
    columns = ("time", "test/acc", "test/loss")
    return {
        "name": f"{run.experiment}/{run.id}",
        "numbers": {
            **{name: f"{metrics[name]:.4f}" for name in in_order(metrics)},
            "model": config["model"],
            "data": config["data"],
            "epochs": result.epochs,
            "seconds": f"{result.seconds:.1f}",
        },
        "figures": figures(result, split, size),
        "classes": class_table(result, split),
        "split": SPLITS[split],
        "test_log": [{k: entry[k] for k in columns if k in entry} for entry in result.test_log],
        "config": run.config.read_text(encoding="utf-8"),
        "environment": environment_rows(environment) if environment else {},
        "packages": environment.get("packages", {}),
    }


def environment_rows(environment: dict[str, Any]) -> dict[str, Any]:
    """The command, code, machine and main packages that a run began with."""
    return {
        "command": command(environment),
        "began": environment["time"],
        "seed": environment["seed"],
        "device": ", ".join(environment["device"]),
        "python": environment["python"],
        **{name: environment["packages"].get(name, "") for name in PACKAGES},
        "commit": commit(environment),
    }


def figures(result: RunResult, split: str, size: Size) -> list[dict[str, Any]]:
    """The run's figures in the order of FIGURES, without those of another split than ``split``."""
    found = []
    for kind, title in FIGURES.items():
        for path in sorted(result.run.figures.glob(f"{kind}*.png")):
            suffix = path.stem.removeprefix(kind)
            if suffix not in ("", "_val", "_test") or (split == "test" and suffix == "_val"):
                continue
            of_split = f", {SPLITS[suffix[1:]]} set" if suffix else ""
            found.append(
                {
                    "title": title + of_split,
                    "source": as_uri(path, size),
                    "first": kind in ("history", "confusion_matrix", "mistakes"),
                    "narrow": kind == "confusion_matrix",
                }
            )
    for kind, title in MOTIONS.items():
        if (path := result.run.figures / f"{kind}.gif").exists():
            picture = {
                "title": title,
                "source": as_film(path, size),
                "first": False,
                "narrow": False,
            }
            found.append(picture)
    return found


def class_table(result: RunResult, split: str) -> list[dict[str, Any]]:
    """For each class its samples, recall, precision and most frequent mistakes."""
    exists = result.run.sample_predictions(split).exists()
    if not exists or not predicts_classes(result, split):
        return []
    from sklearn.metrics import precision_recall_fscore_support

    rows = result.predictions(split).values()
    names = {int(row[key]): row[f"{key}_name"] for row in rows for key in ("true", "predicted")}
    classes = sorted(names)
    true, predicted = ([int(row[key]) for row in rows] for key in ("true", "predicted"))
    precision, recall, _, samples = precision_recall_fscore_support(
        true, predicted, labels=classes, zero_division=float("nan")
    )
    mistakes: dict[int, Counter[str]] = {k: Counter() for k in classes}
    for k, other in zip(true, predicted, strict=True):
        if k != other:
            mistakes[k][names[other]] += 1
    table: list[dict[str, Any]] = [
        {
            "name": names[k],
            "samples": int(samples[i]),
            "recall": float(recall[i]),
            "precision": float(precision[i]),
            "confused": [f"{other} ({n})" for other, n in mistakes[k].most_common(2)],
        }
        for i, k in enumerate(classes)
    ]
    if len(table) > MOST_CLASSES:
        table.sort(key=lambda row: row["recall"] if row["samples"] else 2.0)
        table = table[: MOST_CLASSES // 2]
    return table
