"""Building a command's Trainer: callbacks, loggers and plugins, adapted to this machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar, WeightAveraging

from project import callbacks
from project.cli.machine import adapt, adapt_workers
from project.errors import UserError
from project.loggers.added import all_loggers
from project.run.checkpoint_io import SafeCheckpointIO
from project.run.distributed import bound_waiting, cluster_plugins, refuse_forked_processes
from project.run.folder import Run
from project.run.jobs import new_run

if TYPE_CHECKING:
    from project.cli.main import CLI

Options = dict[str, Any]


def open_run(cli: "CLI", suffix: str = "") -> Run:
    """The run of ``--run``, or a new one whose id says how it differs from its experiment."""
    arguments, config = cli.arguments, cli.config
    return arguments.run or new_run(
        Path(config.runs_dir),
        config.experiment or arguments.experiment,
        suffix + arguments.overrides,
    )


def fit_trainer(cli: "CLI", resume: L.Callback) -> L.Trainer:
    """The Trainer of a training, which records itself and saves checkpoints.

    Args:
        cli: Model and data have been built.
        resume: Restores the state of the run's last checkpoint.
    """
    options = trainer_options(cli, "fit")
    adapted = adapt_options(cli, options, training=True)
    theirs = options["callbacks"]
    callbacks.check_callbacks(theirs, cli.model)
    record = callbacks.RunRecorder(cli.run, cli.saved_config(), adapted)
    savers: list[L.Callback] = []
    if options["enable_checkpointing"] is not False:
        best = cli.built.model_checkpoint
        best.attach(cli.run)
        callbacks.attach_others(theirs, cli.run)
        callbacks.check_callbacks([best], cli.model)
        savers = [best, callbacks.LastCheckpoint(cli.run, **cli.config.last_checkpoint)]
    options["callbacks"] = [*theirs, *observers(cli, options), record, resume, *savers]
    return finish(cli, options, adapted)


def finder_trainer(cli: "CLI") -> L.Trainer:
    """The Trainer of ``fit --find``, on one device; nothing stays of what it trains."""
    options = trainer_options(cli, None) | {"enable_checkpointing": False}
    options |= {"devices": 1, "num_nodes": 1}
    adapted = adapt_options(cli, options, training=True)
    callbacks.check_callbacks(options["callbacks"], cli.model)
    options["callbacks"] = [*options["callbacks"], *observers(cli, options)]
    return finish(cli, options, adapted)


def evaluation_trainer(cli: "CLI", command: str, further: Sequence[L.Callback] = ()) -> L.Trainer:
    """The Trainer of a command that evaluates a checkpoint.

    Args:
        cli: Model and data have been built.
        command: One of validate, test and predict.
        further: Callbacks of the command.
    """
    options = trainer_options(cli, command) | {"enable_checkpointing": False}
    if command == "predict":
        options |= {"devices": 1, "num_nodes": 1}  # predictions come back in order
    adapted = adapt_options(cli, options, training=False)
    # The weights of a checkpoint are averaged already.
    theirs = [c for c in options["callbacks"] if not isinstance(c, WeightAveraging)]
    options["callbacks"] = [*theirs, *observers(cli, options, further)]
    return finish(cli, options, adapted)


def explaining(cli: "CLI") -> list[L.Callback]:
    """The callback of ``--explain``, for a command that evaluates."""
    return [callbacks.GradCAMPlots(cli.config.explain_layer)] if cli.config.explain else []


def trainer_options(cli: "CLI", logged_as: str | None) -> Options:
    """The config's arguments of the Trainer, with the run's folder, our plugins and loggers.

    Args:
        cli: Model and data have been built.
        logged_as: The command, for the loggers; None if nothing is logged.

    Raises:
        UserError: ``barebones`` is asked for.
    """
    options: Options = {**cli.built.trainer, "default_root_dir": str(cli.run.folder)}
    if options["barebones"]:
        raise UserError(
            "--trainer.barebones true would leave out the loggers and checkpoints of the run"
        )
    options["plugins"] = [*(options["plugins"] or []), *cluster_plugins(), SafeCheckpointIO()]
    theirs = options["callbacks"] or []
    options["callbacks"] = [theirs] if isinstance(theirs, L.Callback) else theirs
    loggers = options["logger"] if logged_as else False
    options["logger"] = all_loggers(loggers, cli.run, logged_as or "", cli.config.wandb)
    return options


def adapt_options(cli: "CLI", options: Options, training: bool) -> Options:
    """Adapt the Trainer's arguments to this machine, unless turned off; returns the changes."""
    return adapt(options, cli.model, training) if cli.config.adapt_to_machine else {}


def observers(cli: "CLI", options: Options, further: Sequence[L.Callback] = ()) -> list[L.Callback]:
    """The callbacks that every Trainer has, and those that look on."""
    seeds = callbacks.StepSeeds(cli.config.seed_everything)
    found = [cli.start, *cli.observers, *further, seeds, callbacks.OptimizerModes()]
    theirs = any(isinstance(callback, ProgressBar) for callback in options["callbacks"])
    if options["enable_progress_bar"] is not False and not theirs:
        found.append(callbacks.ProgressBar())
    return found


def finish(cli: "CLI", options: Options, adapted: Options) -> L.Trainer:
    """The Trainer with these arguments; changes for its devices are added to ``adapted``."""
    trainer = L.Trainer(**options)
    refuse_forked_processes(trainer)
    callbacks.check_whole_model(trainer)
    if cli.config.adapt_to_machine:
        adapted |= adapt_workers(cli.datamodule, trainer.num_devices)
    bound_waiting(trainer)
    return trainer
