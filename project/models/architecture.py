"""`ImageClassifier`: everything about training a classifier that is not its layers."""

import logging
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from project.errors import UserError
from project.models.checks import (
    Diverged,
    check_finite,
    check_fits,
    check_precision,
    check_state_finite,
    check_targets,
    refuse_single_sample,
)
from project.models.metric_buffer import Window, gather_window, share_of_window
from project.models.objectives import CRITERIA, Criterion, l1_norm
from project.models.optimized import OptimizedNetwork
from project.optim import Constant, Schedule
from project.run.seeds import derive_seed, seed_device

log = logging.getLogger(__name__)


class ImageClassifier(OptimizedNetwork):
    """Base of every network: a subclass holds layers and ``forward(x) -> logits`` of shape (N, num_classes).

    Its constructor ends with `initialize`, and `head_names` names the layers that depend on the
    number of classes. The one override point for training is `loss`, for networks whose loss sees
    more than their logits.

    Args:
        num_classes: Number of classes; under the CLI it comes from the data.
        input_shape: Channels, height and width of an image; under the CLI it comes from the data.
        optimizer: Any ``torch.optim`` class, or a callable that is given the parameters (or groups
            of them). Its ``weight_decay`` (L2) skips biases and norms.
        lr_schedule: Factor of the learning rate as a function of progress in [0, 1], applied every
            step.
        criterion: Cross-entropy, or mean squared error of the softmax against one-hot targets.
        label_smoothing: Share of each training target spread evenly over all classes (Szegedy et
            al., 2016, section 7).
        l1: Factor of the sum of absolute weights added to the training loss; biases and norms are
            skipped.
        weights: To start from: ``DEFAULT`` or another name of torchvision's published ones, or the
            path of a state dict or checkpoint. A head for another number of classes is new; other
            input channels get the mean kernels.
        freeze: ``trunk`` trains the heads alone: everything before them keeps its weights and
            statistics.
        compile: Compile the training loss with ``torch.compile``.
        channels_last: Store images and kernels as (N, H, W, C), for which convolutions are fastest
            on GPUs.
        flip_average: Evaluate and predict by the mean of the logits of an image and of its mirror
            image.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        input_shape: tuple[int, int, int],
        optimizer: Callable[[Iterable], torch.optim.Optimizer] = torch.optim.AdamW,
        lr_schedule: Schedule = Constant(),  # noqa: B008, it holds no state
        criterion: Criterion = "cross_entropy",
        label_smoothing: float = 0.0,
        l1: float = 0.0,
        weights: str | None = None,
        freeze: Literal["none", "trunk"] = "none",
        compile: bool = False,
        channels_last: bool = False,
        flip_average: bool = False,
    ) -> None:
        super().__init__(num_classes, input_shape, weights, freeze, optimizer, lr_schedule)
        if not 0 <= label_smoothing < 1 or l1 < 0:
            raise UserError(
                f"label_smoothing {label_smoothing} must lie in [0, 1), and l1 {l1} must not be negative"
            )
        # Plain values only: a checkpoint must load with weights_only=True.
        self.save_hyperparameters(ignore=["optimizer", "lr_schedule"], logger=False)
        for name in self.hparams:
            if name.startswith("dropout") and not 0 <= self.hparams[name] <= 1:
                raise UserError(
                    f"{name} is {self.hparams[name]}, but it is a probability: give a number from 0 to 1"
                )
        self.criterion, self.label_smoothing, self.l1 = criterion, label_smoothing, l1
        self.compile_loss, self.channels_last, self.flip_average = (
            compile,
            channels_last,
            flip_average,
        )
        self.eval_metrics: Any = nn.ModuleDict({"loss": MeanMetric()})
        for name, k in {"acc": 1, "acc5": 5}.items():
            if k == 1 or num_classes > 10:
                self.eval_metrics[name] = MulticlassAccuracy(
                    num_classes, top_k=k, average="micro", validate_args=False
                )
        self.seed = torch.initial_seed()  # what seed_everything was given
        self.window: Window = []  # loss and hits of each batch since they were last logged
        self.loaded_window: Any = None
        self.latest: dict[str, float] = {}  # what was logged then

    @property
    def metric_names(self) -> list[str]:
        """What `fit` logs, and callbacks can monitor."""
        return ["train/loss", "train/acc", *(f"val/{name}" for name in self.eval_metrics)]

    def setup(self, stage: str) -> None:
        if not hasattr(self, "initialized"):
            raise UserError(
                f"{type(self).__name__}.__init__ must end with self.initialize(), which loads weights"
            )
        if self._trainer:
            check_precision(self.trainer.precision)
        if self.channels_last:
            if not any(parameter.ndim == 4 for parameter in self.parameters()):
                raise UserError(
                    f"--model.channels_last does nothing in {type(self).__name__}, which has no convolution"
                )
            self.to(memory_format=torch.channels_last)  # activations follow the kernels
        if stage == "fit" and self.compile_loss:
            self.loss = torch.compile(self.loss)  # type: ignore[method-assign]  # the module's keys stay clean

    def loss(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Training loss (a scalar) and logits (N, num_classes).

        Args:
            x: Normalised images (N, C, H, W).
            y: Class indices (N,), or class probabilities (N, num_classes).
        """
        logits = self(x)
        return self.objective(logits, y) + self.penalty(), logits

    def objective(self, logits: Tensor, y: Tensor) -> Tensor:
        """The criterion, with label smoothing, of ``logits`` (N, num_classes)."""
        return CRITERIA[self.criterion](logits, y, self.label_smoothing)

    def penalty(self) -> Tensor | float:
        """What the training loss adds for the weights themselves."""
        return (
            self.l1 * l1_norm(p for p in self.parameters() if p.requires_grad) if self.l1 else 0.0
        )

    # ---------------------------------------------------------------- training

    def on_train_start(self) -> None:
        super().on_train_start()
        window = share_of_window(self.loaded_window, self.global_rank, self.trainer.world_size)
        self.window = [(loss.to(self.device), hits.to(self.device)) for loss, hits in window]

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        step = self.global_step
        if batch_idx == 0:
            check_targets(y, self.num_classes, "a training batch")
        # What is random in the network, such as dropout, does not depend on what ran before.
        seed_device(
            derive_seed(self.seed, self.trainer.fit_loop.total_batch_idx, self.global_rank, 1),
            x.device,
        )
        try:
            loss, logits = self.loss(x, y)
        except ValueError as error:
            refuse_single_sample(error, len(x))
            raise
        hits = logits.detach().argmax(1) == (y if y.ndim == 1 else y.argmax(1))
        self.window.append((loss.detach(), hits))
        steps = (batch_idx + 1) % self.trainer.accumulate_grad_batches == 0
        if steps and (step + 1) % self.trainer.log_every_n_steps == 0:
            self.log_window(step)
        return loss

    def on_train_epoch_end(self) -> None:
        if self.window:
            self.log_window(self.global_step - 1)
        self.log_dict(self.latest, logger=False, sync_dist=True)  # for callbacks that monitor them

    def log_window(self, last_step: int) -> None:
        """Log mean loss and accuracy of the steps since the last call, and the learning rate.

        `self.log` would make Lightning look through all it knows at every later step.
        """
        losses = torch.stack([loss for loss, _ in self.window]).float()
        hits = torch.cat([hits for _, hits in self.window]).float()
        self.window.clear()
        check_finite(losses, last_step)
        loss, acc = self.trainer.strategy.reduce(
            torch.stack([losses.mean(), hits.mean()]), reduce_op="mean"
        ).tolist()
        self.latest = {"train/loss": loss, "train/acc": acc}
        if self.groups:
            rate = self.groups[0][1]["lr"] * self.lr_factor(last_step)
        else:  # a network with an optimiser and a schedule of its own
            rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        for logger in self.trainer.loggers:
            logger.log_metrics({**self.latest, "lr": rate, "epoch": self.current_epoch}, last_step)

    # ---------------------------------------------------------------- evaluation

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Logits; the loss is the bare criterion, without label smoothing and L1."""
        x, y = batch
        logits = self.judged(x)
        self.eval_metrics["loss"].update(CRITERIA[self.criterion](logits, y), len(y))
        for name in self.eval_metrics.keys() - {"loss"}:
            self.eval_metrics[name].update(logits, y)
        return logits

    def judged(self, x: Tensor) -> Tensor:
        """Logits (N, num_classes) for evaluation."""
        logits: Tensor = self(x)
        return (logits + self(x.flip(3))) / 2 if self.flip_average else logits

    def on_validation_epoch_end(self) -> None:
        self.log_evaluation("val")

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return self.validation_step(batch, batch_idx)

    def on_test_epoch_end(self) -> None:
        self.log_evaluation("test")

    def log_evaluation(self, split: str) -> None:
        """Log the metrics of the whole split; in `fit` to the loggers too, as part of the run's history."""
        values = {f"{split}/{name}": metric.compute() for name, metric in self.eval_metrics.items()}
        for metric in self.eval_metrics.values():
            metric.reset()
        fitting = self.trainer.state.fn == "fit"
        if fitting and not values["val/loss"].isfinite():
            raise Diverged(
                f"the validation loss became {values['val/loss']:f} after step {self.global_step}"
            )
        self.log_dict(
            values, prog_bar=True, logger=fitting and bool(self.trainer.loggers), sync_dist=True
        )

    def predict_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Class probabilities (N, num_classes)."""
        return self.judged(batch[0]).softmax(1)

    # ---------------------------------------------------------------- checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        if (
            self.window
        ):  # a run that has diverged since the last look must not replace a good checkpoint
            check_finite(torch.stack([loss for loss, _ in self.window]), self.global_step - 1)
        check_state_finite(checkpoint["state_dict"], self.global_step)
        checkpoint["window"] = gather_window(self.window)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.loaded_step = checkpoint["global_step"]
        check_fits(self, checkpoint["state_dict"])
        self.loaded_window = checkpoint.get("window")
