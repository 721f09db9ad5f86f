"""What writes a run down: its last checkpoint, config and environment."""

import signal
from typing import Any

import lightning as L
import yaml
from lightning.pytorch.callbacks import Checkpoint

from project.loggers import MetricsCSV, WandB
from project.run import Run, record_environment, write_atomically


class Interrupted(Exception):
    """The user pressed Ctrl-C, and the run in the folder that it names was saved."""


class LastCheckpoint(Checkpoint):
    """Saves ``last.ckpt`` after every epoch, and on Ctrl-C after the batch at hand; a second Ctrl-C stops at once."""

    def __init__(self, run: Run) -> None:
        self.run, self.path, self.interrupted = run, run.checkpoint("last"), False

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.previous = signal.signal(signal.SIGINT, self.interrupt)

    def interrupt(self, *_: Any) -> None:
        self.interrupted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.save_checkpoint(self.path, weights_only=False)

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if self.interrupted:
            trainer.save_checkpoint(self.path, weights_only=False)
            raise Interrupted(self.run.folder)

    def on_validation_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if self.interrupted and trainer.state.fn == "fit":
            trainer.save_checkpoint(self.path, weights_only=False)
            raise Interrupted(self.run.folder)

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if stage == "fit" and hasattr(self, "previous"):
            signal.signal(signal.SIGINT, self.previous)


class Record(L.Callback):
    """Writes down what a run is: its config and environment, in its folder and in W&B.

    Args:
        run: Where to.
        config: The full merged config.
    """

    def __init__(self, run: Run, config: dict[str, Any]) -> None:
        self.run, self.config = run, config

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        write_atomically(self.run.config, yaml.safe_dump(self.config, sort_keys=False))
        environment = record_environment(self.run, self.config["seed_everything"])
        parameters = sum(p.numel() for p in pl_module.parameters())
        for logger in trainer.loggers:
            if isinstance(logger, WandB):
                logger.log_hyperparams({**self.config, "parameters": parameters, "git": environment["git"]})

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        pl_module.drop_foreign_optimizer_state(checkpoint)
        for state in checkpoint["callbacks"].values():
            if old := state.get("dirpath"):  # where the folder was moved or copied, the run still knows its best
                new = str(self.run.checkpoints)
                state |= {key: value.replace(old, new) for key, value in state.items() if isinstance(value, str)}
                state["best_k_models"] = {k.replace(old, new): v for k, v in state["best_k_models"].items()}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, MetricsCSV):
                logger.rewind(trainer.global_step)  # a run that goes on from a checkpoint logs the rest again

    def on_save_checkpoint(self, trainer: L.Trainer, *_: Any) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, MetricsCSV):
                logger.save()
