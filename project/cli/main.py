"""The command line: LightningCLI, with a run folder under every command."""

import os
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import lightning as L
import torch
import yaml
from lightning.pytorch.callbacks import ProgressBar, WeightAveraging
from lightning.pytorch.utilities import rank_zero_only

import project
from project import callbacks
from project.cli.arguments import FOLDER_COMMANDS, TRAINER_COMMANDS, Arguments, read_arguments
from project.cli.errors import check_lost, end, is_refused_flag, original
from project.cli.keys import ParserCLI, refuse_unreadable
from project.cli.machine import adapt, adapt_workers
from project.cli.messages import one_line
from project.cli.preflight import preflight
from project.cli.startup import quieten
from project.cli.summary import limit_reached, print_summary, refuse_nothing_to_train
from project.commands import run_folder_command
from project.commands.predict import write_results
from project.commands.tune import find
from project.data import ImageDataModule
from project.data.given_images import find_images
from project.data.workers import end_workers
from project.errors import UserError
from project.loggers.added import absolute_folders, all_loggers
from project.loggers.wandb import WandB
from project.models import ImageClassifier
from project.models.pretrained import is_name, weights_superseded
from project.run import speedups
from project.run.checkpoint_io import SafeCheckpointIO, newest_good
from project.run.distributed import bound_waiting, cluster_plugins, refuse_forked_processes
from project.run.jobs import new_run
from project.run.provenance import record_outcome

# Arguments that say what to do with a run, and are no part of its config.
NOT_OF_A_RUN = (
    "config",
    "run",
    "checkpoint",
    "images",
    "format",
    "output",
    "find",
    "input_shape",
    "num_classes",
)


class CLI(ParserCLI):
    """Builds model, data and trainer from one config, and runs a command of the Trainer on a run's folder.

    Args:
        arguments: The command line.
        observers: Further callbacks, which are no part of the run's config.
    """

    def __init__(self, arguments: Arguments, observers: Sequence[L.Callback] = ()) -> None:
        self.arguments, self.observers, self.start = arguments, observers, callbacks.Start()
        failed = True
        try:
            super().__init__(
                model_class=ImageClassifier,
                datamodule_class=ImageDataModule,
                subclass_mode_model=True,
                subclass_mode_data=True,
                save_config_callback=None,
                auto_configure_optimizers=False,
                # Our samplers share out batches among devices themselves and evaluate each sample
                # once.
                trainer_defaults={"use_distributed_sampler": False, "num_sanity_val_steps": 0},
                parser_kwargs={"exit_on_error": False, "allow_abbrev": False},
                args=arguments.args,
            )
            failed = False
        except Exception as error:
            if isinstance(error, RuntimeError) and hasattr(self, "trainer"):
                check_lost(error, self.trainer)
            inner = original(error)
            if not self.start.done and not isinstance(inner, UserError) and is_refused_flag(inner):
                raise UserError(one_line(error)) from error
            if inner is error:
                raise
            raise inner from inner.__cause__
        finally:
            self.close(failed)

    # ---------------------------------------------------------------- construction

    def before_instantiate_classes(self) -> None:
        callbacks.refuse_xla_profiler(self.settings.trainer.profiler)
        data, model = self.settings.data.init_args, self.settings.model.init_args
        # Absolute, so that the run can be used from any folder.
        data.root = str(Path(data.root or os.environ.get("PROJECT_DATA") or "data").absolute())
        if (weights := model.get("weights")) and not is_name(weights):
            model.weights = str(Path(weights).absolute())
        absolute_folders(self.settings.trainer.logger)

    def instantiate_classes(self) -> None:
        # A checkpoint that will be loaded has all weights: published ones need not be there again.
        run = self.arguments.run
        follows = run and (self.subcommand != "fit" or any(path.exists() for path in run.to_resume))
        with weights_superseded() if follows else nullcontext():
            super().instantiate_classes()

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        settings, command = self.settings, self.subcommand
        experiment = settings.experiment or self.arguments.experiment
        difference = (f"-find_{settings.find}" if settings.find else "") + self.arguments.difference
        self.run = self.arguments.run or new_run(Path(settings.runs_dir), experiment, difference)
        config = {
            **self._get(self.config_init, "trainer"),
            "default_root_dir": str(self.run.folder),
        }
        config["plugins"] = [*(config["plugins"] or []), *cluster_plugins(), SafeCheckpointIO()]
        if settings.find:  # nothing stays of what it trains
            config |= {"logger": False, "enable_checkpointing": False}
        config["logger"] = all_loggers(config["logger"], self.run, command, settings.wandb)
        if command == "predict" or settings.find:
            config |= {"devices": 1, "num_nodes": 1}  # predictions come back in order
        adapted = adapt(config, self.model, command == "fit") if settings.adapt_to_machine else {}
        observers, theirs = [self.start, *self.observers], config["callbacks"] or []
        if config["barebones"]:
            raise UserError(
                "--trainer.barebones true would leave out the loggers and checkpoints of the run"
            )
        if command == "test":
            self.test_log = callbacks.TestLog(self.run, self.checkpoint)
            observers.append(self.test_log)
        if not settings.find:
            observers += [
                kind(self.run)
                for kind in (callbacks.Figures, callbacks.Learned, callbacks.Predictions)
            ]
        if config["enable_progress_bar"] is not False:
            observers += (
                [] if any(isinstance(c, ProgressBar) for c in theirs) else [callbacks.ProgressBar()]
            )
        if command != "fit":
            config["enable_checkpointing"] = False
            # The weights of a checkpoint are averaged already.
            config["callbacks"] = [c for c in theirs if not isinstance(c, WeightAveraging)]
        else:
            callbacks.check_callbacks(theirs, self.model)
        if command == "fit" and not settings.find:
            self.resume = callbacks.Resume(self.run)
            observers += [
                callbacks.RunRecorder(self.run, self.saved_config(), adapted),
                self.resume,
            ]
        if config["enable_checkpointing"] is not False:
            best = self._get(self.config_init, "model_checkpoint")
            best.attach(self.run)
            callbacks.attach_others(theirs, self.run)
            callbacks.check_callbacks([best], self.model)
            observers += [best, callbacks.LastCheckpoint(self.run, **settings.last_checkpoint)]
        trainer = self._instantiate_trainer(config, observers)
        refuse_forked_processes(trainer)
        adapted |= (
            adapt_workers(self.datamodule, trainer.num_devices) if settings.adapt_to_machine else {}
        )
        bound_waiting(trainer)
        return trainer

    def full_config(self) -> dict[str, Any]:
        """The merged config, with all defaults."""
        text = self._parser(self.subcommand).dump(self.settings, skip_none=False, format="yaml")
        return {
            key: value for key, value in yaml.safe_load(text).items() if key not in NOT_OF_A_RUN
        }

    def saved_config(self) -> dict[str, Any]:
        """Everything that a later command on the run needs to build the same again."""
        config = self.full_config()
        config["data"]["init_args"] |= self.datamodule.found
        refuse_unreadable(config, self._parser(self.subcommand))
        return config

    # ---------------------------------------------------------------- commands

    def fit(self, model: ImageClassifier, datamodule: ImageDataModule) -> None:
        if self.settings.find:
            with speedups.applied(self.trainer, model):
                rows = find(self.settings.find, self.run, self.trainer, model, datamodule)
            print_summary(self.run, self.trainer, rows)
            return
        refuse_nothing_to_train(self.trainer)
        best, resume = self.run.checkpoint("best"), newest_good(self.run.to_resume)
        start, ckpt_path = time.monotonic(), resume and str(resume)
        with speedups.applied(self.trainer, model):
            self.trainer.fit(model, datamodule=datamodule, ckpt_path=ckpt_path, weights_only=True)
        steps = self.trainer.global_step
        trained = f"{self.trainer.current_epoch} epochs, {steps} steps"
        if resume and steps == model.loaded_step:
            limit = limit_reached(self.trainer, self.resume.stopped_early)
            rows = {"trained": f"{trained} before: complete, so nothing was done ({limit})"}
        else:
            rows = {"trained": f"{trained}, {time.monotonic() - start:.1f} s"}
        if best.exists() and not self.trainer.fast_dev_run:
            rows |= self.evaluate("validate", best)
            for logger in self.trainer.loggers:
                if isinstance(logger, WandB):
                    logger.summarise({f"best/{name}": value for name, value in self.result.items()})
                    logger.log_checkpoint(best, model.loaded_step, self.result)
            if self.trainer.is_global_zero:
                record_outcome(self.run, steps, {"step": model.loaded_step, **self.result})
        print_summary(self.run, self.trainer, rows, then="test" if best.exists() else None)

    def validate(self, model: ImageClassifier, datamodule: ImageDataModule) -> None:
        print_summary(self.run, self.trainer, self.evaluate("validate", self.checkpoint))

    def test(self, model: ImageClassifier, datamodule: ImageDataModule) -> None:
        rows = self.evaluate("test", self.checkpoint)
        if self.trainer.is_global_zero:
            count = self.test_log.num_test_evaluations
            rows["test set"] = f"evaluated on {count} time(s), with this one"
        for logger in self.trainer.loggers:
            logger.log_metrics(
                self.result, model.loaded_step - 1
            )  # steps are logged counting from 0
            logger.save()
        print_summary(self.run, self.trainer, rows)

    def predict(self, model: ImageClassifier, datamodule: ImageDataModule) -> None:
        datamodule.images = find_images(self.settings.images or [])
        batches = self.trainer.predict(
            model, datamodule=datamodule, ckpt_path=str(self.checkpoint), weights_only=True
        )
        probabilities = torch.cat([batch.float() for batch in batches or []])
        rows = write_results(
            self.run, datamodule.predict_set, probabilities, datamodule.class_names
        )
        rows["predicted"] += f" with {self.checkpoint.name}"
        print_summary(self.run, self.trainer, rows)

    @property
    def checkpoint(self) -> Path:
        """The file that ``--checkpoint`` names."""
        return self.run.checkpoint(self.settings.checkpoint)

    def evaluate(self, command: str, checkpoint: Path) -> dict[str, str]:
        """Run ``validate`` or ``test``: the metrics go to `result`; gives a row for the summary."""
        run = getattr(self.trainer, command)
        run(
            self.model,
            datamodule=self.datamodule,
            ckpt_path=str(checkpoint),
            weights_only=True,
            verbose=False,
        )
        self.result = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
        values = ", ".join(f"{name} {value:.4f}" for name, value in self.result.items())
        return {command: f"{values} ({checkpoint.name}, step {self.model.loaded_step})"}

    def close(self, failed: bool) -> None:
        """End loggers and workers, and leave no folder of a new run that never began."""
        if failed:
            end_workers()
        for logger in self.trainer.loggers if hasattr(self, "trainer") else []:
            if isinstance(logger, WandB):
                logger.close(exit_code=int(failed))
        new = (
            failed and hasattr(self, "run") and not self.arguments.run and rank_zero_only.rank == 0
        )
        if new and not self.run.metrics.exists() and not list(self.run.checkpoints.glob("*.ckpt")):
            shutil.rmtree(self.run.folder, ignore_errors=True)


class Preflight(CLI):
    """Runs a command that needs no Trainer."""

    def instantiate_classes(self) -> None:
        preflight(
            self.arguments,
            self.settings,
            lambda: self.parser.instantiate_classes(self.config)[self.subcommand],
        )

    def _run_subcommand(self, subcommand: str) -> None:
        """There is nothing to run."""


def main(args: list[str] | None = None) -> CLI | None:
    """Run a command line, ``sys.argv`` by default.

    `project.ending.end` has the exit statuses: an error of the user ends in one line on stderr and
    status 2. With the environment variable PROJECT_TRACEBACK set, errors show their traceback.
    """
    words = sys.argv[1:] if args is None else args
    quieten()
    if not words or words[0] in ("-h", "--help"):
        print(project.__doc__)
        return None
    try:
        if words[0] in FOLDER_COMMANDS:
            run_folder_command(*words)
            return None
        arguments = read_arguments(words)
        return (CLI if arguments.command in TRAINER_COMMANDS else Preflight)(arguments)
    except (Exception, KeyboardInterrupt) as error:
        end(error)
