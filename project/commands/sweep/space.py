"""The space that a sweep searches, in the form that Optuna takes."""

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Sweep:
    """The content of a sweep file.

    Attributes:
        path: The file.
        words: Words of the command line after ``fit``, without the parameters.
        method: ``bayes``, ``random`` or ``grid``.
        metric: Metric of the validation set that chooses the best trial.
        maximize: Whether a greater metric is better.
        parameters: W&B's description of the values, by the key of `fit`.
        min_epochs: Epochs that a trial trains before it may be stopped; None to stop none.
        eta: Successive halving lets the best 1/eta of the trials train on, eta times as long.
    """

    path: Path
    words: list[str]
    method: str
    metric: str
    maximize: bool
    parameters: dict[str, dict[str, Any]]
    min_epochs: int | None
    eta: int

    @property
    def name(self) -> str:
        """The experiment that its runs belong to."""
        return f"sweep_{self.path.stem}"

    @property
    def corners(self) -> list[dict[str, Any]]:
        """Parameters of the fewest trials that have every value and both ends of every range."""
        ends = {
            name: choices(p) or [p["min"], p["max"]]
            for name, p in self.parameters.items()
            if "value" not in p
        }
        most = max(map(len, ends.values()), default=1)
        return [{name: v[min(i, len(v) - 1)] for name, v in ends.items()} for i in range(most)]

    @property
    def grid(self) -> list[dict[str, str]]:
        """All combinations of the values."""
        values = {name: choices(p) for name, p in self.parameters.items() if "values" in p}
        combinations = itertools.product(*values.values())
        return [dict(zip(values, combination, strict=True)) for combination in combinations]

    @property
    def definition(self) -> str:
        """The part of the file that must not change while a study goes on, as JSON."""
        parts = [self.words, self.method, self.metric, self.maximize, self.parameters]
        return json.dumps(parts, sort_keys=True)

    def flags(self, trial: Any) -> list[str]:
        """Flags of `fit` with the values that an Optuna trial suggests or had suggested before."""
        return [f"--{name}={suggested(trial, name, p)}" for name, p in self.parameters.items()]


def choices(parameter: dict[str, Any]) -> list[str]:
    """The values of a parameter as JSON, since Optuna's database has no lists."""
    return list(map(json.dumps, parameter.get("values", [])))


def suggested(trial: Any, name: str, parameter: dict[str, Any]) -> Any:
    """The value of a parameter in a trial, as it is written on the command line."""
    if "value" in parameter:
        return as_word(parameter["value"])
    if "values" in parameter:
        return as_word(json.loads(trial.suggest_categorical(name, choices(parameter))))
    low, high, kind = parameter["min"], parameter["max"], parameter.get("distribution")
    if kind == "int_uniform" or (kind is None and isinstance(low, int) and isinstance(high, int)):
        return trial.suggest_int(name, low, high)
    return trial.suggest_float(name, low, high, log=kind == "log_uniform_values")


def as_word(value: Any) -> str:
    """A value as one word of the command line."""
    return value if isinstance(value, str) else json.dumps(value)
