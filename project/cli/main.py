"""The command line: LightningCLI without its subcommands, with a run folder under every command."""

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import lightning as L
import yaml
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities import rank_zero_only

from project import callbacks
from project.cli.arguments import Arguments, read_arguments
from project.cli.choices import check_rules, resolve
from project.cli.errors import end, translated
from project.cli.folder_command import STRICT, run_folder_command
from project.cli.keys import (
    COMMON_KEYS,
    NOT_OF_A_RUN,
    add_class_keys,
    add_run_keys,
    refuse_unreadable,
)
from project.cli.startup import quieten
from project.cli.summary import named
from project.commands import FOLDER_COMMANDS, import_command, usage
from project.data.workers import end_workers
from project.loggers.wandb import WandB
from project.models.pretrained import skip_pretrained
from project.run.checkpoint_io import loaded_step
from project.run.folder import Run
from project.run.jobs import remove_run


class CLI(LightningCLI):
    """A parsed command line; its command builds what it needs.

    Args:
        arguments: The command line.
        observers: Further callbacks, which are no part of the run's config.

    Attributes:
        config: The parsed config.
        built: Objects of the config, once `build` has made them.
        run: The run's folder.
        result: The metrics of the last evaluation.
    """

    config: Any
    built: Any
    run: Run
    result: dict[str, float]

    def __init__(self, arguments: Arguments, observers: Sequence[L.Callback] = ()) -> None:
        self.arguments, self.observers, self.start = arguments, observers, callbacks.Start()
        self.command = import_command(arguments.command)
        program = f"python -m project {arguments.command}"
        with translated(self.start):
            super().__init__(
                model_class=L.LightningModule,
                datamodule_class=L.LightningDataModule,
                subclass_mode_model=True,
                subclass_mode_data=True,
                save_config_callback=None,
                auto_configure_optimizers=False,
                # Our samplers share out batches, and evaluate each sample once.
                trainer_defaults={"use_distributed_sampler": False, "num_sanity_val_steps": 0},
                parser_kwargs={
                    "prog": program,
                    "usage": f"{program} [--KEY VALUE ...]",
                    "description": f"{self.command.__doc__} {COMMON_KEYS}",
                    **STRICT,
                },
                args=arguments.args,
                run=False,
            )

    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        add_run_keys(parser)
        if hasattr(self.command, "add_arguments"):
            self.command.add_arguments(parser)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        add_class_keys(parser)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        self.config = parser.parse_args(args)
        check_rules(self.config, self.arguments)

    def before_instantiate_classes(self) -> None:
        resolve(self.config, new=not self.arguments.run)

    def instantiate_classes(self) -> None:
        """Commands call `build` instead, because some need no model or no data."""

    def build(self, pretrained: bool = True) -> None:
        """Make the model and the data, and the Trainer's parts.

        Args:
            pretrained: Whether to load published weights; False if a checkpoint has all of them.
        """
        with nullcontext() if pretrained else skip_pretrained():
            self.built = self.parser.instantiate_classes(self.config)
        self.model, self.datamodule = self.built.model, self.built.data

    def full_config(self) -> dict[str, Any]:
        """The merged config, with all defaults."""
        return {k: value for k, value in self.dumped().items() if k not in NOT_OF_A_RUN}

    def _dump_config(self) -> None:
        if not hasattr(self, "config_dump"):  # where Lightning looks for hyperparameters
            self.config_dump = self.dumped(skip_link_targets=False)

    def dumped(self, **options: bool) -> dict[str, Any]:
        """The config as plain values; the parser has validated it, which takes half of a dump."""
        options |= {"skip_none": False, "skip_validation": True}
        return yaml.safe_load(self.parser.dump(self.config, format="yaml", **options))

    def saved_config(self) -> dict[str, Any]:
        """Everything that a later command on the run needs to build the same again."""
        config = self.full_config()
        config["data"].setdefault("init_args", {}).update(
            getattr(self.datamodule, "resolved_args", {})
        )
        refuse_unreadable(config, self.parser)
        return config

    @property
    def checkpoint(self) -> Path:
        """The file that ``--checkpoint`` names."""
        return self.run.checkpoint(self.config.checkpoint)

    def evaluate(self, command: str, checkpoint: Path) -> dict[str, str]:
        """Run ``validate`` or ``test``: the metrics go to `result`; gives a row for the summary."""
        getattr(self.trainer, command)(
            self.model,
            datamodule=self.datamodule,
            ckpt_path=str(checkpoint),
            weights_only=True,
            verbose=False,
        )
        self.result = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
        values = ", ".join(f"{name} {value:.4f}" for name, value in self.result.items())
        name = named(checkpoint, self.run, self.config.model_checkpoint)
        return {command: f"{values} ({name}, step {loaded_step(self.trainer)})"}

    def close(self, failed: bool) -> None:
        """End loggers and workers, and leave no folder of a new run that never began."""
        if failed:
            end_workers()
        for logger in self.trainer.loggers if hasattr(self, "trainer") else []:
            if isinstance(logger, WandB):
                logger.close(exit_code=int(failed))
        new = hasattr(self, "run") and not self.arguments.run and rank_zero_only.rank == 0
        if not failed or not new:
            return
        if not self.run.metrics.exists() and not list(self.run.checkpoints.glob("*.ckpt")):
            remove_run(self.run)


def run_command(words: list[str], observers: Sequence[L.Callback] = ()) -> CLI:
    """Run a command on a config.

    Args:
        words: The command and its arguments.
        observers: Further callbacks.
    """
    cli, failed = CLI(read_arguments(words), observers), True
    try:
        with translated(cli.start, cli):
            cli.command.run(cli)
        failed = False
    finally:
        cli.close(failed)
    return cli


def main(args: list[str] | None = None) -> CLI | None:
    """Run a command line, ``sys.argv`` by default.

    `end` has the exit statuses: an error of the user ends in one line on stderr and status 2. With
    the environment variable PROJECT_TRACEBACK set, errors show their traceback.
    """
    words = sys.argv[1:] if args is None else args
    quieten()
    if not words or words[0] in ("-h", "--help"):
        print(usage())
        return None
    try:
        if words[0] not in FOLDER_COMMANDS:
            return run_command(words)
        run_folder_command(*words)
        return None
    except (Exception, KeyboardInterrupt) as error:
        end(error)
