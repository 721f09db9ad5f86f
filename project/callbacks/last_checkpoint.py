"""The checkpoint that a run goes on from: when it is saved, and what a signal does."""

import math
import signal
import time
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint

from project.errors import UserError
from project.run.folder import Run


class Interrupted(Exception):
    """A signal ended a run, which was saved.

    Args:
        run: It goes on by ``fit --run``.
        signum: The signal; the exit status is 128 more.
    """

    def __init__(self, run: Run, signum: int) -> None:
        super().__init__(run, signum)
        self.run, self.signum = run, signum


class LastCheckpoint(Checkpoint):
    """Saves ``last.ckpt`` after epochs, at intervals within them, and when SIGINT, SIGTERM or SIGUSR1 ends the run.

    After epochs, it is saved as often as that takes a twentieth of the time at most, and after the
    last one always.

    What is due waits where a resumed run would do otherwise than an uninterrupted one: within an
    accumulated batch, and between a training batch and a validation. One that takes long is
    preceded by a checkpoint of its own.

    Args:
        run: Whose checkpoints they are.
        every_n_steps: Optimiser steps between checkpoints within an epoch; None for none.
        every_n_minutes: Minutes between checkpoints within an epoch; None for none.
    """

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    batches_until_asked = (
        10  # all processes stop after the same batch, and to ask them at each would take time
    )
    long = 2.0  # seconds
    share = 0.05  # of the time, that saving after epochs may take

    def __init__(
        self, run: Run, every_n_steps: int | None = None, every_n_minutes: float | None = 10.0
    ) -> None:
        if any(every is not None and every <= 0 for every in (every_n_steps, every_n_minutes)):
            raise UserError(
                "--last_checkpoint.every_n_steps and every_n_minutes must be positive, or null for none"
            )
        self.run, self.path = run, run.checkpoint("last")
        self.every_n_steps, self.seconds = every_n_steps, 60 * (every_n_minutes or math.inf)
        self.noted = 0  # the signal that this process was given
        self.signum, self.late, self.long_validation, self.pays = (
            0,
            False,
            True,
            True,
        )  # what the processes agree on
        self.cost = 0.0  # seconds that the last save took
        self.unasked = 0
        self.validation = math.inf  # seconds that the last one took
        self.validates_next = False
        self.handlers: dict[signal.Signals, Any] = {}

    # ---------------------------------------------------------------- signals

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.saved_at, self.saved_step = time.monotonic(), trainer.global_step
        for part in self.run.folder.rglob("*.part") if trainer.is_global_zero else []:
            part.unlink(missing_ok=True)  # of a file that a kill left half written
        # Lightning has set its own by now.
        self.handlers = {signum: signal.signal(signum, self.note) for signum in self.signals}

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        for signum, handler in self.handlers.items():
            signal.signal(signum, handler)
        self.handlers = {}

    def note(self, signum: int, *_: Any) -> None:
        """Remember a signal; a second Ctrl-C stops at once."""
        self.noted = signum
        if signum == signal.SIGINT:
            signal.signal(signum, signal.default_int_handler)

    def ask(self, trainer: L.Trainer, now: bool = False) -> None:
        """Learn whether any process was given a signal or thinks that a checkpoint is due."""
        self.unasked += 1
        since = time.monotonic() - self.saved_at
        answers = [
            self.noted,
            since > self.seconds,
            self.validation > self.long,
            self.share * since >= self.cost,
        ]
        if trainer.world_size > 1:
            if self.unasked < self.batches_until_asked and not now:
                return
            self.unasked = 0
            device = trainer.strategy.root_device
            answers = trainer.strategy.reduce(
                torch.tensor(answers, device=device).int(), reduce_op="max"
            ).tolist()
        self.signum = answers[0]
        self.late, self.long_validation, self.pays = map(bool, answers[1:])

    # ---------------------------------------------------------------- when to save

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        self.ask(trainer)
        steps = trainer.global_step - self.saved_step
        if self.signum or self.late or (self.every_n_steps and steps >= self.every_n_steps):
            loop = trainer.fit_loop.epoch_loop
            accumulates = (batch_idx + 1) % trainer.accumulate_grad_batches
            ends = loop.batch_progress.is_last_batch or loop._should_check_val_fx(
                trainer.fit_loop._data_fetcher
            )
            if not accumulates and not ends:
                self.save(trainer)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self.ask(trainer, now=True)
            self.validation_began = time.monotonic()
            if self.signum or self.long_validation:
                self.validates_next = True
                self.save(trainer)

    def on_validation_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self.ask(trainer)
            if self.signum and self.validates_next:
                raise Interrupted(self.run, self.signum)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self.validates_next = False
            self.validation = time.monotonic() - self.validation_began

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.ask(trainer, now=True)
        # `fit_loop.done` would also tell, but it sets the epoch forward.
        last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if (
            self.pays
            or self.signum
            or self.late
            or last
            or trainer.global_step == trainer.max_steps
        ):
            self.save(trainer)

    def save(self, trainer: L.Trainer) -> None:
        """Save the run as it is, and end it if a signal says so."""
        start = time.monotonic()
        trainer.save_checkpoint(self.path, weights_only=False)
        self.cost = time.monotonic() - start
        self.saved_at, self.saved_step, self.late = time.monotonic(), trainer.global_step, False
        if self.signum:
            raise Interrupted(self.run, self.signum)

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if (
            self.validates_next
        ):  # let Lightning think that the validation was cut off in its first batch
            progress = checkpoint["loops"]["fit_loop"]["epoch_loop.val_loop.batch_progress"]
            for counts in (progress["total"], progress["current"]):
                counts |= {"ready": 1, "started": 1, "processed": 0, "completed": 0}
