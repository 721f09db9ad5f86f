"""What must be known of a command line before its parser is built: command, run, configs, classes."""

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from project.cli.choices import GIVEN_TO_MODEL
from project.cli.naming import flag, overrides
from project.cli.nulls import null_for_none, refuse_nulls
from project.cli.old_runs import config_of
from project.commands import COMMANDS
from project.errors import UserError
from project.run.folder import Run, find_run

DEFAULT_CONFIG = Path(__file__).parent.parent.parent / "configs" / "digits.yaml"

# Keys that choose a class, with the base class that each forgets its arguments through.
CLASS_KEYS = {
    "model": "lightning.LightningModule",
    "data": "lightning.LightningDataModule",
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
CLASS_PATH = re.compile(rf"^--({'|'.join(CLASS_KEYS)})\.class_path(?==|$)")


@dataclass
class Arguments:
    """A command line made ready for LightningCLI.

    Attributes:
        command: One of CONFIG_COMMANDS.
        run: The folder that ``--run`` names, whose config comes before every other argument.
        experiment: What a new run is called if ``--experiment`` does not say.
        overrides: What a new run's id says of how it differs from the experiment's file.
        given: Names of the flags.
        args: For the parser.
    """

    command: str
    run: Run | None
    experiment: str
    overrides: str
    given: set[str]
    args: list[str]


def read_arguments(args: list[str]) -> Arguments:
    """Find out what a command line is about; flags win over configs wherever they stand.

    Raises:
        UserError: There is no such command, run or config, or a linked argument is set.
    """
    command, *rest = args
    if command not in COMMANDS:
        close = get_close_matches(command, COMMANDS, n=1)
        hint = f"did you mean {close[0]}?" if close else "the command comes first"
        raise UserError(f"{command!r} is no command ({hint}): use one of {', '.join(COMMANDS)}")
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-c", "--config", type=Path, action="append", default=[])
    parser.add_argument("--run", type=Path)
    known, words = parser.parse_known_args(rest)
    options, paths = split_options(words), known.config
    given = {name for name, _ in pairs(options)}
    run = find_run(known.run) if known.run else None
    if run:
        paths = [config_of(run), *paths]
        options.append([f"--run={known.run}"])
    elif not paths and not given & {"model", "data"}:
        paths = [DEFAULT_CONFIG]
    elif command == "describe" and not paths and "data" not in given:
        # The shape and the number of classes of the networks' papers.
        papers = ["--data=Digits", "--input_shape=[3,224,224]", "--num_classes=1000"]
        options = [[word] for word in papers] + options
    configs = [(path, read_config(path)) for path in paths]
    experiment, base, changes = name_parts(configs, options)
    experiment = run.experiment if run else experiment
    args = list(forget_replaced(configs, options))
    return Arguments(command, run, experiment, overrides(base, changes), given, args)


def name_parts(
    configs: list[tuple[Path, dict[str, Any]]], options: list[list[str]]
) -> tuple[str, list[dict[str, Any]], list[dict[str, Any]]]:
    """The experiment's name, its files, and how overlays and flags change them.

    The experiment is called after its file, or after model and data if there is none.
    """
    flags = [flag(name, value) for name, value in pairs(options) if name]
    files = {path.stem: content for path, content in configs if path.parent.name != "with"}
    changes = [content for path, content in configs if path.parent.name == "with"] + flags
    if files:
        return list(files)[-1], list(files.values()), changes
    base = [change for change in flags if change.keys() <= {"model", "data"}]
    names = [class_name(value).lower() for change in base for value in change.values()]
    return "_".join(filter(None, names)), base, changes


def split_options(words: list[str]) -> list[list[str]]:
    """The words of each flag, with ``--model`` for ``--model.class_path`` and ``null`` for ``None``."""
    options: list[list[str]] = []
    for word in words:
        if not options or (word.startswith("-") and not word[1:2].isdigit()):
            options.append([re.sub(CLASS_PATH, r"--\1", word)])
        else:
            options[-1].append(word)
    for option, (name, value) in zip(options, pairs(options), strict=True):
        if value is not None and null_for_none(name, value) != value:
            option[:] = [f"--{name}=null", *option[2:]]
    return options


def pairs(options: list[list[str]]) -> Iterator[tuple[str, str | None]]:
    """Name and value of each flag; None for one without a value, '' for words before the first flag."""
    for word, *values in options:
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("-"):
            yield "", word
        else:
            yield name, value if equals else next(iter(values), None)


def forget_replaced(
    configs: list[tuple[Path, dict[str, Any]]], options: list[list[str]]
) -> Iterator[str]:
    """The parser's words, in which a class that replaces another starts from its own defaults.

    jsonargparse keeps like-named arguments: ``--optimizer AdamW`` over a config with SGD would
    train with SGD's learning rate. The base class, named in between, has none to keep.

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


def read_config(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        UserError: The file is missing or is no YAML mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        byte = f"byte {error.object[error.start]:#04x} at position {error.start}"
        raise UserError(f"the config {path} is not UTF-8 ({byte}): save it as UTF-8") from None
    except OSError as error:
        near = get_close_matches(
            path.name, [p.name for p in path.parent.glob("*.yaml") if p.name != path.name], n=1
        )
        hint = f"did you mean {path.parent / near[0]}?" if near else "give the path of a YAML file"
        raise UserError(f"cannot read the config {path} ({error.strerror}): {hint}") from None
    except yaml.YAMLError as error:
        raise UserError(
            f"the config {path} is not YAML ({' '.join(str(error).split())}): mend it"
        ) from None
    if not isinstance(content, dict):
        raise UserError(
            f"the config {path} holds no keys: it must be a YAML mapping such as configs/digits.yaml"
        )
    return content
