"""Classes that replace others on the command line, and arguments that are linked to others."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from project.cli.choices import GIVEN_TO_MODEL
from project.cli.naming import flag
from project.cli.nulls import refuse_nulls
from project.errors import UserError

# Keys that choose a class, with the base class whose arguments alone a replaced class hands on.
CLASS_KEYS = {
    "model": "project.models.Architecture",
    "data": "project.data.ImageDataModule",
    "optimizer": "torch.optim.Optimizer",
    "lr_schedule": "project.optim.Schedule",
    "objective": "project.models.Objective",
}


# Arguments of the model that are linked to something else, so that setting them would do nothing.
LINKED = {
    "num_classes": "comes from the data; choose another --data",
    "input_shape": "comes from the data; choose another --data",
    "optimizer": "is the top-level key optimizer; use --optimizer",
    "lr_schedule": "is the top-level key lr_schedule; use --lr_schedule",
    "objective": "is the top-level key objective; use --objective",
}


def forget_replaced(
    configs: list[tuple[Path, dict[str, Any]]], options: list[list[str]]
) -> Iterator[str]:
    """The parser's words, in which a class that replaces another starts from its own defaults.

    jsonargparse keeps like-named arguments: ``--optimizer AdamW`` over a config with SGD would
    train with SGD's learning rate. The base class, named in between, keeps its own alone: a model
    hands on ``compile``, a dataset ``batch_size`` and ``augment``, an optimiser nothing.

    Raises:
        UserError: A linked argument is set, or a class that every run needs is null.
    """
    parts = [([f"--config={path}"], content, f"in {path}") for path, content in configs]
    for words, (name, value) in zip(options, pairs(options), strict=True):
        content = flag(name, value) if name in CLASS_KEYS and value else {}
        parts.append((words, content, f"--{name}"))
        if name.startswith("model."):
            key = name.removeprefix("model.").removeprefix("init_args.")
            refuse_linked([key.split(".")[0]], f"--{name}")
    current = dict(GIVEN_TO_MODEL)
    for words, content, where in parts:
        model = content.get("model")
        refuse_linked((model.get("init_args") or {}) if isinstance(model, dict) else {}, where)
        refuse_nulls(content, where)
        for key, base in CLASS_KEYS.items():
            new = class_name(content.get(key))
            if new and current.setdefault(key, new) != new:
                yield f"--{key}={base}"
                current[key] = new
        yield from words


def class_name(value: Any) -> str:
    """The last part of a class path, given as such or as a dict with it; '' if there is none."""
    path = value.get("class_path") if isinstance(value, dict) else value
    return path.rsplit(".", 1)[-1] if isinstance(path, str) else ""


def refuse_linked(keys: Any, where: str) -> None:
    """Raise UserError if one of the model's ``keys`` is linked to something else."""
    for key in keys:
        if key in LINKED:
            raise UserError(f"model.{key} ({where}) {LINKED[key]}")


def pairs(options: list[list[str]]) -> Iterator[tuple[str, str | None]]:
    """Name and value of each flag; None for one without a value, '' for words before any flag."""
    for word, *values in options:
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("-"):
            yield "", word
        else:
            yield name, value if equals else next(iter(values), None)
