"""Null in flags and configs: Python's word ``None`` for it, and keys that cannot be null."""

import inspect
import re
from pydoc import locate
from typing import Any

from jsonargparse import Namespace

from project.cli.naming import flatten
from project.errors import UserError

# Options whose values are files, which may have any name.
FILES = ("config", "c", "run", "images", "table", "")
# Classes that every run needs, and what to give in the place of null.
NEEDED = {
    "optimizer": "give a class of torch.optim",
    "lr_schedule": "give Constant for a rate that stays as it is",
}
UNFIT = "cannot be null: leave it out, or give a value"


def null_for_none(name: str, value: str | None) -> str | None:
    """The value of a flag, which is YAML's ``null`` if it is written as Python's ``None``."""
    return "null" if value == "None" and name not in FILES else value


def refuse_nulls(content: dict[str, Any], where: str) -> None:
    """Raise UserError if a class that a run needs is null, or a value is the word ``None``."""
    for key, value in flatten(content).items():
        if key in NEEDED and value in (None, "None"):
            raise UserError(f"{key} ({where}) is null: {NEEDED[key]}")
        if value == "None":
            raise UserError(f"{key} ({where}) is the word None: write null")


def refuse_unfit_nulls(settings: Any, key: str = "") -> None:
    """Refuse null where a type forbids it; the parser checks no arguments of classes for that.

    Raises:
        UserError: There is such a null below ``key``.
    """
    if isinstance(settings, list):
        for item in settings:
            if isinstance(item, Namespace):  # a list of words, such as labels, may have any
                refuse_unfit_nulls(item, key)
    if (
        isinstance(settings, str) and settings == "null"
    ):  # as the parser reads null where it expects text
        raise UserError(f"{key} {UNFIT}")
    if not isinstance(settings, Namespace):
        return
    for name, value in vars(settings).items():
        inner = key if name == "init_args" else f"{key}.{name}".strip(".")
        if (
            inner.removeprefix("model.") not in NEEDED or not key
        ):  # these two stand at the top level as well
            refuse_unfit_nulls(value, inner)
    for name, value in vars(settings.get("init_args") or Namespace()).items():
        if value is None and not takes_null(settings.class_path, name):
            raise UserError(f"{key}.{name} {UNFIT}")


def takes_null(class_path: str, name: str) -> bool:
    """Whether an argument of a class may be null; one without a default is set elsewhere."""
    for parent in getattr(locate(class_path), "__mro__", ()):
        argument = inspect.signature(parent).parameters.get(name)
        if argument:
            kind = argument.annotation
            named = isinstance(kind, str) and kind not in (
                "bool",
                "float",
                "int",
                "str",
            )  # of an unknown type
            fits = (
                kind is argument.empty or named or re.search(r"\b(None|Optional|Any)\b", str(kind))
            )
            return bool(fits) or argument.default in (None, argument.empty)
    return True
