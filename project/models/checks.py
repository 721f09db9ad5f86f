"""What must hold of losses and weights, or training stops with an error of one line."""

from collections.abc import Mapping
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import BaseFinetuning
from torch import Tensor, nn

from project.errors import UserError


class NonFiniteError(UserError):
    """Ends a run whose numbers are no longer finite.

    Args:
        what: The number, and when it was seen.
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}: training stopped, the last good checkpoint is kept; lower --optimizer.lr, "
            "or clip gradients with --trainer.gradient_clip_val 1"
        )


def checked_loss(returned: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    """What `training_loss` returned, or UserError if it is no loss with values to log."""
    if isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], dict):
        return returned
    kinds = [type(x).__name__ for x in (returned if isinstance(returned, tuple) else (returned,))]
    raise UserError(
        f"{type(model).__name__}.training_loss returned {', '.join(kinds)}, but it must return the "
        "loss and a dict of values to log: return loss, {} or return loss, {'mae': mae}"
    )


def check_finite(losses: Tensor, last_step: int) -> None:
    """Raise NonFiniteError, naming the step, if a loss up to ``last_step`` is not finite."""
    finite = losses.isfinite()
    if not finite.all():
        first = int((~finite).int().argmax())
        raise NonFiniteError(
            f"the training loss became {losses[first]:f} "
            f"at step {last_step - len(losses) + 1 + first}"
        )


def check_state_finite(state: Mapping[str, Tensor], step: int) -> None:
    """Raise NonFiniteError, naming the tensor, if ``state`` after ``step`` is not finite."""
    for name, tensor in state.items():
        if not tensor.isfinite().all():
            raise NonFiniteError(f"{name} became NaN or infinite by step {step}")


def check_fits(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Raise UserError, naming the first tensor that differs, if ``state`` does not fit."""
    ours = model.state_dict()
    for name in {**ours, **state}:
        theirs, its = [tuple(s[name].shape) if name in s else "absent" for s in (state, ours)]
        if theirs != its:
            raise UserError(
                "the checkpoint is of another model or of images with other channels: "
                f"{name} is {theirs} in it and "
                f"{its} in this {type(model).__name__}; give the config that it was trained with"
            )


def check_precision(precision: str) -> None:
    """Refuse what would need images in another type.

    Raises:
        UserError: Weights would not be of 32 bits.
    """
    if precision.endswith("-true") and precision != "32-true":
        raise UserError(
            f"--trainer.precision {precision} is not supported: use bf16-mixed, 16-mixed or 32-true"
        )


def refuse_single_sample(error: ValueError, samples: int) -> None:
    """Raise UserError if a batch norm was given a single sample to train on."""
    if samples == 1 and "more than 1 value per channel" in str(error):
        raise UserError(
            "batch norm needs more than one sample in a batch: "
            "give --data.batch_size two or more for each device and "
            "accumulated part, or a model without batch norm"
        ) from None


def check_pixels(model: Any, minimum: int) -> None:
    """Raise UserError if a model's input is no image of ``minimum`` pixels in height and width."""
    name = type(model).__name__
    if len(model.input_shape) != 3:
        shape = list(model.input_shape)
        raise UserError(f"{name} needs images (C, H, W), not samples of shape {shape}: use an MLP")
    height, width = model.input_shape[1:]
    if min(height, width) < minimum:
        large = model.hparams.get("stem", "small") != "small"
        advice = "use --model.stem small, which is for 28 to 64 pixels"
        raise UserError(
            f"{name} needs images of {minimum}x{minimum} pixels or more, not {height}x{width}: "
            + (advice if large else "choose another --model")
        )


def refuse_finetuning(trainer: Any, frozen: bool) -> None:
    """Refuse callbacks such as BackboneFinetuning where they would not do what they say.

    Args:
        trainer: The Trainer with its callbacks.
        frozen: Whether the backbone is frozen for the whole run.

    Raises:
        UserError: There is such a callback.
    """
    for callback in trainer.callbacks:
        if isinstance(callback, BaseFinetuning):
            name = type(callback).__name__
            if frozen:
                raise UserError(
                    f"{name} unfreezes what --model.freeze_backbone freezes: give one of them"
                )
            if trainer.world_size > 1:  # DDP has been told which parameters it averages
                raise UserError(
                    f"{name} is for one device: gradients of what it unfreezes would not be "
                    "averaged; train with --model.freeze_backbone first, then start from that "
                    "checkpoint"
                )


def check_predicts(command: str, model: L.LightningModule) -> None:
    """Raise UserError if nothing says what a model predicts from an image."""
    own = type(model).predict_step is not L.LightningModule.predict_step
    if not own or not hasattr(model, "objective"):
        raise UserError(
            f"{command} needs an Architecture, a network whose objective says what its outputs "
            f"mean, but {type(model).__name__} has no predict_step and objective: "
            "use the model that project.load gives in Python"
        )
