"""Groups of runs that differ in their seed and fold alone."""

import json
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from project.analysis.run_result import RunResult
from project.errors import UserError
from project.run.folder import shown


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but their seed and fold.

    Attributes:
        name: The experiment's name and the overrides of its config, without seed and fold.
        results: The runs' results.
        overrides: The part of the config that is not the same in all groups that are compared.
    """

    name: str
    results: list[RunResult]
    overrides: dict[str, Any]

    def summary(self) -> dict[str, Any]:
        """Seeds, folds, metrics over the runs and costs, as plain values for JSON."""
        names = sorted({name for result in self.results for name in result.metrics})
        values = {
            name: [r.metrics[name] for r in self.results if name in r.metrics] for name in names
        }
        return {
            "seeds": [result.config["seed_everything"] for result in self.results],
            "folds": [result.config.get("data.fold") for result in self.results],
            "parameters": self.results[0].environment.get("parameters"),
            "metrics": {name: {**mean_std(v), "values": v} for name, v in values.items()},
            "seconds": round(statistics.fmean(result.seconds for result in self.results), 2),
            "num_test_evaluations": sum(len(result.test_log) for result in self.results),
        }


def mean_std(values: list[float]) -> dict[str, float | None]:
    """Mean and sample standard deviation, which is None for a single value."""
    std = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.fmean(values), "std": std}


def plus_minus(value: dict[str, Any], runs: int | None = None) -> str:
    """Mean ± standard deviation of a metric, and how many of the ``runs`` have it if not all."""
    text = f"{value['mean']:.4f}"
    if value["std"] is not None:
        text += f" ± {value['std']:.4f}"
    count = len(value["values"])
    return text if runs is None or count == runs else f"{text} ({count} of {runs})"


def in_order(names: Iterable[str]) -> list[str]:
    """Names of metrics as papers list them: accuracies before losses, test before validation."""
    return sorted(names, key=lambda name: (name.endswith("loss"), name.startswith("val"), name))


def group_runs(results: list[RunResult]) -> list[Group]:
    """Group runs by experiment and config, in the order in which they are given.

    Raises:
        UserError: The runs were trained on different classes.
    """
    refuse_different_classes(results)
    by_config: dict[str, list[RunResult]] = {}
    for result in results:
        key = json.dumps([result.run.experiment, result.config_fingerprint], sort_keys=True)
        by_config.setdefault(key, []).append(result)
    groups = list(by_config.values())
    names = [members[0].run.group for members in groups]
    configs = [members[0].config_fingerprint for members in groups]
    keys = dict.fromkeys(key for config in configs for key in config)
    differing = [k for k in keys if any(k not in c or c[k] != configs[0].get(k) for c in configs)]
    # Different runs have the same name if the code's defaults or the experiment's file changed.
    return [
        Group(
            name if names.count(name) == 1 else f"{name} ({number})",
            members,
            {key: config[key] for key in differing if key in config},
        )
        for number, (name, members, config) in enumerate(
            zip(names, groups, configs, strict=True), 1
        )
    ]


def refuse_different_classes(results: list[RunResult]) -> None:
    """Raise UserError unless all runs were trained on the same classes of the same dataset."""
    first = results[0]
    for result in results[1:]:
        for key in ("data", "data.classes"):
            if result.config.get(key) != first.config.get(key):
                a, b = (f"{shown(r.run.folder)} has {r.config['data']}" for r in (first, result))
                raise UserError(
                    f"{a} and {b}, or other classes of it: compare runs on the same classes"
                )
