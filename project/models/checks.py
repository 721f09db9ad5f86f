"""What must hold of losses and weights, or training stops with an error of one line."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from project.errors import UserError


class Diverged(UserError):
    """Ends a run whose numbers are no longer finite.

    Args:
        what: The number, and when it was seen.
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}: training stopped, the last good checkpoint is kept; lower --optimizer.lr, or clip gradients "
            "with --trainer.gradient_clip_val 1"
        )


def check_finite(losses: Tensor, last_step: int) -> None:
    """Raise Diverged, naming the step, if one of ``losses`` of the steps up to ``last_step`` is not finite."""
    finite = losses.isfinite()
    if not finite.all():
        first = int((~finite).int().argmax())
        raise Diverged(
            f"the training loss became {losses[first]:f} at step {last_step - len(losses) + 1 + first}"
        )


def check_state_finite(state: Mapping[str, Tensor], step: int) -> None:
    """Raise Diverged, naming the tensor, if ``state`` after ``step`` steps holds a number that is not finite."""
    for name, tensor in state.items():
        if not tensor.isfinite().all():
            raise Diverged(f"{name} became NaN or infinite by step {step}")


def check_fits(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Raise UserError, naming the first tensor that differs, if a checkpoint's ``state`` is not of ``model``."""
    ours = model.state_dict()
    for name in {**ours, **state}:
        theirs, its = [tuple(s[name].shape) if name in s else "absent" for s in (state, ours)]
        if theirs != its:
            raise UserError(
                f"the checkpoint is of another model or of images with other channels: {name} is {theirs} in it and "
                f"{its} in this {type(model).__name__}; give the config that it was trained with"
            )


def check_precision(precision: str) -> None:
    """Refuse what would need images in another type.

    Raises:
        UserError: Weights would not be of 32 bits.
    """
    if precision.endswith("-true") and precision != "32-true":
        raise UserError(
            f"--trainer.precision {precision} is not supported: give bf16-mixed, 16-mixed or 32-true"
        )


def refuse_single_sample(error: ValueError, samples: int) -> None:
    """Raise UserError if ``error`` is that of a batch norm which was given a single sample to train on."""
    if samples == 1 and "more than 1 value per channel" in str(error):
        raise UserError(
            "batch norm needs more than one sample in a batch: give --data.batch_size two or more for each device and "
            "accumulated part, or a model without batch norm"
        ) from None


def check_targets(y: Tensor, num_classes: int, where: str) -> None:
    """Refuse targets of another task than single-label classification.

    Args:
        y: Classes (N,), or class probabilities (N, num_classes), which mixup and other transforms
            give.
        num_classes: Number of classes.
        where: What they are the targets of.

    Raises:
        UserError: They are multi-hot, real values, or something else.
    """
    classes = y.ndim == 1 and y.dtype == torch.int64
    probabilities = (
        y.ndim == 2 and y.is_floating_point() and bool(((y.sum(1) - 1).abs() < 1e-2).all())
    )
    if not classes and not probabilities:
        raise UserError(
            f"the targets of {where} are {str(y.dtype).removeprefix('torch.')} of shape {list(y.shape)}, but models "
            f"learn one of {num_classes} classes a sample, int64 of shape [N]: multi-label and real targets are not "
            "supported in this version"
        )
