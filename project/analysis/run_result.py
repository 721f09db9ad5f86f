"""What the folders of finished runs say, and the groups that runs make over seeds and folds."""

import csv
import json
import statistics
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from project.cli.arguments import read_config
from project.cli.naming import INCIDENTAL, flatten
from project.errors import UserError
from project.run.folder import REPEATS, Run, find_run, shown


@dataclass(frozen=True)
class Record:
    """A run as its folder tells it."""

    run: Run

    @cached_property
    def config(self) -> dict[str, Any]:
        """The full config, flat."""
        return flatten(read_config(self.run.config))

    @cached_property
    def environment(self) -> dict[str, Any]:
        return (
            json.loads(self.run.environment.read_text(encoding="utf-8"))
            if self.run.environment.exists()
            else {}
        )

    @cached_property
    def history(self) -> list[dict[str, str]]:
        """Rows of metrics.csv, without empty cells."""
        if not self.run.metrics.exists():
            return []
        with self.run.metrics.open(newline="", encoding="utf-8") as file:
            return [
                {name: value for name, value in row.items() if value}
                for row in csv.DictReader(file)
            ]

    @cached_property
    def looks(self) -> list[dict[str, Any]]:
        """Every look at the test set.

        Raises:
            UserError: A line cannot be read.
        """
        if not self.run.tests.exists():
            return []
        looks = []
        for number, line in enumerate(self.run.tests.read_text(encoding="utf-8").splitlines(), 1):
            try:
                looks.append(json.loads(line))
            except json.JSONDecodeError:
                raise UserError(
                    f"{shown(self.run.tests)}, line {number} is no whole JSON: mend or delete the line"
                ) from None
        return looks

    @property
    def result(self) -> dict[str, Any] | None:
        """The latest look at the whole test set; None if the run has trained on since, or there is none."""
        whole = [look for look in self.looks if look.get("complete", True)]
        if not whole:
            return None
        best = (self.environment.get("best") or {}).get("step")
        now = {"best.ckpt": best, "last.ckpt": self.environment.get("steps")}.get(
            Path(whole[-1]["checkpoint"]).name
        )
        return whole[-1] if now is None or whole[-1].get("step", now) == now else None

    @property
    def metrics(self) -> dict[str, float]:
        """Those of the best checkpoint on the validation set, and those of the latest look at the test set."""
        best = self.environment.get("best")
        if not best:  # the run has not come to its end: its best validation so far
            monitor, worst = (
                self.config["model_checkpoint.monitor"],
                self.config["model_checkpoint.mode"] == "min",
            )
            rows = [row for row in self.history if monitor in row and "val/loss" in row]
            best = (min if worst else max)(rows, key=lambda row: float(row[monitor]), default={})
        found = {name: float(value) for name, value in best.items() if name.startswith("val/")}
        return found | {
            name: value for name, value in (self.result or {}).items() if name.startswith("test/")
        }

    @property
    def environments(self) -> list[dict[str, Any]]:
        """The parts of environment.json for the beginning and for each time that the run went on; empty without it."""
        return [*self.environment.get("before", []), self.environment] if self.environment else []

    @property
    def seconds(self) -> float:
        """Seconds of training, over all times that the run went on."""
        return sum(part.get("seconds", 0.0) for part in self.environments)

    @property
    def epochs(self) -> int:
        return 1 + max((int(row["epoch"]) for row in self.history if "epoch" in row), default=-1)

    @property
    def meaning(self) -> dict[str, Any]:
        """The part of the config that runs of a group share."""
        return {
            k: v for k, v in self.config.items() if k not in REPEATS and not INCIDENTAL.fullmatch(k)
        }

    def predictions(self, split: str) -> dict[int, dict[str, str]]:
        """Rows of ``predictions_<split>.csv`` by the sample's index.

        Raises:
            UserError: The run has none.
        """
        path, command = self.run.sample_predictions(split), {"val": "validate"}.get(split, split)
        if not path.exists():
            folder = shown(self.run.folder)
            raise UserError(
                f"{folder} has no predictions of the {split} set: python -m project {command} --run {folder}"
            )
        with path.open(newline="", encoding="utf-8") as file:
            return {int(row["index"]): row for row in csv.DictReader(file)}


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but their seed and fold."""

    name: str
    records: list[Record]

    @property
    def metrics(self) -> dict[str, list[float]]:
        """The values of all runs that have a metric, by its name."""
        names = sorted({name for record in self.records for name in record.metrics})
        return {
            name: [r.metrics[name] for r in self.records if name in r.metrics] for name in names
        }

    @property
    def looks(self) -> int:
        return sum(len(record.looks) for record in self.records)

    @property
    def seconds(self) -> float:
        return statistics.fmean(record.seconds for record in self.records)


def spread(values: list[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation, which one value does not have."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None


def collect(paths: list[Path]) -> list[Record]:
    """The runs in folders of runs and of experiments, each once; files, which a glob may also give, are passed over.

    Raises:
        UserError: A folder holds no run.
    """
    found: dict[Path, Record] = {}
    for path in paths:
        no_run = (
            path.is_dir()
            and path.name in ("figures", "trials")
            and not list(path.glob("*/config.yaml"))
        )
        if path.is_file() or no_run:
            continue
        inside = sorted(path.glob("*/config.yaml")) if not (path / "config.yaml").is_file() else []
        for run in [find_run(config.parent) for config in inside] or [find_run(path)]:
            found[run.folder] = Record(run)
    if not found:
        raise UserError(
            "none of these is a run: give folders runs/<experiment>/<id>, or runs/<experiment> for all"
        )
    return list(found.values())


def grouped(records: list[Record]) -> list[Group]:
    """Runs by experiment and config, in the order in which they came.

    Raises:
        UserError: They do not classify the same.
    """
    first = records[0]
    for record in records[1:]:
        for key in ("data", "data.classes"):
            if record.config.get(key) != first.config.get(key):
                what = [f"{shown(r.run.folder)} has {r.config['data']}" for r in (first, record)]
                raise UserError(
                    f"{what[0]} and {what[1]}, or other classes of it: compare runs on the same classes"
                )
    groups: dict[str, list[Record]] = {}
    for record in records:
        key = json.dumps([record.run.experiment, record.meaning], sort_keys=True)
        groups.setdefault(key, []).append(record)
    names = [members[0].run.group for members in groups.values()]
    # Runs may have been called alike and be different, if the code's defaults or the experiment's
    # file have changed.
    unique = [
        name if names.count(name) == 1 else f"{name} ({i})" for i, name in enumerate(names, 1)
    ]
    return [Group(name, members) for name, members in zip(unique, groups.values(), strict=True)]


def differences(groups: list[Group]) -> list[dict[str, Any]]:
    """For each group the part of its config that is not the same in all groups."""
    configs = [group.records[0].meaning for group in groups]
    keys = dict.fromkeys(key for config in configs for key in config)
    differing = [k for k in keys if any(k not in c or c[k] != configs[0].get(k) for c in configs)]
    return [{key: config[key] for key in differing if key in config} for config in configs]
