"""Rules on what the classes of a parsed config do with each other."""

import inspect
import os
from pathlib import Path
from pydoc import locate
from typing import TYPE_CHECKING, Any

from project.callbacks import refuse_xla_profiler
from project.cli.nulls import refuse_unfit_nulls
from project.cli.preprocessing import follow_weights
from project.errors import UserError
from project.loggers.added import absolute_folders
from project.models.pretrained import is_path

if TYPE_CHECKING:
    from project.cli.arguments import Arguments

# Top-level keys that are given to the model, with the class that they have by default.
GIVEN_TO_MODEL = {
    "objective": "Classification",
    "optimizer": "AdamW",
    "lr_schedule": "Constant",
}


def check_rules(config: Any, arguments: "Arguments") -> None:
    """Raise UserError if a parsed config is contradictory or has a part without any effect."""
    refuse_unfit_nulls(config)
    if "checkpoint" in config and not arguments.run:
        name = arguments.command
        raise UserError(
            f"{name} needs --run: give the folder of a run, or of an experiment for its newest run"
        )
    run = arguments.run
    useless = {
        "run": config.get("find") and run and "--find tries a config",
        "model.weights": run and "the run's checkpoint has all of them",
        "model.init_args.weights": run and "the run's checkpoint has all of them",
        "data.val_size": (config.data.get("init_args") or {}).get("num_folds")
        and "the fold is held out",
        "explain_layer": not config.get("explain") and "it needs --explain cam",
        "experiment": run and "the run has its folder",
        "runs_dir": run and "the run has its folder",
    }
    for name, reason in useless.items():
        if reason and name in {*arguments.given, "run"}:
            raise UserError(f"--{name} would do nothing here ({reason}): leave it out")
    refuse_xla_profiler(config.trainer.profiler)
    refuse_unused(config)


def resolve(config: Any, new: bool) -> None:
    """Set what is best in this config, and make its paths absolute, so that any folder will do.

    Args:
        config: The parsed config, which is changed.
        new: Whether it is not that of a run, which has what was resolved when the run began.
    """
    resolve_monitor(config)
    if new:
        follow_weights(config, linked=GIVEN_TO_MODEL)
    data: Any = config.data.get("init_args") or {}
    model: Any = config.model.get("init_args") or {}
    if "root" in data:
        data.root = str(Path(data.root or os.environ.get("PROJECT_DATA") or "data").absolute())
    if (weights := model.get("weights")) and is_path(weights):
        model.weights = str(Path(weights).absolute())
    absolute_folders(config.trainer.logger)


def takes(model: Any, name: str) -> bool:
    """Whether the constructor of a class takes an argument, itself or through its bases."""
    return any(name in inspect.signature(kind).parameters for kind in model.__mro__[:-1])


def refuse_unused(settings: Any) -> None:
    """Raise UserError if a top-level key is set that the model does nothing with."""
    model = locate(settings.model.class_path)
    for key, default in GIVEN_TO_MODEL.items():
        chosen = settings.get(key)
        if takes(model, key) or chosen is None:
            continue
        kind: Any = locate(chosen.class_path)
        arguments = {k: v for k, v in (chosen.get("init_args") or {}).items() if v is not None}
        usual = inspect.signature(kind).parameters
        changed = [k for k, v in arguments.items() if k in usual and usual[k].default != v]
        if chosen.class_path.rpartition(".")[2] != default or changed:
            name = settings.model.class_path.rpartition(".")[2]
            raise UserError(
                f"--{key} would do nothing here, because {name} takes no {key}: leave it out"
            )


def resolve_monitor(settings: Any) -> None:
    """Let the objective, or else the model's class, say what the best checkpoint is chosen by.

    A module without the attributes ``monitor`` and ``mode`` keeps its latest checkpoint as best.
    """
    best = settings.model_checkpoint
    model: Any = locate(settings.model.class_path)
    if best.monitor is not None:
        least = any(word in best.monitor for word in ("loss", "error", "mae", "mse"))
        best.mode = best.mode or ("min" if least else "max")
        return
    source: Any = locate(settings.objective.class_path) if takes(model, "objective") else model
    best.monitor, best.mode = getattr(source, "monitor", None), getattr(source, "mode", "min")
