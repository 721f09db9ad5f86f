"""What the command line means before LightningCLI parses it: which run, which configs, what may not be set."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from project.cli.choices import GIVEN_TO_MODEL
from project.cli.naming import difference, flag, flatten
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


@dataclass
class Arguments:
    """A command line made ready for LightningCLI.

    Attributes:
        command: One of CONFIG_COMMANDS.
        run: The folder that ``--run`` names, whose config comes before every other argument.
        experiment: What a new run is called if ``--experiment`` does not say.
        difference: What a new run's id says of how it differs from the experiment's file.
        args: For the parser.
    """

    command: str
    run: Run | None
    experiment: str
    difference: str
    args: list[str]


def read_arguments(args: list[str]) -> Arguments:
    """Interpret a command line.

    Raises:
        UserError: It cannot mean anything, or has a part that would do nothing.
    """
    command, *rest = args
    if command not in COMMANDS:
        close = get_close_matches(command, COMMANDS, n=1)
        hint = f"did you mean {close[0]}?" if close else "the command comes first"
        raise UserError(f"{command!r} is no command ({hint}): use one of {', '.join(COMMANDS)}")
    options = configs_first(
        [(plain_name(name), null_for_none(name, value)) for name, value in split_options(rest)]
    )
    given = {name for name, _ in options}
    run = next(
        (find_run(Path(value)) for name, value in reversed(options) if name == "run" and value),
        None,
    )
    if run:
        options.insert(0, ("config", str(config_of(run))))
    elif command == "describe" and "model" in given and not given & {"config", "c", "data"}:
        options.insert(0, ("data", "ImageNet"))  # the networks' papers' own shape and classes
    elif not given & {"config", "c", "model", "data"}:
        options.insert(0, ("config", str(DEFAULT_CONFIG)))
    useless = {
        "model.weights": run and "the run's checkpoint has all of them",
        "model.init_args.weights": run and "the run's checkpoint has all of them",
        "data.val_size": folds(options) and "the fold is held out",
        "experiment": run and "the run has its folder",
        "runs_dir": run and "the run has its folder",
    }
    for name in given & useless.keys():
        if useless[name]:
            raise UserError(f"--{name} would do nothing here ({useless[name]}): leave it out")
    experiment = run.experiment if run else experiment_of(options)
    args = flags(forget_replaced(options))
    return Arguments(command, run, experiment, differs(options), args)


def is_overlay(config: str) -> bool:
    """Whether a config only changes others."""
    return Path(config).parent.name == "with"


def experiment_of(options: list[tuple[str, str | None]]) -> str:
    """The name of the experiment's file, or of the model and data if there is none."""
    configs = [
        value
        for name, value in options
        if name in ("config", "c") and value and not is_overlay(value)
    ]
    names = [
        named_class(value).lower() for name, value in options if name in ("data", "model") and value
    ]
    return Path(configs[-1]).stem if configs else "_".join(names)


def differs(options: list[tuple[str, str | None]]) -> str:
    """How overlays and flags change the experiment's file, as part of a run's id."""
    files: list[dict[str, Any]] = []
    changes: list[dict[str, Any]] = []
    for name, value in options:
        if name in ("config", "c") and value:
            (changes if is_overlay(value) else files).append(read_config(Path(value)))
        elif name:
            changes.append(flag(name, value))
    if not files:  # then the experiment is called after these
        files = [change for change in changes if change.keys() <= {"model", "data"}]
    return difference(files, changes)


def folds(options: list[tuple[str, str | None]]) -> bool:
    """Whether a flag or config asks for cross-validation."""
    configs = [
        flatten(read_config(Path(value)))
        for name, value in options
        if name in ("config", "c") and value
    ]
    return any(name == "data.num_folds" for name, _ in options) or any(
        c.get("data.num_folds") for c in configs
    )


def plain_name(name: str) -> str:
    """``model`` for ``model.class_path``, and all other names as they are."""
    key = name.removesuffix(".class_path")
    return key if key in CLASS_KEYS else name


def configs_first(options: list[tuple[str, str | None]]) -> list[tuple[str, str | None]]:
    """Options with configs before all flags, which win over them wherever they stand."""
    parts: list[list[tuple[str, str | None]]] = []
    for name, value in options:
        if name or not parts:
            parts.append([])
        parts[-1].append((name, value))
    parts.sort(key=lambda part: part[0][0] not in ("config", "c"))
    return [option for part in parts for option in part]


def split_options(args: list[str]) -> Iterator[tuple[str, str | None]]:
    """Options as (name without dashes, value); further values of an option have the name ''."""
    words = iter(args)
    pending: str | None = None
    for word in words:
        if not word.startswith("-") or word[1:2].isdigit():
            yield (pending if pending is not None else "", word)
            pending = None
            continue
        if pending is not None:
            yield pending, None
            pending = None
        name, equals, value = word.lstrip("-").partition("=")
        if equals:
            yield name, value
        else:
            pending = name
    if pending is not None:
        yield pending, None


def flags(options: list[tuple[str, str | None]]) -> list[str]:
    """The inverse of `split_options`."""
    words = []
    for name, value in options:
        if name:
            words.append(f"-{name}" if len(name) == 1 else f"--{name}")
        if value is not None:
            words.append(value)
    return words


def forget_replaced(options: list[tuple[str, str | None]]) -> list[tuple[str, str | None]]:
    """Make a class that replaces another start from its own defaults, where jsonargparse keeps like-named arguments.

    Without this, ``--optimizer AdamW`` over a config with SGD would train with SGD's learning rate.

    Raises:
        UserError: A linked argument is set, or a config cannot be read.
    """
    result: list[tuple[str, str | None]] = []
    current = dict(GIVEN_TO_MODEL)
    for name, value in options:
        content: dict[str, Any] = {}
        if name in ("config", "c") and value:
            content = read_config(Path(value))
            model = content.get("model")
            linked = (model.get("init_args") or {}) if isinstance(model, dict) else {}
            refuse_linked(linked, f"in {value}")
            refuse_nulls(content, f"in {value}")
        elif name in CLASS_KEYS and value:
            content = flag(name, value)
            refuse_nulls(content, f"--{name}")
        elif name.startswith("model."):
            refuse_linked(
                [name.removeprefix("model.").removeprefix("init_args.").split(".")[0]], f"--{name}"
            )
        chosen = {key: new for key in CLASS_KEYS if (new := class_name(content.get(key)))}
        for key, new in chosen.items():
            if current.get(key, new) != new:
                result.append((key, CLASS_KEYS[key]))
            current[key] = new
        result.append((name, value))
    return result


def class_name(value: Any) -> str:
    """The last part of a class path, given as such or as a dict with it; '' if there is none."""
    path = value.get("class_path") if isinstance(value, dict) else value
    return path.rsplit(".", 1)[-1] if isinstance(path, str) else ""


def named_class(word: str) -> str:
    """The last part of a class path in a flag, which may be YAML: ``{class_path: MLP}``."""
    return class_name(flag("model", word)["model"])


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
