"""Read sweep files, which have W&B's format, so that one file serves W&B's sweeps and ours."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from project.cli.config_files import read_config
from project.cli.naming import flag
from project.commands.sweep.space import Sweep
from project.errors import UserError

REQUIRED = ("command", "method", "metric", "parameters")
KEYS = ("program", *REQUIRED, "early_terminate", "name", "description", "project")  # W&B's
METHODS = ("bayes", "random", "grid")
PARAMETER_KEYS = ("value", "values", "min", "max", "distribution")
DISTRIBUTIONS = ("constant", "categorical", "uniform", "int_uniform", "log_uniform_values")


def read_sweep(path: Path) -> Sweep:
    """The sweep in a file.

    Raises:
        UserError: It has an unknown key or value, or sweeps another command than `fit`.
    """
    content = read_config(path)
    refuse_unknown(content, KEYS, str(path))
    for key in REQUIRED:
        if not content.get(key):
            raise UserError(f"{path} lacks the key {key}: see configs/sweeps/digits.yaml")
    method, parameters = content["method"], content["parameters"]
    if method not in METHODS:
        raise UserError(f"{path}: method {method} is not one of {', '.join(METHODS)}")
    metric, maximize = read_metric(content["metric"], path)
    min_epochs, eta = read_early_terminate(content.get("early_terminate") or {}, path)
    if not isinstance(parameters, dict):
        raise UserError(
            f"{path}: parameters must be keys of fit with their values, not {parameters}"
        )
    space = {name: read_parameter(name, p, method, path) for name, p in parameters.items()}
    words = fit_words(content["command"], path)
    return Sweep(path, words, method, metric, maximize, space, min_epochs, eta)


def read_metric(metric: Any, path: Path) -> tuple[str, bool]:
    """The name of the metric, and whether it is maximized.

    Raises:
        UserError: It is not a metric of the validation set, or its goal is unknown.
    """
    refuse_unknown(metric, ("name", "goal"), f"{path}, metric")
    goal = metric.get("goal", "minimize")
    if not str(metric.get("name")).startswith("val/") or goal not in ("minimize", "maximize"):
        raise UserError(
            f"{path}: metric must have a name such as val/acc and the goal minimize or maximize; "
            "a sweep that chose by the test set would spoil it"
        )
    return metric["name"], goal == "maximize"


def read_early_terminate(early: Any, path: Path) -> tuple[int | None, int]:
    """The epochs before a trial may be stopped, None for never, and eta of successive halving.

    Raises:
        UserError: It is not W&B's hyperband with a whole number of epochs.
    """
    where = f"{path}, early_terminate"
    refuse_unknown(early, ("type", "min_iter", "eta"), where)
    min_iter, eta = early.get("min_iter"), early.get("eta", 3)
    if early and (early.get("type") != "hyperband" or not isinstance(min_iter, int)):
        raise UserError(
            f"{path}: early_terminate must have the type hyperband and a number of epochs min_iter"
        )
    if (early and min_iter < 1) or not isinstance(eta, int) or eta < 2:
        raise UserError(f"{where}: min_iter must be 1 epoch or more, and eta 2 or more")
    return min_iter, eta


def read_parameter(name: str, parameter: Any, method: str, path: Path) -> dict[str, Any]:
    """A parameter, with numbers for what YAML takes for words, such as 1e-4.

    Raises:
        UserError: Its values are not given in a known way.
    """
    where = f"{path}, parameter {name}"
    refuse_unknown(parameter, PARAMETER_KEYS, where)
    parameter = {k: flag("", v)[""] if isinstance(v, str) else v for k, v in parameter.items()}
    if not isinstance(parameter.get("values", []), list):
        raise UserError(f"{where}: values must be a list, not {parameter['values']}")
    for key in {"min", "max"} & parameter.keys():
        if not isinstance(parameter[key], int | float):
            raise UserError(f"{where}: {key} must be a number, not {parameter[key]}")
    kind = parameter.get("distribution")
    if kind is not None and kind not in DISTRIBUTIONS:
        raise UserError(f"{where}: distribution {kind} is not one of {', '.join(DISTRIBUTIONS)}")
    in_range = {"min", "max"} <= parameter.keys()
    ways = ("value" in parameter) + bool(parameter.get("values")) + in_range
    if ways != 1 or (in_range and parameter["min"] >= parameter["max"]):
        raise UserError(f"{where} must have either value, or values, or min and a greater max")
    if method == "grid" and in_range:
        raise UserError(f"{where}: a grid needs values in place of min and max")
    if kind == "log_uniform_values" and parameter.get("min", 1) <= 0:
        raise UserError(f"{where}: the logarithm needs a min above 0, not {parameter['min']}")
    return parameter


def refuse_unknown(mapping: Any, known: Iterable[str], where: str) -> None:
    """Raise UserError unless ``mapping`` is a mapping whose keys are all known."""
    if not isinstance(mapping, dict):
        raise UserError(f"{where} must have keys, not {mapping}: use {', '.join(known)}")
    for key in mapping:
        if key not in known:
            close = get_close_matches(str(key), known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"use {', '.join(known)}"
            raise UserError(f"{where} has the unknown key {key}: {hint}")


def fit_words(command: Any, path: Path) -> list[str]:
    """The words after ``fit`` in W&B's command, without ``${args}``.

    Raises:
        UserError: It runs another command.
    """
    words = [str(word) for word in command] if isinstance(command, list) else []
    if words[-1:] != ["${args}"] or words.count("fit") != 1 or "project" not in words:
        raise UserError(f"{path}: command must list -m project fit ... with ${{args}} at its end")
    return words[words.index("fit") + 1 : -1]
