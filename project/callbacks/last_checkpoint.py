"""The checkpoint that a run resumes from: when it is saved, and what a signal does."""

import math
import time
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint, StochasticWeightAveraging

from project.callbacks.interruption import Interrupted, SignalNotes
from project.errors import UserError
from project.run.checkpoint_files import remove
from project.run.folder import Run


class LastCheckpoint(Checkpoint):
    """Saves ``last.ckpt`` after epochs, at intervals within them, and when a signal ends the run.

    After epochs, it is saved as often as that takes a twentieth of the time at most, and after the
    last one always. The signals are SIGINT, SIGTERM and SIGUSR1.

    Saving is deferred where resuming would not be exact: within an accumulated batch, and between a
    training batch and its validation. A validation that takes long is preceded by a checkpoint of
    its own.

    Args:
        run: The run whose folder gets the checkpoints.
        every_n_steps: Optimiser steps between checkpoints within an epoch; None for none.
        every_n_minutes: Minutes between checkpoints within an epoch; None for none.
    """

    batches_between_asking = 10  # with several processes, since asking takes time
    long_validation = 2.0  # seconds of a validation that gets a checkpoint of its own
    max_fraction = 0.05  # of the time, for saving after epochs

    def __init__(
        self, run: Run, every_n_steps: int | None = None, every_n_minutes: float | None = 10.0
    ) -> None:
        if any(every is not None and every <= 0 for every in (every_n_steps, every_n_minutes)):
            raise UserError(
                "--last_checkpoint.every_n_steps and every_n_minutes must be positive, "
                "or null for none"
            )
        self.run, self.path, self.signals = run, run.checkpoint("last"), SignalNotes()
        self.every_n_steps, self.seconds = every_n_steps, 60 * (every_n_minutes or math.inf)
        # What all processes agree on.
        self.signum, self.late, self.validates_long, self.cheap = 0, False, True, True
        self.batches_since_asked = 0
        self.save_seconds, self.validation_seconds = 0.0, math.inf  # that the last one took
        self.saved_before_validation = False

    # ---------------------------------------------------------------- what the processes agree on

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.saved_at, self.saved_step = time.monotonic(), trainer.global_step
        for part in [*self.run.folder.rglob("*.part")] if trainer.is_global_zero else []:
            remove(part)  # left half written by a kill
        self.signals.start()

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self.signals.stop()

    def ask(self, trainer: L.Trainer, now: bool = False) -> None:
        """Ask all processes, sometimes or ``now``, for a signal and for what they measured."""
        self.batches_since_asked += 1
        since = time.monotonic() - self.saved_at
        answers = [
            self.signals.signum,
            since > self.seconds,
            self.validation_seconds > self.long_validation,
            self.max_fraction * since >= self.save_seconds,
        ]
        if trainer.world_size > 1:
            if self.batches_since_asked < self.batches_between_asking and not now:
                return
            self.batches_since_asked = 0
            asked = torch.tensor(answers, device=trainer.strategy.root_device).int()
            answers = trainer.strategy.reduce(asked, reduce_op="max").tolist()
        self.signum = answers[0]
        self.late, self.validates_long, self.cheap = map(bool, answers[1:])

    # ---------------------------------------------------------------- when to save

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, out: Any, batch: Any, batch_idx: int
    ) -> None:
        self.ask(trainer)
        steps = trainer.global_step - self.saved_step
        if self.signum or self.late or (self.every_n_steps and steps >= self.every_n_steps):
            loop = trainer.fit_loop.epoch_loop
            accumulates = (batch_idx + 1) % trainer.accumulate_grad_batches
            validates = loop._should_check_val_fx(trainer.fit_loop._data_fetcher)
            if not (accumulates or loop.batch_progress.is_last_batch or validates):
                self.save(trainer)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self.ask(trainer, now=True)
            self.validation_began = time.monotonic()
            if self.signum or self.validates_long:
                self.saved_before_validation = True
                self.save(trainer)

    def on_validation_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self.ask(trainer)
            if self.signum and self.saved_before_validation:
                raise Interrupted(self.run, self.signum)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self.saved_before_validation = False
            self.validation_seconds = time.monotonic() - self.validation_began

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.ask(trainer, now=True)
        # `fit_loop.done` would also tell, but it sets the epoch forward.
        last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        last = last or trainer.global_step == trainer.max_steps
        if last or self.cheap or self.signum or self.late:
            self.save(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if any(isinstance(c, StochasticWeightAveraging) for c in trainer.callbacks):
            self.save(trainer)  # it has just put the averaged weights into the module

    def save(self, trainer: L.Trainer) -> None:
        """Save the run as it is, and end it if there was a signal."""
        start = time.monotonic()
        trainer.save_checkpoint(self.path, weights_only=False)
        self.saved_at, self.saved_step, self.late = time.monotonic(), trainer.global_step, False
        self.save_seconds = self.saved_at - start
        if self.signum:
            raise Interrupted(self.run, self.signum)

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if (
            self.saved_before_validation
        ):  # Lightning resumes one that was cut off in its first batch
            progress = checkpoint["loops"]["fit_loop"]["epoch_loop.val_loop.batch_progress"]
            for counts in (progress["total"], progress["current"]):
                counts |= {"ready": 1, "started": 1, "processed": 0, "completed": 0}
