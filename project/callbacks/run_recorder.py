"""What writes a run down: its config and environment, and each look at the test set."""

import json
import time
from pathlib import Path
from typing import Any

import lightning as L
import yaml

from project.loggers.metrics_csv import MetricsCSV
from project.loggers.wandb import WandB
from project.run.checkpoint_io import loaded_step
from project.run.folder import Run, write_atomically
from project.run.provenance import record_environment, record_test


class Start(L.Callback):
    """Knows whether the first batch has been reached: errors before that may mean a wrong flag."""

    done = False

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.done = True

    on_validation_start = on_test_start = on_predict_start = on_train_epoch_start


class Record(L.Callback):
    """Writes down what a run is: its config and environment, in its folder and in loggers.

    Args:
        run: Where to.
        config: The full merged config.
        adapted: What differs from it on this machine, by its keys.
    """

    def __init__(self, run: Run, config: dict[str, Any], adapted: dict[str, Any]) -> None:
        self.run, self.config, self.adapted = run, config, adapted
        self.environment: dict[str, Any] = {}  # from the beginning of the fit on

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        write_atomically(self.run.config, yaml.safe_dump(self.config, sort_keys=False))
        self.environment = record_environment(
            self.run, self.config["seed_everything"], self.adapted
        )
        self.began = time.monotonic()
        parameters = sum(p.numel() for p in pl_module.parameters())
        for logger in trainer.loggers:
            logger.log_hyperparams(
                {**self.config, "parameters": parameters, "git": self.environment["git"]}
            )
            if isinstance(logger, WandB) and logger.watched:
                logger.watch(
                    pl_module,
                    log=logger.watched,
                    log_freq=trainer.log_every_n_steps,
                    log_graph=False,
                )

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # A module that steps its optimisers itself logs one row a batch.
        batches = trainer.fit_loop.total_batch_idx + 1
        steps = trainer.global_step if pl_module.automatic_optimization else batches
        for logger in trainer.loggers:
            if isinstance(logger, MetricsCSV):
                logger.rewind(steps)  # a run that goes on logs the rest again

    def on_save_checkpoint(self, trainer: L.Trainer, *_: Any) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, MetricsCSV):
                logger.save()
        self.record_seconds(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.record_seconds(trainer)

    def record_seconds(self, trainer: L.Trainer) -> None:
        """Note how long this training has taken so far; what a kill cuts off since the last checkpoint is not known."""
        if trainer.is_global_zero and self.environment:
            self.environment["seconds"] = round(time.monotonic() - self.began, 2)
            write_atomically(self.run.environment, json.dumps(self.environment, indent=2))


class Ledger(L.Callback):
    """Notes a look at the test set in tests.jsonl, before anything else is done with the result.

    Args:
        run: Whose test it is.
        checkpoint: That is tested.
    """

    def __init__(self, run: Run, checkpoint: Path) -> None:
        self.run, self.checkpoint = run, checkpoint

    def on_test_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        if trainer.is_global_zero:
            result = {name: float(value) for name, value in trainer.callback_metrics.items()}
            complete = trainer.limit_test_batches == 1.0 and isinstance(
                trainer.limit_test_batches, float
            )
            self.looks = record_test(
                self.run, self.checkpoint, loaded_step(trainer), complete, result
            )
