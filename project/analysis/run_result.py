"""The results of a finished run, read from its folder."""

import csv
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from project.cli.config_files import read_config
from project.cli.naming import NON_SEMANTIC_KEYS, flatten
from project.errors import UserError
from project.run.folder import REPEATS, Run, find_run, shown


@dataclass(frozen=True)
class RunResult:
    """The results of a run, each read from its file when it is first needed."""

    run: Run

    @cached_property
    def config(self) -> dict[str, Any]:
        """The full config by dotted keys."""
        return flatten(read_config(self.run.config))

    @cached_property
    def environment(self) -> dict[str, Any]:
        """The content of environment.json; empty without it."""
        path = self.run.environment
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    @cached_property
    def history(self) -> list[dict[str, str]]:
        """Rows of metrics.csv without empty cells."""
        rows = read_csv(self.run.metrics) if self.run.metrics.exists() else []
        return [{name: value for name, value in row.items() if value} for row in rows]

    @cached_property
    def test_log(self) -> list[dict[str, Any]]:
        """Every evaluation on the test set, the oldest first.

        Raises:
            UserError: A line cannot be read.
        """
        path, entries = self.run.tests, []
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for number, line in enumerate(lines, 1):
            try:
                entries.append(json.loads(line))
            except json.JSONDecodeError:
                raise UserError(
                    f"{shown(path)}, line {number} is no whole JSON: fix or delete the line"
                ) from None
        return entries

    @property
    def test_result(self) -> dict[str, Any] | None:
        """The last entry for the whole test set; None without one, or if training went on."""
        whole = [entry for entry in self.test_log if entry.get("complete", True)]
        if not whole:
            return None
        best = (self.environment.get("best") or {}).get("step")
        steps = {"best.ckpt": best, "last.ckpt": self.environment.get("steps")}
        current = steps.get(Path(whole[-1]["checkpoint"]).name)
        up_to_date = current is None or whole[-1].get("step", current) == current
        return whole[-1] if up_to_date else None

    @property
    def metrics(self) -> dict[str, float]:
        """Validation metrics of the best checkpoint, and the metrics of `test_result`."""
        best = self.environment.get("best") or self.best_row
        validation = {k: float(v) for k, v in best.items() if k.startswith("val/")}
        tested = self.test_result or {}
        return validation | {k: v for k, v in tested.items() if k.startswith("test/")}

    @property
    def best_row(self) -> dict[str, str]:
        """The row of the history with the best validation so far, for a run that has not ended."""
        monitor = self.config["model_checkpoint.monitor"]
        choose = min if self.config["model_checkpoint.mode"] == "min" else max
        rows = [row for row in self.history if monitor in row and "val/loss" in row]
        return choose(rows, key=lambda row: float(row[monitor]), default={})

    @property
    def environments(self) -> list[dict[str, Any]]:
        """Environments of the first start and of each resumption, if there are any."""
        return [*self.environment.get("before", []), self.environment] if self.environment else []

    @property
    def seconds(self) -> float:
        """Seconds of training, summed over resumptions."""
        return sum(part.get("seconds", 0.0) for part in self.environments)

    @property
    def epochs(self) -> int:
        """Number of epochs in the history."""
        return 1 + max((int(row["epoch"]) for row in self.history if "epoch" in row), default=-1)

    @property
    def config_fingerprint(self) -> dict[str, Any]:
        """The part of the config that runs of one group have in common."""
        return {
            k: v
            for k, v in self.config.items()
            if k not in REPEATS and not NON_SEMANTIC_KEYS.fullmatch(k)
        }

    def predictions(self, split: str) -> dict[int, dict[str, str]]:
        """Rows of ``predictions_<split>.csv`` by the sample's index.

        Raises:
            UserError: The file is missing.
        """
        path, command = self.run.sample_predictions(split), {"val": "validate"}.get(split, split)
        if not path.exists():
            folder = shown(self.run.folder)
            raise UserError(
                f"{folder} has no predictions of the {split} set: "
                f"python -m project {command} --run {folder}"
            )
        return {int(row["index"]): row for row in read_csv(path)}


def read_csv(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file by the names of its columns."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_runs(paths: list[Path]) -> list[RunResult]:
    """The runs in folders of runs or of experiments, each once.

    Raises:
        UserError: A folder holds no run.
    """
    found: dict[Path, RunResult] = {}
    for path in paths:
        configs = [] if (path / "config.yaml").is_file() else sorted(path.glob("*/config.yaml"))
        # A glob also gives files, and folders that belong to a run or a sweep.
        if path.is_file() or (path.name in ("figures", "trials") and not configs):
            continue
        for run in [find_run(config.parent) for config in configs] or [find_run(path)]:
            found[run.folder] = RunResult(run)
    if not found:
        raise UserError(
            "none of these is a run: "
            "give folders runs/<experiment>/<id>, or runs/<experiment> for all"
        )
    return list(found.values())
