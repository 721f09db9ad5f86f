"""Sweep files: W&B's format, so that one file serves W&B's sweeps and ours."""

import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from project.cli.arguments import read_config
from project.cli.naming import flag
from project.errors import UserError

KEYS = (
    "program",
    "command",
    "method",
    "metric",
    "parameters",
    "early_terminate",
    "name",
    "description",
    "project",
)
METHODS = ("bayes", "random", "grid")
PARAMETER_KEYS = ("value", "values", "min", "max", "distribution")
DISTRIBUTIONS = ("constant", "categorical", "uniform", "int_uniform", "log_uniform_values")


@dataclass(frozen=True)
class Sweep:
    """What a sweep file says.

    Attributes:
        path: The file.
        words: Of the command line after ``fit``, without the parameters.
        method: One of METHODS.
        metric: That the best trial is best by; of the validation set.
        maximize: Whether more of it is better.
        parameters: By the key of `fit`, W&B's description of its values.
        min_epochs: That a trial trains before it may be stopped; None lets all trials train to the
            end.
        eta: Of the trials that come so far the share 1/eta trains on, eta times as long.
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
        """What its runs have as their experiment."""
        return f"sweep_{self.path.stem}"

    @property
    def corners(self) -> list[dict[str, Any]]:
        """Parameters of as few trials as have every value and every end of a range, as Optuna has them."""
        ends = {
            name: choices(p) or [p["min"], p["max"]]
            for name, p in self.parameters.items()
            if "value" not in p
        }
        most = max(map(len, ends.values()), default=1)
        return [
            {name: values[min(i, len(values) - 1)] for name, values in ends.items()}
            for i in range(most)
        ]

    @property
    def grid(self) -> list[dict[str, str]]:
        """All combinations of the values, as Optuna has them."""
        values = {name: choices(p) for name, p in self.parameters.items() if "values" in p}
        return [
            dict(zip(values, combination, strict=True))
            for combination in itertools.product(*values.values())
        ]

    @property
    def definition(self) -> str:
        """What may not change while a study goes on."""
        return json.dumps(
            [self.words, self.method, self.metric, self.maximize, self.parameters], sort_keys=True
        )

    def flags(self, trial: Any) -> list[str]:
        """Flags of `fit` with the values that an Optuna trial suggests, or had suggested before."""
        return [
            f"--{name}={suggested(trial, name, parameter)}"
            for name, parameter in self.parameters.items()
        ]


def choices(parameter: dict[str, Any]) -> list[str]:
    """Its values as JSON, since Optuna's database has no lists."""
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
    """A value in YAML's short form."""
    return value if isinstance(value, str) else json.dumps(value)


def read_sweep(path: Path) -> Sweep:
    """The sweep in a file.

    Raises:
        UserError: It has a key or value that we do not know, or sweeps something else than `fit`.
    """
    content = read_config(path)
    refuse_unknown(content, KEYS, str(path))
    for key in ("command", "method", "metric", "parameters"):
        if not content.get(key):
            raise UserError(f"{path} lacks the key {key}: see configs/sweeps/digits.yaml")
    if content["method"] not in METHODS:
        raise UserError(f"{path}: method {content['method']} is not one of {', '.join(METHODS)}")
    metric = content["metric"]
    refuse_unknown(metric, ("name", "goal"), f"{path}, metric")
    if not str(metric.get("name")).startswith("val/") or metric.get("goal", "minimize") not in (
        "minimize",
        "maximize",
    ):
        raise UserError(
            f"{path}: metric must have a name such as val/acc and the goal minimize or maximize; a sweep that chose by "
            "the test set would spoil it"
        )
    early = content.get("early_terminate") or {}
    refuse_unknown(early, ("type", "min_iter", "eta"), f"{path}, early_terminate")
    if early and (early.get("type") != "hyperband" or not isinstance(early.get("min_iter"), int)):
        raise UserError(
            f"{path}: early_terminate must have the type hyperband and a number of epochs min_iter"
        )
    if any(
        not isinstance(early.get(k, d), int) or early.get(k, d) < d
        for k, d in (("min_iter", 1), ("eta", 2))
    ):
        raise UserError(
            f"{path}, early_terminate: min_iter must be 1 epoch or more, and eta 2 or more"
        )
    if not isinstance(content["parameters"], dict):
        raise UserError(
            f"{path}: parameters must be keys of fit with their values, not {content['parameters']}"
        )
    parameters = {
        name: read_parameter(name, p, content["method"], path)
        for name, p in content["parameters"].items()
    }
    return Sweep(
        path,
        fit_words(content["command"], path),
        content["method"],
        metric["name"],
        metric.get("goal") == "maximize",
        parameters,
        early.get("min_iter"),
        early.get("eta", 3),
    )


def read_parameter(name: str, parameter: Any, method: str, path: Path) -> dict[str, Any]:
    """A parameter with numbers for what YAML takes for words, such as 1e-4.

    Raises:
        UserError: It does not say its values as we know it.
    """
    where = f"{path}, parameter {name}"
    refuse_unknown(parameter, PARAMETER_KEYS, where)
    parameter = {
        key: flag("", value)[""] if isinstance(value, str) else value
        for key, value in parameter.items()
    }
    if not isinstance(parameter.get("values", []), list):
        raise UserError(f"{where}: values must be a list, not {parameter['values']}")
    for key in {"min", "max"} & parameter.keys():
        if not isinstance(parameter[key], int | float):
            raise UserError(f"{where}: {key} must be a number, not {parameter[key]}")
    kind = parameter.get("distribution")
    if kind is not None and kind not in DISTRIBUTIONS:
        raise UserError(f"{where}: distribution {kind} is not one of {', '.join(DISTRIBUTIONS)}")
    ways = (
        ("value" in parameter)
        + bool(parameter.get("values"))
        + ({"min", "max"} <= parameter.keys())
    )
    if ways != 1 or ("min" in parameter and parameter["min"] >= parameter["max"]):
        raise UserError(f"{where} must have either value, or values, or min and a greater max")
    if method == "grid" and "min" in parameter:
        raise UserError(f"{where}: a grid needs values in place of min and max")
    if kind == "log_uniform_values" and parameter.get("min", 1) <= 0:
        raise UserError(f"{where}: the logarithm needs a min above 0, not {parameter['min']}")
    return parameter


def refuse_unknown(mapping: Any, known: Iterable[str], where: str) -> None:
    """Raise UserError if ``mapping`` is none, or has a key that is not known."""
    if not isinstance(mapping, dict):
        raise UserError(f"{where} must have keys, not {mapping}: use {', '.join(known)}")
    for key in mapping:
        if key not in known:
            close = get_close_matches(str(key), known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"use {', '.join(known)}"
            raise UserError(f"{where} has the unknown key {key}: {hint}")


def fit_words(command: Any, path: Path) -> list[str]:
    """Arguments of `fit` in W&B's command.

    Raises:
        UserError: It runs something else.
    """
    words = [str(word) for word in command] if isinstance(command, list) else []
    if words[-1:] != ["${args}"] or words.count("fit") != 1 or "project" not in words:
        raise UserError(
            f"{path}: command must be a list with -m project fit ... and ${{args}} at its end"
        )
    return words[words.index("fit") + 1 : -1]
