"""`Architecture`: a network of which an objective says what it is for."""

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor

from project.errors import UserError
from project.models.backbone import Backbone
from project.models.checks import refuse_finetuning, refuse_single_sample
from project.models.example_input import ExampleInput
from project.models.objective_hooks import ObjectiveHooks
from project.models.objectives import Classification, Objective
from project.models.pretrained import skip_pretrained
from project.models.task import Task


class Architecture(Backbone, ExampleInput, ObjectiveHooks, Task):
    """Base of every network: a subclass holds layers, `features` and `forward`.

    ``forward(x)`` gives outputs (N, num_classes), and ``features(x)`` what the last layer, or the
    last fully connected layers, see of it (N, D). The constructor ends with `initialize`, and
    `head_names` names the layers that depend on the number of outputs.

    Args:
        num_classes: Number of outputs; under the command line it comes from the data.
        input_shape: Shape of a sample, such as channels, height and width; it comes from the data.
        objective: What is asked of the outputs; None for `Classification`.
        weights: Weights to start from: ``DEFAULT`` or another name of torchvision's published ones,
            ``hf:user/name`` of the Hugging Face Hub, or the path of a state dict or checkpoint. A
            head for another number of outputs is new; other input channels get the mean kernels.
        freeze_backbone: Train the heads alone: all layers before them keep weights and statistics.
        channels_last: Store images and kernels as (N, H, W, C), the fastest layout on GPUs.
        flip_tta: Evaluate and predict by the mean of the outputs for an image and its mirror image.
        **kwargs: The arguments of `Task` and `Optimized`: optimizer, lr_schedule, l1 and others.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        input_shape: tuple[int, ...],
        objective: Objective | None = None,
        weights: str | None = None,
        freeze_backbone: bool = False,
        channels_last: bool = False,
        flip_tta: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if num_classes < 1 or not input_shape or min(input_shape) < 1:
            raise UserError(
                f"num_classes {num_classes} and input_shape {list(input_shape)} must be positive"
            )
        # Plain values only: a checkpoint must load with weights_only=True.
        self.save_hyperparameters(ignore=["optimizer", "lr_schedule", "objective"], logger=False)
        for name in self.hparams:
            rate = self.hparams[name] or 0
            if name.startswith(("dropout", "drop_path")) and not 0 <= rate <= 1:
                raise UserError(f"{name} is {rate}, but it is a probability: give 0 to 1")
        self.num_classes, self.input_shape = num_classes, input_shape
        self.objective = Classification() if objective is None else objective
        self.weights, self.freeze_backbone = weights, freeze_backbone
        self.channels_last, self.flip_tta = channels_last, flip_tta
        self.eval_metrics.update(self.objective.metrics(num_classes))
        # Lightning's summary counts operations with it.
        self.example_input_array = torch.zeros(1, *input_shape)

    @property
    def monitor(self) -> str:  # type: ignore[override]
        """The metric that chooses the best checkpoint."""
        return self.objective.monitor

    @property
    def mode(self) -> str:  # type: ignore[override]
        """Whether the least or the greatest value is the best."""
        return self.objective.mode

    features: Callable[[Tensor], Tensor]  # a method, or layers that torchvision calls so

    # ---------------------------------------------------------------- steps

    def setup(self, stage: str) -> None:
        super().setup(stage)
        name = type(self).__name__
        if not hasattr(self, "initialized"):
            raise UserError(f"{name}.__init__ must end with self.initialize(), which loads weights")
        if self.channels_last:
            if not any(parameter.ndim == 4 for parameter in self.parameters()):
                raise UserError(
                    f"--model.channels_last does nothing in {name}, which has no convolution"
                )
            self.to(memory_format=torch.channels_last)  # activations follow the kernels

    def on_fit_start(self) -> None:
        super().on_fit_start()
        refuse_finetuning(self.trainer, self.freeze_backbone)

    def loss(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Training loss (a scalar) and outputs (N, num_classes); override it for more heads.

        Args:
            x: Samples (N, *input_shape), normalised.
            y: Targets, as the objective wants them.
        """
        outputs = self(x)
        return self.objective.training_criterion(outputs, y), outputs

    def training_loss(self, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        x, y = batch
        loss, outputs = self.loss(x, y)
        return loss, self.objective.train_metrics(outputs.detach(), y)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        if batch_idx == 0:
            self.objective.check_targets(batch[1], self.num_classes)
        try:
            return super().training_step(batch, batch_idx)
        except ValueError as error:
            refuse_single_sample(error, len(batch[0]))
            raise

    def eval_outputs(self, x: Tensor) -> Tensor:
        """Outputs (N, num_classes) for evaluation."""
        outputs: Tensor = self(x)
        return (outputs + self(x.flip(-1))) / 2 if self.flip_tta else outputs

    def evaluate(self, batch: Any, metrics: Any) -> Tensor:
        """Outputs; the loss is the bare criterion, without label smoothing and L1."""
        x, y = batch
        outputs = self.eval_outputs(x)
        for name, metric in metrics.items():
            if name == "loss":
                weight = self.objective.criterion_weight(y)
                metric.update(self.objective.criterion(outputs, y), weight)
            else:
                self.objective.update(metric, outputs, y)
        return outputs

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Predictions of the objective, such as class probabilities (N, num_classes)."""
        return self.objective.predictions(self.eval_outputs(batch[0]))

    @classmethod
    def load_from_checkpoint(cls, *args: Any, **kwargs: Any) -> Self:
        with skip_pretrained():  # the checkpoint has all weights
            return super().load_from_checkpoint(*args, **kwargs)
