"""How a command ends: the last line on stderr, and the exit status."""

import os
import signal
import sys
import traceback
from argparse import ArgumentError
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import torch
from lightning.pytorch.utilities import rank_zero_only

from project.callbacks import Interrupted, Start
from project.cli.messages import one_line
from project.commands import TRAINER_COMMANDS
from project.errors import UserError
from project.run.distributed import RankFailure, check_ranks, check_whole_tensors, requeue
from project.run.jobs import launcher

# Where an exception may come up, and pass through, that means a wrong flag.
LOGGERS = {"comet_ml", "litlogger", "mlflow", "wandb"}  # the packages of Lightning's loggers
LIBRARIES = {
    "jsonargparse",
    "lightning",
    "torch",
    "typeshed_client",
    "yaml",
    *LOGGERS,
    *sys.stdlib_module_names,
}
COMMAND_MODULES = {
    "project.callbacks.run_recorder",
    *(f"project.cli.{name}" for name in ("errors", "keys", "main", "trainer")),
    *(f"project.commands.{name}" for name in TRAINER_COMMANDS),
}


@contextmanager
def translated(start: Start, cli: Any = None) -> Iterator[None]:
    """Let the parser's errors through as what caused them, and on one line if a flag is to blame.

    Args:
        start: Knows whether the first batch was reached, after which no flag is to blame.
        cli: Its trainer, if it has one, knows the other processes.

    Raises:
        UserError: A library refused what it was given.
        RankFailure: Another process of the run is gone.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, RuntimeError) and hasattr(cli, "trainer"):
            check_ranks(error, cli.trainer)
            check_whole_tensors(error, cli.trainer)
        inner = original(error)
        if not start.done and not isinstance(inner, UserError) and is_refused_flag(inner):
            raise UserError(one_line(error)) from error
        if inner is error:
            raise
        raise inner from inner.__cause__


def original(error: BaseException) -> BaseException:
    """The exception that the parser wrapped while it built an object, or the exception itself."""
    while error.__cause__ and modules(error)[-1].startswith("jsonargparse."):
        error = error.__cause__
    return error


def modules(error: BaseException) -> list[str]:
    """Names of the modules that an exception came through, the last one raised it."""
    return [
        frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)
    ]


def is_refused_flag(error: BaseException) -> bool:
    """Whether a library refused its input itself, with no model, dataset or callback between."""
    names = [name for name in modules(error) if name not in COMMAND_MODULES]
    return bool(names) and all(name.split(".")[0] in LIBRARIES - {"__main__"} for name in names)


def end(error: BaseException) -> NoReturn:
    """End the process with the error's exit status; one that is not the user's is raised again.

    ===========  ========================================================================
    exit status  meaning
    ===========  ========================================================================
    2            what was typed or a file that was given is wrong, said on one line
    3            another process of the run is gone, or hangs; what was saved is whole
    128 + n      signal n ended a run that was saved: 130 Ctrl-C, 138 SIGUSR1, 143 SIGTERM;
                 of several processes the first has it, under torchrun that of each machine;
                 the others 0
    ===========  ========================================================================
    """
    if isinstance(error, Interrupted):
        name = signal.Signals(error.signum).name
        message = f"ended by {name}, everything is saved: "
        message += f"python -m project fit --run {error.run.folder}"
        if error.signum == signal.SIGUSR1 and rank_zero_only.rank == 0:
            message += requeue()
        # What started the processes takes a status for a failure, and kills the first, which has
        # more to end. torchrun on another machine would take a 0 for the end of the training.
        says = rank_zero_only.rank == 0
        leads = launcher() == "torchrun" and os.environ["LOCAL_RANK"] == "0"
        status = 128 + error.signum if says or leads else 0
    elif isinstance(error, KeyboardInterrupt):
        message, status, says = (
            "interrupted outside of training; what was saved before is there",
            130,
            True,
        )
    elif isinstance(error, RankFailure):
        message, status, says = f"error: {error}", 3, True
    elif isinstance(error, UserError | ArgumentError):
        if "PROJECT_TRACEBACK" in os.environ:
            raise error
        message, status, says = f"error: {one_line(error)}", 2, is_first()
    else:
        raise error
    if says:
        print(message, file=sys.stderr)
    sys.exit(status)


def is_first() -> bool:
    """Whether no other process of the run has come here: what is wrong for all is said once."""
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return rank_zero_only.rank == 0
    try:
        store = torch.distributed.distributed_c10d._get_default_store()
        return int(store.add("project/ended", 1)) == 1
    except RuntimeError:  # the process that holds the store is gone
        return True
