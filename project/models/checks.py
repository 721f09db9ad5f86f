"""What must hold of losses and weights, or training stops with an error of one line."""

from collections.abc import Mapping

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
        raise Diverged(f"the training loss became {losses[first]:f} at step {last_step - len(losses) + 1 + first}")


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
        raise UserError(f"--trainer.precision {precision} is not supported: give bf16-mixed, 16-mixed or 32-true")
