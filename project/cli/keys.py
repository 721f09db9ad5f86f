"""The keys of the command line and of configs, on LightningCLI's parser."""

import re
from argparse import ArgumentError
from collections.abc import Callable, Iterable
from copy import deepcopy
from enum import Enum
from typing import Any, Literal

import torch
import yaml
from jsonargparse.typing import register_type
from lightning.pytorch.cli import LightningArgumentParser, OptimizerCallable

from project.callbacks import BestCheckpoint, LastCheckpoint
from project.cli.choices import GIVEN_TO_MODEL
from project.cli.messages import one_line
from project.errors import UserError
from project.loggers.wandb import WandB
from project.models import Objective
from project.optim import SAM, Muon, Schedule

# What signatures of Lightning have as defaults, and a config must be able to hold.
register_type(torch.device, str)
yaml.SafeDumper.add_multi_representer(
    Enum, lambda dumper, member: dumper.represent_data(member.value)
)

# A name means one of ours before one of torch.optim, which has a Muon too.
MakesOptimizer = Callable[[Iterable], Muon | SAM] | OptimizerCallable

# Keys that say what to do with a run, and are no part of its config.
NOT_OF_A_RUN = ("config", "run", "find", "speedups")

COMMON_KEYS = (
    "Common keys: --config FILE (may be repeated; later files and flags win), --run RUN, "
    "--model NAME, --objective NAME, --data NAME, --optimizer NAME, --lr_schedule NAME, "
    "--trainer.max_epochs N, --trainer.devices N, --seed_everything N. The arguments of a class "
    "follow its key, as in --optimizer.lr 0.1. All keys:"
)


def add_run_keys(parser: LightningArgumentParser) -> None:
    """Add the keys that say which run, and where."""
    parser.add_argument(
        "--run", type=str | None, help="Folder of a run, or of an experiment for its newest run."
    )
    parser.add_argument(
        "--seed_everything", type=int, default=0, help="Seed of weights, batches, augmentation."
    )
    parser.add_argument("--experiment", type=str | None, help="Name of a new run's experiment.")
    parser.add_argument("--runs_dir", type=str, default="runs", help="Where new runs go.")
    parser.add_argument(
        "--adapt_to_machine",
        type=bool,
        default=True,
        help="Do without what is slow or missing on this machine.",
    )


def add_class_keys(parser: LightningArgumentParser) -> None:
    """Add the classes that are given to the model, and the arguments for saving and logging."""
    kinds = {
        "optimizer": (MakesOptimizer, "torch.optim"),
        "lr_schedule": (Schedule, "project.optim"),
        "objective": (Objective, "project.models"),
    }
    for key, (kind, module) in kinds.items():
        default = {"class_path": f"{module}.{GIVEN_TO_MODEL[key]}"}
        action = parser.add_argument(
            f"--{key}", type=kind, default=default, help=f"Any class of {module} (or yours)."
        )
        action.sub_add_kwargs = {"fail_untyped": False}  # timm's optimisers have untyped arguments
        parser.link_arguments(key, f"model.init_args.{key}")
    for fact in ("num_classes", "input_shape"):
        parser.link_arguments(f"data.{fact}", f"model.init_args.{fact}", apply_on="instantiate")
    parser.add_lightning_class_args(BestCheckpoint, "model_checkpoint")
    for kind, key in ((LastCheckpoint, "last_checkpoint"), (WandB, "wandb")):
        parser.add_class_arguments(kind, key, skip={"run"}, instantiate=False)


def add_checkpoint(parser: Any) -> None:
    """Add ``--checkpoint``, to a command that needs one and so a run."""
    parser.add_argument("--checkpoint", type=str, default="best", help="best, last or a file.")


def add_images(parser: Any) -> None:
    """Add ``--images``."""
    parser.add_argument("--images", type=str, nargs="+", help="Image files and folders.")


def add_explain(parser: Any) -> None:
    """Add ``--explain`` and the layer that it shows."""
    parser.add_argument(
        "--explain",
        type=Literal["cam"] | None,
        help="Draw Grad-CAM of the predictions (predict) or of the worst mistakes.",
    )
    parser.add_argument(
        "--explain_layer", type=str | None, help="Layer with the maps; the last one by default."
    )


def refuse_unreadable(config: dict[str, Any], parser: LightningArgumentParser) -> None:
    """Raise UserError if a config could not be read back by the next command."""
    lost = re.search(r"Unable to serialize instance ([^'\"\n]+)", yaml.safe_dump(config))
    try:
        parser.parse_object(deepcopy(config))  # which it changes
        reason = f"it has {lost[1]}, which YAML cannot hold" if lost else ""
    except ArgumentError as error:
        reason = one_line(error)
    if reason:
        raise UserError(
            f"no later command could read this run's config ({reason}): use text and numbers"
        )
