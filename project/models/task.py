"""`Task`: any training of which a batch gives the loss."""

import inspect
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from project.errors import UserError
from project.models import checks
from project.models.metric_buffer import MetricBuffer
from project.models.optimized import Optimized
from project.optim import l1_norm
from project.run.folder import run_of


class Task(Optimized):
    """Base of a training: a subclass builds its modules and writes `training_loss` and `evaluate`.

    The optimiser, its learning rate at every step, logging and checks for NaN are done here.
    Further metrics go into `eval_metrics` in the constructor, after ``super().__init__``:
    ``self.eval_metrics["mae"] = MeanMetric()``. ``val/loss`` chooses the best checkpoint unless the
    subclass sets `monitor` and `mode`.

    Args:
        l1: Factor of the sum of absolute weights that is added to the training loss; biases and
            norms are skipped.
        compile: Compile `training_loss` with ``torch.compile``.
        **kwargs: The arguments of `Optimized`: optimizer, lr_schedule, layer_decay, param_groups.
    """

    monitor: ClassVar[str] = "val/loss"
    mode: ClassVar[Literal["min", "max"]] = "min"

    def __init__(
        self,
        *,
        l1: float = 0.0,
        compile: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if l1 < 0:
            raise UserError(f"l1 is {l1}, but a penalty must not be negative")
        self.l1, self.compile_loss = l1, compile
        self.eval_metrics: Any = nn.ModuleDict({"loss": MeanMetric()})
        self.check_for_nan, self.recorded_batch = True, (-1, -1)
        self.train_metrics: dict[str, float] = {}  # as logged last, for the progress bar
        self.buffer, self.loaded_buffer = MetricBuffer(), None

    def training_loss(self, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch (a scalar), and values to log: a scalar or (N,) under each name."""
        raise NotImplementedError

    def evaluate(self, batch: Any, metrics: nn.ModuleDict) -> Any:
        """Update `metrics` with a batch; what it returns is given to callbacks as ``outputs``."""
        raise NotImplementedError

    def setup(self, stage: str) -> None:
        if self._trainer:
            checks.check_precision(self.trainer.precision)
        if stage == "fit" and self.compile_loss:  # not the module: checkpoint keys stay clean
            self.training_loss = torch.compile(self.training_loss)  # type: ignore[method-assign]

    def on_train_start(self) -> None:
        super().on_train_start()
        world_size = self.trainer.world_size
        self.buffer.load(self.loaded_buffer, self.global_rank, world_size, self.device)

    def regularization_loss(self) -> Tensor | float:
        """What the training loss adds for the weights themselves (L1)."""
        trained = (p for p in self.parameters() if p.requires_grad)
        return self.l1 * l1_norm(trained) if self.l1 else 0.0

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss, values = checks.checked_loss(self.training_loss(batch), self)
        loss = loss + self.regularization_loss()
        self.record({"loss": loss, **values}, batch_idx)
        return loss

    # Without it, Lightning inspects the method at each step: 2 % of a small model's time.
    training_step.__signature__ = inspect.signature(training_step)  # type: ignore[attr-defined]

    @property
    def finished_steps(self) -> int:
        """Optimiser steps of the run; under manual optimisation batches, of any number of steps."""
        batches = self.trainer.fit_loop.total_batch_idx
        return self.global_step if self.automatic_optimization else batches

    def record(self, values: dict[str, Tensor], batch_idx: int) -> None:
        """Keep the values of a step, and log their means every ``log_every_n_steps``."""
        if self.recorded_batch == (self.current_epoch, batch_idx):
            return  # L-BFGS and SAM evaluate a batch several times, of which the first counts
        self.recorded_batch = (self.current_epoch, batch_idx)
        self.buffer.append(values)
        step = self.finished_steps
        complete = (batch_idx + 1) % self.trainer.accumulate_grad_batches == 0
        if complete and (step + 1) % self.trainer.log_every_n_steps == 0:
            self.log_buffer(step)

    def log_buffer(self, last_step: int) -> None:
        """Log the means since the last call, and the learning rate.

        `self.log` would make Lightning look through all that it logs at every later step.
        """
        values = {name: x.float() for name, x in self.buffer.joined().items()}
        self.buffer = MetricBuffer()
        if self.check_for_nan and "loss" in values:
            checks.check_finite(values["loss"], last_step)
        means = torch.stack([x.mean() for x in values.values()])
        means = self.trainer.strategy.reduce(means, reduce_op="mean").tolist()
        self.train_metrics = {f"train/{name}": m for name, m in zip(values, means, strict=True)}
        rate = self.learning_rate(last_step)
        for logger in self.trainer.loggers:
            row = {**self.train_metrics, "lr": rate, "epoch": self.current_epoch}
            logger.log_metrics(row, last_step)

    def on_train_epoch_end(self) -> None:
        if self.buffer:
            self.log_buffer(self.finished_steps - self.automatic_optimization)
        # For callbacks that monitor them; the loggers have them.
        self.log_dict(self.train_metrics, logger=False, sync_dist=True)

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        return self.evaluate(batch, self.eval_metrics)

    test_step = validation_step

    def on_validation_epoch_end(self) -> None:
        self.log_evaluation("val")

    def on_test_epoch_end(self) -> None:
        self.log_evaluation("test")

    def log_evaluation(self, split: str) -> None:
        """Log the metrics of the whole split; commands log those of `validate` and `test`."""
        values = {f"{split}/{name}": m.compute() for name, m in self.eval_metrics.items()}
        for metric in self.eval_metrics.values():
            metric.reset()
        fitting, loss = self.trainer.state.fn == "fit", values.get("val/loss")
        if fitting and self.check_for_nan and loss is not None and not loss.isfinite():
            raise checks.NonFiniteError(
                f"the validation loss became {loss:f} after step {self.global_step}"
            )
        logger = fitting and bool(self.trainer.loggers) if run_of(self.trainer) else None
        self.log_dict(values, prog_bar=True, logger=logger, sync_dist=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        if self.buffer and self.check_for_nan:  # a diverged run must not replace a good checkpoint
            checks.check_finite(self.buffer.joined()["loss"], self.global_step - 1)
        checks.check_state_finite(checkpoint["state_dict"], self.global_step)
        checkpoint["window"] = self.buffer.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        checks.check_fits(self, checkpoint["state_dict"])
        self.loaded_buffer = checkpoint.get("window")
