"""Sweep with Optuna, without an account: run the same command in as many processes as you like.

They share one study in a file, and may start at any time. If the process of a trial is killed,
another one resumes the trial from its checkpoint.
"""

from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from project.commands.sweep.conclusion import conclude
from project.commands.sweep.file import read_sweep
from project.commands.sweep.study import open_study, reserve
from project.commands.sweep.trial import train


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument(
        "file", type=Path, help="Sweep file in W&B's format, such as configs/sweeps/digits.yaml."
    )
    parser.add_argument(
        "--trials", type=int, default=20, help="Trials of the study, over all processes and calls."
    )
    parser.add_argument(
        "--runs_dir", type=Path, default=Path("runs"), help="Folder for the study and its runs."
    )


def run(arguments: Any) -> None:
    """Train trials of a study until it has all of them.

    Raises:
        UserError: The file is wrong, or a trial cannot be trained.
    """
    sweep = read_sweep(arguments.file)
    folder = arguments.runs_dir.absolute() / sweep.name
    study = open_study(sweep, folder)
    most = min(arguments.trials, len(sweep.grid)) if sweep.method == "grid" else arguments.trials
    while reserved := reserve(study, sweep, folder, most):
        trial, lock = reserved
        with lock:
            train(study, trial, sweep, arguments.runs_dir)
    conclude(study, sweep, folder)
