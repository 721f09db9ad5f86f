"""The keys of the command line and of configs, on LightningCLI's parser."""

import re
from argparse import ArgumentError
from copy import deepcopy
from enum import Enum
from typing import Any

import torch
import yaml
from jsonargparse.typing import register_type
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, OptimizerCallable

from project.callbacks import BestCheckpoint, LastCheckpoint
from project.cli.arguments import TRAINER_COMMANDS
from project.cli.choices import GIVEN_TO_MODEL
from project.cli.messages import one_line
from project.cli.nulls import refuse_unfit_nulls
from project.errors import UserError
from project.loggers.wandb import WandB
from project.models import Objective
from project.optim import Schedule

# What signatures of Lightning have as defaults, and a config must be able to hold.
register_type(torch.device, str)
yaml.SafeDumper.add_multi_representer(
    Enum, lambda dumper, member: dumper.represent_data(member.value)
)


class ParserCLI(LightningCLI):
    """LightningCLI with this project's keys."""

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        loaders = {"train_dataloaders", "val_dataloaders", "dataloaders", "datamodule"}
        skipped = {"model", "ckpt_path", "weights_only", "verbose", "return_predictions", *loaders}
        return dict.fromkeys(TRAINER_COMMANDS, skipped)

    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument(
            "--seed_everything", type=int, default=0, help="Seed of weights, batches, augmentation."
        )
        parser.add_argument(
            "--run",
            type=str | None,
            help="Folder of a run, or of an experiment for its newest run.",
        )
        parser.add_argument(
            "--checkpoint",
            type=str,
            default="best",
            help="best, last or a file; fit takes the last.",
        )
        parser.add_argument(
            "--images", type=str, nargs="+", help="For predict and export: image files and folders."
        )
        parser.add_argument(
            "--format", type=str, default="onnx", help="For export: onnx or torch_export."
        )
        parser.add_argument("--output", type=str | None, help="For export: the file to write.")
        parser.add_argument(
            "--find", type=str | None, help="For fit: lr or batch_size, to find one and not train."
        )
        parser.add_argument(
            "--input_shape",
            type=tuple[int, ...] | None,
            help="For describe: channels, height, width.",
        )
        parser.add_argument(
            "--num_classes", type=int | None, help="For describe: number of classes."
        )
        parser.add_argument("--experiment", type=str | None, help="Name of a new run's experiment.")
        parser.add_argument("--runs_dir", type=str, default="runs", help="Where new runs go.")
        parser.add_argument(
            "--adapt_to_machine",
            type=bool,
            default=True,
            help="Do without what is slow or missing on this machine.",
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        kinds = {
            "optimizer": (OptimizerCallable, "torch.optim"),
            "lr_schedule": (Schedule, "project.optim"),
            "objective": (Objective, "project.models"),
        }
        for key, (kind, module) in kinds.items():
            default = {"class_path": f"{module}.{GIVEN_TO_MODEL[key]}"}
            parser.add_argument(
                f"--{key}", type=kind, default=default, help=f"Any class of {module} (or yours)."
            )
            parser.link_arguments(key, f"model.init_args.{key}")
        for fact in ("num_classes", "input_shape"):
            parser.link_arguments(f"data.{fact}", f"model.init_args.{fact}", apply_on="instantiate")
        parser.add_lightning_class_args(BestCheckpoint, "model_checkpoint")
        for kind, key in ((LastCheckpoint, "last_checkpoint"), (WandB, "wandb")):
            parser.add_class_arguments(kind, key, skip={"run"}, instantiate=False)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        self.config = parser.parse_args(args)
        refuse_unfit_nulls(self.settings)

    @property
    def settings(self) -> Any:
        """The parsed config of the command at hand."""
        return self.config[self.config.subcommand]


def refuse_unreadable(config: dict[str, Any], parser: LightningArgumentParser) -> None:
    """Raise UserError if a config that is about to be written could not be read back for the next command."""
    lost = re.search(r"Unable to serialize instance ([^'\"\n]+)", yaml.safe_dump(config))
    try:
        parser.parse_object(deepcopy(config))  # which it changes
        reason = f"it has {lost[1]}, which YAML cannot hold" if lost else ""
    except ArgumentError as error:
        reason = one_line(error)
    if reason:
        raise UserError(
            f"no later command could read this run's config ({reason}): give a value of text and numbers"
        )
