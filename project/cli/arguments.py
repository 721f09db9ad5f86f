"""What must be known before the parser is built: the command, run, configs and classes."""

import argparse
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from project.cli.config_files import read_config
from project.cli.naming import flag, overrides
from project.cli.nulls import null_for_none
from project.cli.old_runs import config_of
from project.cli.replaced import CLASS_KEYS, class_name, forget_replaced, pairs
from project.commands import COMMANDS
from project.errors import UserError
from project.run.folder import Run, find_run

DEFAULT_CONFIG = Path(__file__).parent.parent.parent / "configs" / "digits.yaml"

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
    for name, value in pairs(options):
        if name.endswith(".help") and not value:
            raise UserError(f"--{name} shows the arguments of one class: give --{name} CLASS")
    given = {name for name, _ in pairs(options)}
    run = find_run(known.run) if known.run else None
    if run:
        paths = [config_of(run), *paths]
        options.append([f"--run={known.run}"])
    elif not paths and not given & {"model", "data"}:
        if not DEFAULT_CONFIG.exists():
            raise UserError(
                "an installed package has no configs: work from a clone of the repository, or give "
                "--config FILE, or --model and --data"
            )
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
    """Each flag's words; ``--model`` means ``--model.class_path``, ``None`` means ``null``."""
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
