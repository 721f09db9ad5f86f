"""Record a run in its folder and its loggers: config, environment, and each use of the test set."""

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
    """Notes that the first batch was reached: an error before that may mean a wrong flag."""

    done = False

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.done = True

    on_validation_start = on_test_start = on_predict_start = on_train_epoch_start


class RunRecorder(L.Callback):
    """Writes the config and environment of a run to its folder and its loggers.

    Args:
        run: The run.
        config: The full merged config.
        adapted: Values that differ from the config on this machine, by their keys.
    """

    def __init__(self, run: Run, config: dict[str, Any], adapted: dict[str, Any]) -> None:
        self.run, self.config, self.adapted = run, config, adapted
        self.environment: dict[str, Any] = {}  # filled when training begins

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        write_atomically(self.run.config, yaml.safe_dump(self.config, sort_keys=False))
        seed = self.config["seed_everything"]
        parameters = sum(p.numel() for p in pl_module.parameters())
        self.environment = record_environment(self.run, seed, self.adapted, parameters)
        self.began = time.monotonic()
        for logger in trainer.loggers:
            git = self.environment["git"]
            logger.log_hyperparams({**self.config, "parameters": parameters, "git": git})
            if isinstance(logger, WandB):
                logger.watch_model(pl_module, every_n_steps=trainer.log_every_n_steps)

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
        """Write the seconds of training so far; a kill loses those since the last checkpoint."""
        if trainer.is_global_zero and self.environment:
            self.environment["seconds"] = round(time.monotonic() - self.began, 2)
            write_atomically(self.run.environment, json.dumps(self.environment, indent=2))


class TestLog(L.Callback):
    """Adds each evaluation on the test set to tests.jsonl, before its result is used elsewhere.

    Args:
        run: The run that is tested.
        checkpoint: The checkpoint that is tested.

    Attributes:
        num_test_evaluations: Number of entries in the log, once the test has ended.
    """

    __test__ = False  # no test for pytest to collect

    def __init__(self, run: Run, checkpoint: Path) -> None:
        self.run, self.checkpoint = run, checkpoint
        self.num_test_evaluations = 0

    def on_test_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        if trainer.is_global_zero:
            result = {name: float(value) for name, value in trainer.callback_metrics.items()}
            limit = trainer.limit_test_batches
            complete = isinstance(limit, float) and limit == 1.0
            step = loaded_step(trainer)
            self.num_test_evaluations = record_test(
                self.run, self.checkpoint, step, complete, result
            )
